/* SPDX-License-Identifier: MIT */
#include "machine/kernel-word.h"
#include "qemu/console.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_line(const char *line, void *data)
{
    if (!g_utf8_validate(line, -1, NULL) || strpbrk(line, "\r\n\x1b"))
        abort();
    sp_kernel_word(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(SpConsole) console = sp_console_new(NULL, on_line, NULL, NULL);
    g_autoptr(GRegex) regex = sp_console_regex_new("a+b", NULL);
    g_autofree char *tail = NULL;
    g_autofree char *text = NULL;
    gsize half = size / 2, read;

    sp_console_take(console, data, half);
    while (sp_console_take_match(console, regex))
        ;
    sp_console_take(console, data + half, size - half);
    while (sp_console_take_match(console, regex))
        ;
    tail = sp_console_tail(console, 3);
    text = sp_console_text(console, &read);
    if (read > strlen(text))
        abort();
    return 0;
}
