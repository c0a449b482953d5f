/* SPDX-License-Identifier: MIT */

/* The input is three texts with a NUL between them: the selector's own command line, the note, and
 * the slot's file, which goes on to the end. */

#include "appliance/boot/cmdline.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_right)
{
    if (!is_right)
        abort();
}

/* Copies up to the next NUL, at most @max - 1 bytes, and returns how many bytes of @data that took.
 */
static size_t take_text(const uint8_t *data, size_t size, char *text, size_t max)
{
    size_t length = strnlen((const char *)data, size);
    size_t taken = length < max - 1 ? length : max - 1;

    memcpy(text, data, taken);
    text[taken] = '\0';
    return length < size ? length + 1 : length;
}

static void check_note(const char *cmdline)
{
    char note[CMDLINE_MAX];

    memset(note, 'x', sizeof note);
    cmdline_note(cmdline, note);
    check(strnlen(note, sizeof note) < sizeof note && !strchr(note, '_'));
    check(strlen(note) <= strlen(cmdline));
}

/* The slot and the note that it was built with are found in it. */
static void check_built(const char *cmdline, enum sp_slot slot, char *note)
{
    char found[CMDLINE_MAX];

    check(strlen(cmdline) < CMDLINE_MAX);
    check(cmdline_slot(cmdline) == slot);
    cmdline_note(cmdline, found);
    for (char *c = note; *c; c++)
        *c = *c == '_' ? ' ' : *c;
    check(!*note || strcmp(note, found) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char own[2 * CMDLINE_MAX], note[2 * CMDLINE_MAX], cmdline[CMDLINE_MAX] = "untouched";
    size_t used;
    int r;

    if (size == 0)
        return 0;
    used = take_text(data, size, own, sizeof own);
    used += take_text(data + used, size - used, note, sizeof note);
    for (char *c = note; *c; c++)
        *c = strchr(" \t\n", *c) ? '_' : *c; /* a note is one word */
    check_note(own);
    (void)cmdline_slot(own);
    r = cmdline_build(own, (const char *)data + used, size - used, size % 2 ? SP_SLOT_A : SP_SLOT_B,
        note, cmdline);
    check(r == 0 || r == -EBADMSG || r == -E2BIG);
    if (r == 0)
        check_built(cmdline, size % 2 ? SP_SLOT_A : SP_SLOT_B, note);
    else
        check(strcmp(cmdline, "untouched") == 0);
    return 0;
}
