/* SPDX-License-Identifier: MIT */

#include "appliance/update/health-list.h"

#include "lib/atomic-file.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <string.h>

/* More than an array of strings needs, so that common mistakes get a better reason than their
 * depth. */
#define DEPTH_MAX 4

static void unref_json(json_object **object)
{
    json_object_put(*object);
}

static void free_tokener(json_tokener **tokener)
{
    if (*tokener)
        json_tokener_free(*tokener);
}

#define auto_json __attribute__((cleanup(unref_json)))
#define auto_tokener __attribute__((cleanup(free_tokener)))

static int reject_list(const char **ret_why, const char *why)
{
    *ret_why = why;
    return -EBADMSG;
}

static int parse_json(
    const char *text, size_t length, json_object **ret_object, const char **ret_why)
{
    auto_tokener json_tokener *tokener = json_tokener_new_ex(DEPTH_MAX);
    auto_json json_object *object = NULL;

    if (!tokener)
        return -ENOMEM;
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    if (memchr(text, '\0', length))
        return reject_list(ret_why, "it has a NUL byte");
    object = json_tokener_parse_ex(tokener, text, (int)length);
    /* A NUL completes what could still go on after the last byte; @text need not end in one. */
    if (json_tokener_get_error(tokener) == json_tokener_continue)
        object = json_tokener_parse_ex(tokener, "", 1);
    if (json_tokener_get_error(tokener) != json_tokener_success)
        return reject_list(ret_why, json_tokener_error_desc(json_tokener_get_error(tokener)));
    *ret_object = object;
    object = NULL;
    return 0;
}

static const char *find_name_fault(json_object *name)
{
    int length;

    if (!json_object_is_type(name, json_type_string))
        return "each element must be the name of a unit, as a string";
    length = json_object_get_string_len(name);
    if (length == 0 || (unsigned)length > HEALTH_LIST_NAME_MAX)
        return "a unit's name has 1 to 255 characters";
    for (const char *c = json_object_get_string(name); length > 0; c++, length--) {
        if (*c <= ' ' || *c > '~')
            return "a unit's name is of printable ASCII characters";
    }
    return NULL;
}

int health_list_parse(
    const char *text, size_t length, struct health_list *ret_list, const char **ret_why)
{
    auto_json json_object *array = NULL;
    struct health_list list = {0};
    size_t n;
    int r;

    if (length > HEALTH_LIST_FILE_MAX)
        return reject_list(ret_why, "it is larger than 64 KiB");
    r = parse_json(text, length, &array, ret_why);
    if (r < 0)
        return r;
    if (!json_object_is_type(array, json_type_array))
        return reject_list(ret_why, "it must be an array of unit names");
    n = json_object_array_length(array);
    if (n > HEALTH_LIST_UNITS_MAX)
        return reject_list(ret_why, "it names more than 64 units");
    list.units = calloc(n + 1, sizeof *list.units);
    if (!list.units)
        return -ENOMEM;
    for (; list.length < n; list.length++) {
        json_object *name = json_object_array_get_idx(array, list.length);
        const char *fault = find_name_fault(name);

        if (!fault)
            list.units[list.length] = strdup(json_object_get_string(name));
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
