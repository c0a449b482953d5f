/* SPDX-License-Identifier: MIT */

/* The parser of test.conf and image.conf. */

#include "base/error.h"
#include "base/keyfile.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define NAME "x.conf"
#define UNTOUCHED 123456789u

/* One key of each kind that those two have. */
static const SpKey keys[] = {
    {"Test", "Description"},
    {"Test", "Timeout"},
    {"Image", "Disk"},
    {"Image", "CPUs"},
    {"Machine *", "Image"},
    {"Machine *", "Memory"},
    {"Machine *", "CPUs"},
    {NULL, NULL},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_right)
{
    if (!is_right)
        abort();
}

/* The error names the file and a line. */
static void check_error(const GError *error, const char *text, gsize length)
{
    guint64 lines = 1, line;
    char *end;

    for (gsize i = 0; i < length; i++)
        lines += text[i] == '\n';
    check(error && g_error_matches(error, SP_ERROR, SP_ERROR_USAGE));
    check(g_utf8_validate(error->message, -1, NULL));
    check(g_str_has_prefix(error->message, NAME ":"));
    line = g_ascii_strtoull(error->message + strlen(NAME ":"), &end, 10);
    check(g_str_has_prefix(end, ": ") && line >= 1 && line <= lines);
}

static void check_numbers(
    SpKeyFile *file, const char *group, const char *key, const char *text, gsize length)
{
    g_autoptr(GError) error = NULL;
    guint value = UNTOUCHED;

    if (sp_key_file_uint(file, group, key, 7, 2, 255, &value, &error)) {
        check(!error && value >= 2 && value <= 255);
    } else {
        check_error(error, text, length);
        check(value == UNTOUCHED);
    }
    g_clear_error(&error);
    value = UNTOUCHED;
    if (sp_key_file_size_mib(file, group, key, 7, &value, &error)) {
        check(!error && value >= 1 && value <= 1024 * 1024);
    } else {
        check_error(error, text, length);
        check(value == UNTOUCHED);
    }
}

/* Reads every value and counts those that were seen. */
static guint count_values(SpKeyFile *file, const char *text, gsize length)
{
    g_auto(GStrv) groups = sp_key_file_groups(file);
    guint count = 0;

    for (char **group = groups; *group; group++) {
        bool is_machine = g_str_has_prefix(*group, "Machine ");
        bool is_known = false;

        for (const SpKey *key = keys; key->group; key++) {
            bool is_of_it =
                is_machine ? g_str_equal(key->group, "Machine *") : g_str_equal(key->group, *group);
            g_autofree char *value = is_of_it ? sp_key_file_string(file, *group, key->key) : NULL;

            is_known = is_known || is_of_it;
            check(!value || (*value && g_utf8_validate(value, -1, NULL)));
            count += value != NULL;
            if (is_of_it)
                check_numbers(file, *group, key->key, text, length);
        }
        check(is_known);
    }
    return count;
}

/* The lines whose value is more than white space, escaped or not. */
static guint count_lines(const char *text, gsize length)
{
    static const char mark[] = "\xef\xbb\xbf"; /* a UTF-8 byte order mark, which is skipped */
    g_autofree char *copy = g_strndup(text, length);
    const char *begin = g_str_has_prefix(copy, mark) ? copy + strlen(mark) : copy;
    g_auto(GStrv) lines = g_strsplit(begin, "\n", -1);
    guint count = 0;

    for (char **line = lines; *line; line++) {
        const char *equals = strchr(g_strstrip(*line), '=');
        const char *c = equals && **line != '#' && **line != '[' ? equals + 1 : "";

        while (g_ascii_isspace(*c) || (*c == '\\' && c[1] && strchr("sntr", c[1])))
            c += *c == '\\' ? 2 : 1;
        count += *c != 0;
        for (; (c = strchr(c, '\\')); c += 2)
            check(c[1] && strchr("sntr\\", c[1]));
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    g_autoptr(GError) error = NULL;
    g_autoptr(SpKeyFile) file = sp_key_file_parse(text, size, NAME, keys, &error);

    if (!file) {
        check_error(error, text, size);
        return 0;
    }
    /* no line of the file is ignored */
    check(!error && count_values(file, text, size) == count_lines(text, size));
    return 0;
}
