/* SPDX-License-Identifier: MIT */
#include "appliance/update/health-list.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_right)
{
    if (!is_right)
        abort();
}

static void check_name(const char *name)
{
    size_t length = strlen(name);

    check(length >= 1 && length <= HEALTH_LIST_NAME_MAX);
    for (size_t i = 0; i < length; i++)
        check(name[i] > ' ' && name[i] <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct health_list list = {0};
    const char *why = NULL;
    int r = health_list_parse((const char *)data, size, &list, &why);

    check(r == 0 || (r == -EBADMSG && why && *why));
    check(r == 0 || (!list.units && list.length == 0));
    check(list.length <= HEALTH_LIST_UNITS_MAX);
    for (size_t i = 0; i < list.length; i++)
        check_name(list.units[i]);
    health_list_clear(&list);
    return 0;
}
