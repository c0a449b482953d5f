/* SPDX-License-Identifier: MIT */
#include "appliance/boot/cmdline.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define BLANKS " \t\n"
#define SLOT_PREFIX "rauc.slot="
#define ARG_PREFIX "slot.arg="
#define NOTE_PREFIX "slot_selector.note="

/* The word at or after *@at and its length, moving *@at behind it; NULL at the end. */
static const char *next_word(const char **at, size_t *ret_length)
{
    const char *word = *at + strspn(*at, BLANKS);

    *ret_length = strcspn(word, BLANKS);
    *at = word + *ret_length;
    return *ret_length > 0 ? word : NULL;
}

/* What follows @prefix in the word; NULL if the word does not start so. */
static const char *after_prefix(const char *word, size_t *length, const char *prefix)
{
    size_t n = strlen(prefix);

    if (*length < n || memcmp(word, prefix, n) != 0)
        return NULL;
    *length -= n;
    return word + n;
}

enum sp_slot cmdline_slot(const char *cmdline)
{
    enum sp_slot slot = SP_SLOT_NONE;
    const char *word;
    size_t length;

    while ((word = next_word(&cmdline, &length))) {
        const char *value = after_prefix(word, &length, SLOT_PREFIX);
        char name[8];

        if (!value)
            continue;
        slot = SP_SLOT_NONE;
        if (length >= sizeof name)
            continue;
        memcpy(name, value, length);
        name[length] = '\0';
        slot = sp_slot_from_bootname(name);
    }
    return slot;
}

static int append(char *cmdline, const char *prefix, const char *value, size_t length)
{
    size_t used = strlen(cmdline), blank = used > 0;

    if (used + blank + strlen(prefix) + length >= CMDLINE_MAX)
        return -E2BIG;
    snprintf(cmdline + used, CMDLINE_MAX - used, "%s%s%.*s", blank ? " " : "", prefix, (int)length,
        value);
    return 0;
}

static bool is_one_line(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];

        if ((c < ' ' && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

int cmdline_build(const char *own, const char *extra, size_t extra_length, enum sp_slot slot,
    const char *note, char ret_cmdline[static CMDLINE_MAX])
{
    const char *name = sp_slot_bootname(slot), *word;
    char cmdline[CMDLINE_MAX] = "";
    size_t length;
    int r = 0;

    if (extra_length > 0 && extra[extra_length - 1] == '\n')
        extra_length--;
    if (!is_one_line(extra, extra_length))
        return -EBADMSG;

    while (r == 0 && (word = next_word(&own, &length))) {
        const char *value = after_prefix(word, &length, ARG_PREFIX);

        if (value && length > 0)
            r = append(cmdline, "", value, length);
    }
    if (r == 0 && extra_length > 0)
        r = append(cmdline, "", extra, extra_length);
    if (r == 0)
        r = append(cmdline, SLOT_PREFIX, name, strlen(name));
    if (r == 0 && *note)
        r = append(cmdline, NOTE_PREFIX, note, strlen(note));
    if (r == 0)
        memcpy(ret_cmdline, cmdline, sizeof cmdline);
    return r;
}

void cmdline_note(const char *cmdline, char ret_note[static CMDLINE_MAX])
{
    const char *word;
    size_t length;

    *ret_note = '\0';
    while ((word = next_word(&cmdline, &length))) {
        const char *value = after_prefix(word, &length, NOTE_PREFIX);

        if (!value || length >= CMDLINE_MAX)
            continue;
        for (size_t i = 0; i < length; i++)
            ret_note[i] = value[i] == '_' ? ' ' : value[i];
        ret_note[length] = '\0';
    }
}
