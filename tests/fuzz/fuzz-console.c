/* SPDX-License-Identifier: MIT */
#include "machine/console.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_line(const char *line, void *data)
{
    if (!g_utf8_validate(line, -1, NULL) || strpbrk(line, "\r\n\x1b"))
        abort();
    sp_console_line_is_fatal(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(SpConsole) console = sp_console_new(NULL, on_line, NULL, NULL);
    g_autoptr(GRegex) regex = g_regex_new("a+b", 0, 0, NULL);
    g_autofree char *tail = NULL;
    gsize half = size / 2;

    sp_console_take(console, data, half);
    sp_console_match(console, regex, 0);
    sp_console_take(console, data + half, size - half);
    sp_console_match(console, regex, sp_console_next_line(console));
    tail = sp_console_tail(console, 3);
    return 0;
}
