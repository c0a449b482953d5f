/* SPDX-License-Identifier: MIT */
#include "powercut/crash-name.h"

#include <stdint.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Any text as the name of a crash state: what is one is written and read as the same again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    char written[SP_CRASH_NAME_SIZE];
    SpCrashName name, again;

    if (!sp_crash_name_parse(text, &name))
        return 0;
    sp_crash_name_format(&name, written);
    if (!sp_crash_name_parse(written, &again) || again.kind != name.kind ||
        again.entry != name.entry || again.detail != name.detail)
        abort();
    return 0;
}
