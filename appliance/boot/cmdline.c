/* SPDX-License-Identifier: MIT */

#include "appliance/boot/cmdline.h"

#include "lib/atomic-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define SPACES " \t\n"
#define SLOT_PREFIX "rauc.slot="
#define ARG_PREFIX "slot.arg="
#define NOTE_PREFIX "slot_selector.note="

/* Returns the first word at or after *@at, and moves *@at past it; NULL at the end. */
static const char *next_word(const char **at, size_t *ret_length)
{
    const char *word = *at + strspn(*at, SPACES);

    *ret_length = strcspn(word, SPACES);
    *at = word + *ret_length;
    return *ret_length > 0 ? word : NULL;
}

/* Returns the rest of the word after @prefix; NULL if the word does not begin with it. */
static const char *after_prefix(const char *word, size_t *length, const char *prefix)
{
    size_t n = strlen(prefix);

    if (*length < n || memcmp(word, prefix, n) != 0)
        return NULL;
    *length -= n;
    return word + n;
}

int cmdline_read(const char *path, char ret_cmdline[static CMDLINE_FILE_MAX])
{
    ssize_t length = sp_read_file_at(AT_FDCWD, path, ret_cmdline, CMDLINE_FILE_MAX - 1);

    if (length < 0)
        return (int)length;
    ret_cmdline[length] = '\0';
    return 0;
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

enum sp_slot cmdline_read_slot(const char *path)
{
    char cmdline[CMDLINE_FILE_MAX];

    return cmdline_read(path, cmdline) < 0 ? SP_SLOT_NONE : cmdline_slot(cmdline);
}

static int append_word(char *cmdline, const char *prefix, const char *value, size_t length)
{
    size_t used = strlen(cmdline), separator = used > 0;

    if (used + separator + strlen(prefix) + length >= CMDLINE_MAX)
        return -E2BIG;
    snprintf(cmdline + used, CMDLINE_MAX - used, "%s%s%.*s", separator ? " " : "", prefix,
        (int)length, value);
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
            r = append_word(cmdline, "", value, length);
    }
    if (r == 0 && extra_length > 0)
        r = append_word(cmdline, "", extra, extra_length);
    if (r == 0)
        r = append_word(cmdline, SLOT_PREFIX, name, strlen(name));
    if (r == 0 && *note)
        r = append_word(cmdline, NOTE_PREFIX, note, strlen(note));
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
