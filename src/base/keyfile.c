/* SPDX-License-Identifier: MIT */
#include "base/keyfile.h"

#include "base/error.h"

#include <string.h>

#define SIZE_MAX_BYTES (1024u * 1024)
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

struct SpKeyFile {
    GKeyFile *keys;
    char *path;
    char **lines;
};

/* The line number of @group's header or of @key in it, which GLib does not report. */
static guint find_line(SpKeyFile *file, const char *group, const char *key)
{
    g_autofree char *header = g_strdup_printf("[%s]", group);
    guint found = 0;
    bool inside = false;

    for (guint i = 0; file->lines[i]; i++) {
        g_autofree char *line = g_strstrip(g_strdup(file->lines[i]));
        if (*line == '[') {
            inside = g_str_equal(line, header);
            if (inside && found == 0)
                found = i + 1;
        } else if (inside && key && g_str_has_prefix(line, key)) {
            const char *rest = line + strlen(key);
            if (rest[strspn(rest, " \t")] == '=')
                return i + 1;
        }
    }
    return found > 0 ? found : 1;
}

bool sp_key_file_refuse(
    SpKeyFile *file, const char *group, const char *key, const char *expected, GError **error)
{
    g_autofree char *value = key ? g_key_file_get_value(file->keys, group, key, NULL) : NULL;
    guint line = find_line(file, group, key);

    if (value)
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "%s:%u: %s=%s: expected %s", file->path, line,
            key, value, expected);
    else if (key)
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "%s:%u: [%s] lacks %s=: expected %s",
            file->path, line, group, key, expected);
    else
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "%s:%u: [%s]: expected %s", file->path, line,
            group, expected);
    return false;
}

static bool group_matches(const char *pattern, const char *group)
{
    gsize stem = strlen(pattern);

    if (stem < 2 || !g_str_has_suffix(pattern, " *"))
        return g_str_equal(pattern, group);
    return strncmp(pattern, group, stem - 1) == 0 && group[stem - 1] != 0;
}

/* The known keys of @group for a message, or the known groups if it is NULL. */
static char *list_known(const SpKey *keys, const char *group)
{
    GString *text = g_string_new(group ? "one of" : "one of the groups");
    const char *last = NULL;

    for (; keys->group; keys++) {
        if (group ? !group_matches(keys->group, group) : last && g_str_equal(last, keys->group))
            continue;
        last = keys->group;
        if (group)
            g_string_append_printf(text, " %s", keys->key);
        else if (g_str_has_suffix(last, " *"))
            g_string_append_printf(text, " [%.*s NAME]", (int)strlen(last) - 2, last);
        else
            g_string_append_printf(text, " [%s]", last);
    }
    return g_string_free(text, FALSE);
}

/* GLib silently drops invalid escapes from a value. */
static bool check_escapes(SpKeyFile *file, const char *group, const char *key, GError **error)
{
    g_autoptr(GError) local = NULL;

    g_free(g_key_file_get_string(file->keys, group, key, &local));
    return !local || sp_key_file_refuse(
                         file, group, key, "a backslash only as \\s, \\n, \\t, \\r or \\\\", error);
}

static bool check_key(
    SpKeyFile *file, const SpKey *keys, const char *group, const char *key, GError **error)
{
    g_autofree char *expected = NULL;

    for (const SpKey *k = keys; k->group; k++) {
        if (group_matches(k->group, group) && g_str_equal(k->key, key))
            return check_escapes(file, group, key, error);
    }
    expected = list_known(keys, group);
    g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "%s:%u: unknown key '%s' in [%s]: expected %s",
        file->path, find_line(file, group, key), key, group, expected);
    return false;
}

static bool check_group(SpKeyFile *file, const SpKey *keys, const char *group, GError **error)
{
    g_auto(GStrv) names = g_key_file_get_keys(file->keys, group, NULL, NULL);
    bool is_known = false;

    for (const SpKey *k = keys; k->group && !is_known; k++)
        is_known = group_matches(k->group, group);
    if (!is_known) {
        g_autofree char *expected = list_known(keys, NULL);
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "%s:%u: unknown group [%s]: expected %s",
            file->path, find_line(file, group, NULL), group, expected);
        return false;
    }
    for (char **name = names; name && *name; name++) {
        if (!check_key(file, keys, group, *name, error))
            return false;
    }
    return true;
}

/* GLib takes the last of two equal keys, but the author may have meant either. */
static bool check_doubles(SpKeyFile *file, GError **error)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autofree char *group = g_strdup("");

    for (guint i = 0; file->lines[i]; i++) {
        g_autofree char *line = g_strstrip(g_strdup(file->lines[i]));
        const char *equals = strchr(line, '=');
        g_autofree char *name = NULL;

        if (*line == '[') {
            g_free(group);
            group = g_strdup(line);
            name = g_strdup(line);
        } else if (*line != '#' && equals) {
            g_autofree char *key = g_strchomp(g_strndup(line, (gsize)(equals - line)));
            name = g_strconcat(group, key, NULL);
        }
        if (name && !g_hash_table_add(seen, g_steal_pointer(&name))) {
            g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
                "%s:%u: this appears twice in the file: expected it once: %s", file->path, i + 1,
                line);
            return false;
        }
    }
    return true;
}

