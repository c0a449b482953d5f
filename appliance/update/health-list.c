/* SPDX-License-Identifier: MIT */

#include "appliance/update/health-list.h"

#include "lib/atomic-file.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>

static int reject_list(const char **ret_why, const char *why)
{
    *ret_why = why;
    return -EBADMSG;
}

/* Why jansson refused the text, as the end of a sentence. */
static const char *describe_json_error(enum json_error_code code)
{
    switch (code) {
    case json_error_premature_end_of_input:
        return "it ends in the middle of its JSON";
    case json_error_end_of_input_expected:
        return "something follows its JSON";
    case json_error_invalid_utf8:
        return "it is not valid UTF-8";
    case json_error_stack_overflow:
        return "its JSON is nested too deeply";
    case json_error_duplicate_key:
        return "its JSON has an object with two equal keys";
    case json_error_numeric_overflow:
        return "its JSON has a number that is out of range";
    default:
        return "it is not valid JSON";
    }
}

static int parse_json(const char *text, size_t length, json_t **ret_value, const char **ret_why)
{
    json_error_t error;
    json_t *value;

    if (memchr(text, '\0', length))
        return reject_list(ret_why, "it has a NUL byte");
    value =
        json_loadb(text, length, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (!value && json_error_code(&error) == json_error_out_of_memory)
        return -ENOMEM;
    if (!value)
        return reject_list(ret_why, describe_json_error(json_error_code(&error)));
    *ret_value = value;
    return 0;
}

static const char *find_name_fault(const json_t *name)
{
    size_t length;

    if (!json_is_string(name))
        return "each element must be the name of a unit, as a string";
    length = json_string_length(name);
    if (length == 0 || length > HEALTH_LIST_NAME_MAX)
        return "a unit's name has 1 to 255 characters";
    for (const char *c = json_string_value(name); length > 0; c++, length--) {
        if (*c <= ' ' || *c > '~')
            return "a unit's name consists of printable ASCII characters";
    }
    return NULL;
}

int health_list_parse(
    const char *text, size_t length, struct health_list *ret_list, const char **ret_why)
{
    json_auto_t *array = NULL;
    struct health_list list = {0};
    size_t n;
    int r;

    if (length > HEALTH_LIST_FILE_MAX)
        return reject_list(ret_why, "it is larger than 64 KiB");
    r = parse_json(text, length, &array, ret_why);
    if (r < 0)
        return r;
    if (!json_is_array(array))
        return reject_list(ret_why, "it must be an array of unit names");
    n = json_array_size(array);
    if (n > HEALTH_LIST_UNITS_MAX)
        return reject_list(ret_why, "it names more than 64 units");
    list.units = calloc(n + 1, sizeof *list.units);
    if (!list.units)
        return -ENOMEM;
    for (; list.length < n; list.length++) {
        const json_t *name = json_array_get(array, list.length);
        const char *fault = find_name_fault(name);

        if (!fault)
            list.units[list.length] = strdup(json_string_value(name));
        if (fault || !list.units[list.length]) {
            health_list_clear(&list);
            return fault ? reject_list(ret_why, fault) : -ENOMEM;
        }
    }
    *ret_list = list;
    return 0;
}

int health_list_load(const char *path, struct health_list *ret_list, const char **ret_why)
{
    sp_auto_free char *text = malloc(HEALTH_LIST_FILE_MAX);
    ssize_t length;

    if (!text)
        return -ENOMEM;
    length = sp_read_file_at(AT_FDCWD, path, text, HEALTH_LIST_FILE_MAX);
    if (length == -ENOENT) {
        *ret_list = (struct health_list){0};
        return 0;
    }
    if (length == -EFBIG)
        return reject_list(ret_why, "it is larger than 64 KiB");
    if (length < 0)
        return (int)length;
    return health_list_parse(text, (size_t)length, ret_list, ret_why);
}

void health_list_clear(struct health_list *list)
{
    for (size_t i = 0; i < list->length; i++)
        free(list->units[i]);
    free(list->units);
    *list = (struct health_list){0};
}
