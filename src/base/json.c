/* SPDX-License-Identifier: MIT */
#include "base/json.h"

#include <math.h>

/* Doubles represent each integer up to here exactly. */
#define EXACT_MAX 9007199254740992.0

json_t *sp_json_parse(const char *text, gsize length)
{
    const size_t flags = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL;
    json_error_t error;
    json_t *json = json_loadb(text, length, flags, &error);

    if (!json && json_error_code(&error) == json_error_numeric_overflow)
        json = json_loadb(text, length, flags | JSON_DECODE_INT_AS_REAL, NULL);
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
    double number = json_real_value(value);

    if (json_is_integer(value))
        return json_integer_value(value);
    /* with JSON_DECODE_INT_AS_REAL */
    return json_is_real(value) && number >= -EXACT_MAX && number <= EXACT_MAX &&
                   (double)(gint64)number == number
               ? (gint64)number
               : fallback;
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
