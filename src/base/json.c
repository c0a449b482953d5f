/* SPDX-License-Identifier: MIT */
#include "base/json.h"

#include <math.h>
#include <string.h>

#define PARSE_FLAGS (JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL)

static gsize string_length(const char *text, gsize length)
{
    gsize n = 1;

    while (n < length && text[n] != '"')
        n += text[n] == '\\' ? 2 : 1;
    return MIN(n + 1, length);
}

static gsize number_length(const char *text, gsize length)
{
    gsize n = 0;

    while (n < length && text[n] != 0 && strchr("0123456789+-.eE", text[n]))
        n++;
    return n;
}

/* What isn't JSON, such as a number that begins with 0, stays as it is, and is refused again. */
static void append_fitting_number(GString *json, const char *text, gsize length)
{
    g_autofree char *number = g_strndup(text, length);
    const char *digits = number + (*number == '-');
    bool is_integer = *digits >= '1' && *digits <= '9' && !digits[strspn(digits, "0123456789")];
    guint64 value;

    if (!is_integer || g_ascii_string_to_signed(number, 10, G_MININT64, G_MAXINT64, NULL, NULL))
        g_string_append(json, number);
    else if (g_ascii_string_to_unsigned(number, 10, 0, G_MAXUINT64, &value, NULL))
        g_string_append_printf(json, "%" G_GINT64_FORMAT, (gint64)value);
    else
        g_string_append_printf(json, "%s.0", number);
}

/* The same document, with integers that fit jansson's. */
static GString *fit_integers(const char *text, gsize length)
{
    GString *json = g_string_sized_new(length);
    gsize n;

    for (; length > 0; text += n, length -= n) {
        n = 1;
        if (*text == '-' || g_ascii_isdigit(*text)) {
            n = number_length(text, length);
            append_fitting_number(json, text, n);
            continue;
        }
        if (*text == '"')
            n = string_length(text, length);
        g_string_append_len(json, text, (gssize)n);
    }
    return json;
}

json_t *sp_json_parse(const char *text, gsize length)
{
    json_error_t error;
    json_t *json = json_loadb(text, length, PARSE_FLAGS, &error);
    GString *fitting;

    if (json || json_error_code(&error) != json_error_numeric_overflow)
        return json;
    fitting = fit_integers(text, length);
    json = json_loadb(fitting->str, fitting->len, PARSE_FLAGS, NULL);
    g_string_free(fitting, TRUE);
    return json;
}

json_t *sp_json_parse_flat(const char *line, gsize length)
{
    json_auto_t *json = sp_json_parse(line, length);
    const char *name;
    json_t *value;

    if (!json_is_object(json))
        return NULL;
    json_object_foreach(json, name, value)
    {
        if (json_is_object(value) || json_is_array(value))
            return NULL;
    }
    return json_incref(json);
}

const char *sp_json_text(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

gint64 sp_json_int(const json_t *object, const char *name, gint64 fallback)
{
    const json_t *value = json_object_get(object, name);

    return json_is_integer(value) ? json_integer_value(value) : fallback;
}

double sp_json_number(const json_t *object, const char *name, double fallback)
{
    const json_t *value = json_object_get(object, name);
    double number = json_is_number(value) ? json_number_value(value) : NAN;

    return isfinite(number) ? number : fallback;
}

bool sp_json_is_true(const json_t *object, const char *name)
{
    return json_is_true(json_object_get(object, name));
}

char *sp_json_format(const json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);

    g_assert(text);
    return text;
}
