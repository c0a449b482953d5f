/* SPDX-License-Identifier: MIT */

/* The input is a partition's name, a NUL, and the uevent file in which to find it. */

#include "appliance/boot/partition.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_right)
{
    if (!is_right)
        abort();
}

/* Returns whether the text has the line @name=@value. */
static bool has_line(const char *text, size_t length, const char *name, const char *value)
{
    size_t size = strlen(name) + 1 + strlen(value);

    for (size_t at = 0; at + size <= length; at++) {
        bool is_begin = at == 0 || text[at - 1] == '\n';
        bool is_end = at + size == length || text[at + size] == '\n';

        if (is_begin && is_end && memcmp(text + at, name, strlen(name)) == 0 &&
            text[at + strlen(name)] == '=' &&
            memcmp(text + at + strlen(name) + 1, value, strlen(value)) == 0)
            return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size > 0 ? memchr(data, '\0', size) : NULL;
    char path[PARTITION_PATH_MAX] = "untouched";
    const char *label = (const char *)data;
    size_t length;
    char *text;

    if (!end)
        return 0;
    /* an exact copy, so that a sanitizer catches every read past its end */
    length = size - (size_t)(end + 1 - data);
    text = malloc(length > 0 ? length : 1);
    if (!text)
        return 0;
    memcpy(text, end + 1, length);
    if (partition_is_in_uevent(text, length, label, path)) {
        check(memchr(path, '\0', sizeof path) && strncmp(path, "/dev/", 5) == 0 && path[5]);
        check(has_line(text, length, "PARTNAME", label));
        check(has_line(text, length, "DEVNAME", path + 5));
    } else {
        check(strcmp(path, "untouched") == 0);
    }
    free(text);
    return 0;
}
