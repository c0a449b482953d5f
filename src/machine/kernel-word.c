/* SPDX-License-Identifier: MIT */
#include "machine/kernel-word.h"

#include <glib.h>
#include <stdbool.h>
#include <string.h>

#define PANIC "Kernel panic - not syncing"
/* Always alone on its line, while the panic's first line may follow a prompt. */
#define PANIC_END "---[ end Kernel panic - not syncing"

/* How the kernel begins these messages; after its time stamp, nothing else before it. Without one
 * they count only with the kernel's count of oopses, " [#1]": one of an oops' lines has it. */
static const char *const faults[] = {
    "BUG: kernel NULL pointer dereference",
    "BUG: unable to handle",
    "BUG: stack guard page was hit",
    "kernel BUG at ",
    "kernel stack overflow",
    "Unable to handle kernel ",
    "Internal error: ",
    "Oops: ",
    "general protection fault",
    "stack segment: ",
    "invalid opcode: ",
    "divide error: ",
    "double fault: ",
};

/* The text after "[   12.345678] ", and after "[    T1] " if the kernel prints its caller; @line
 * itself if it has no time stamp; NULL if it begins with another bracket. */
static const char *skip_time_stamp(const char *line)
{
    const char *p = line;

    if (*p != '[')
        return line;
    p++;
    p += strspn(p, " ");
    if (strspn(p, "0123456789.") == 0)
        return NULL;
    p += strspn(p, "0123456789.");
    if (*p++ != ']')
        return NULL;
    if (*p == '[') {
        p += 1 + strspn(p + 1, " ");
        if (*p != 'T' && *p != 'C')
            return NULL;
        p++;
        p += strspn(p, "0123456789");
        if (*p++ != ']')
            return NULL;
    }
    return p + strspn(p, " ");
}

SpKernelWord sp_kernel_word(const char *line)
{
    const char *text = skip_time_stamp(line);
    bool has_stamp = text != line;

    if (!text)
        return SP_WORD_NONE;
    if (g_str_has_prefix(text, PANIC))
        return has_stamp ? SP_WORD_PANIC : SP_WORD_MAYBE_PANIC;
    if (g_str_has_prefix(text, PANIC_END))
        return SP_WORD_PANIC;
    for (gsize i = 0; i < G_N_ELEMENTS(faults); i++) {
        if (g_str_has_prefix(text, faults[i]))
            return has_stamp || strstr(text, " [#") ? SP_WORD_FAULT : SP_WORD_NONE;
    }
    return SP_WORD_NONE;
}