/* GLib's message lacks the line number: the first line that is not a comment, group or key. */
static bool refuse_syntax(SpKeyFile *file, const GError *cause, GError **error)
{
    guint i;

    for (i = 0; file->lines[i]; i++) {
        g_autofree char *line = g_strstrip(g_strdup(file->lines[i]));
        bool is_group = *line == '[' && g_str_has_suffix(line, "]");
        if (*line && *line != '#' && !is_group && !strchr(line, '='))
            break;
    }
    g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
        "%s:%u: expected '[Group]', 'Key=Value' or '# comment' (%s)", file->path,
        file->lines[i] ? i + 1 : 1, cause->message);
    return false;
}

SpKeyFile *sp_key_file_parse(
    const char *text, gsize length, const char *path, const SpKey *keys, GError **error)
{
    g_autoptr(SpKeyFile) file = g_new0(SpKeyFile, 1);
    g_auto(GStrv) groups = NULL;
    g_autoptr(GError) local = NULL;

    file->keys = g_key_file_new();
    file->path = g_strdup(path);
    if (length > SIZE_MAX_BYTES || memchr(text, 0, length) ||
        !g_utf8_validate(text, (gssize)length, NULL)) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "%s:1: expected a text file in UTF-8 of at most 1 MiB", path);
        return NULL;
    }
    /* some editors write a byte order mark */
    if (length >= strlen(BYTE_ORDER_MARK) &&
        memcmp(text, BYTE_ORDER_MARK, strlen(BYTE_ORDER_MARK)) == 0) {
        text += strlen(BYTE_ORDER_MARK);
        length -= strlen(BYTE_ORDER_MARK);
    }
    g_autofree char *copy = g_strndup(text, length);
    file->lines = g_strsplit(copy, "\n", -1);
    /* without this flag GLib skips translated keys of all languages but the user's */
    if (!g_key_file_load_from_data(
            file->keys, copy, length, G_KEY_FILE_KEEP_TRANSLATIONS, &local)) {
        refuse_syntax(file, local, error);
        return NULL;
    }
    groups = g_key_file_get_groups(file->keys, NULL);
    for (char **group = groups; *group; group++) {
        if (!check_group(file, keys, *group, error))
            return NULL;
    }
    return check_doubles(file, error) ? g_steal_pointer(&file) : NULL;
}

SpKeyFile *sp_key_file_load(const char *path, const SpKey *keys, GError **error)
{
    g_autofree char *text = NULL;
    gsize length;
    g_autoptr(GError) local = NULL;

    if (!g_file_get_contents(path, &text, &length, &local)) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "%s", local->message);
        return NULL;
    }
    return sp_key_file_parse(text, length, path, keys, error);
}

void sp_key_file_free(SpKeyFile *file)
{
    if (!file)
        return;
    g_key_file_unref(file->keys);
    g_strfreev(file->lines);
    g_free(file->path);
    g_free(file);
}

char **sp_key_file_groups(SpKeyFile *file)
{
    return g_key_file_get_groups(file->keys, NULL);
}

char *sp_key_file_string(SpKeyFile *file, const char *group, const char *key)
{
    g_autofree char *value = g_key_file_get_string(file->keys, group, key, NULL);

    if (!value)
        return NULL;
    g_strstrip(value);
    return *value ? g_steal_pointer(&value) : NULL;
}

bool sp_key_file_path(SpKeyFile *file, const char *group, const char *key, const char *dir,
    char **ret_path, GError **error)
{
    g_autofree char *value = sp_key_file_string(file, group, key);
    g_autofree char *path = value ? g_canonicalize_filename(value, dir) : NULL;

    if (path && (strchr("~\"'", *value) || strpbrk(value, "$*")) &&
        !g_file_test(path, G_FILE_TEST_EXISTS))
        return sp_key_file_refuse(file, group, key,
            "a literal path, absolute or relative to this file: quotes, '~', '$' and '*' mean "
            "nothing here",
            error);
    *ret_path = g_steal_pointer(&path);
    return true;
}

bool sp_key_file_uint(SpKeyFile *file, const char *group, const char *key, guint fallback,
    guint min, guint max, guint *ret_value, GError **error)
{
    g_autofree char *value = sp_key_file_string(file, group, key);
    guint64 number = fallback;

    if (value && !g_ascii_string_to_unsigned(value, 10, min, max, &number, NULL)) {
        g_autofree char *expected = g_strdup_printf("a whole number from %u to %u", min, max);
        return sp_key_file_refuse(file, group, key, expected, error);
    }
    *ret_value = (guint)number;
    return true;
}

bool sp_key_file_size_mib(SpKeyFile *file, const char *group, const char *key, guint fallback,
    guint *ret_mib, GError **error)
{
    g_autofree char *value = sp_key_file_string(file, group, key);
    gsize length = value ? strlen(value) : 0;
    guint64 number;
    guint factor;

    if (!value) {
        *ret_mib = fallback;
        return true;
    }
    factor = value[length - 1] == 'G' ? 1024 : value[length - 1] == 'M' ? 1 : 0;
    value[length - 1] = 0;
    if (factor == 0 ||
        !g_ascii_string_to_unsigned(value, 10, 1, 1024 * 1024 / factor, &number, NULL))
        return sp_key_file_refuse(
            file, group, key, "a size in whole M or G, e.g. '512M', of at most 1024G", error);
    *ret_mib = (guint)number * factor;
    return true;
}
