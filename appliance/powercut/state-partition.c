/* SPDX-License-Identifier: MIT */

/* Decides, as the slot selector would, by the files of a state partition. */

#include "appliance/powercut/state-partition.h"

#include "lib/crc32.h"

#include <ext2fs/ext2fs.h>
#include <stdio.h>
#include <string.h>

#define NO_FILE (-1)

/* The text of the file @name in the root directory, up to SP_BOOT_STATE_MAX + 1 bytes. Returns its
 * length, or NO_FILE. */
static int read_root_file(ext2_filsys fs, const char *name, char *text)
{
    ext2_file_t file;
    ext2_ino_t inode;
    unsigned length = 0;
    bool is_read;

    if (ext2fs_namei(fs, EXT2_ROOT_INO, EXT2_ROOT_INO, name, &inode) != 0 ||
        ext2fs_file_open(fs, inode, 0, &file) != 0)
        return NO_FILE;
    is_read = ext2fs_file_read(file, text, SP_BOOT_STATE_MAX + 1, &length) == 0;
    ext2fs_file_close(file);
    return is_read ? (int)length : NO_FILE;
}

/* The format of boot-state.h, checked a second time: a fault in the code that reads it must not
 * hide one in the file. */
static bool has_valid_crc(const char *text, size_t length)
{
    static const char name[] = "CRC32=";
    char expected[sizeof name + sizeof "01234567\n"];
    const char *last = NULL;
    size_t size;

    for (size_t i = 0; i + sizeof name <= length; i++) {
        if (memcmp(text + i, name, sizeof name - 1) == 0)
            last = text + i;
    }
    if (!last)
        return false;
    size = (size_t)snprintf(
        expected, sizeof expected, "CRC32=%08x\n", sp_crc32(text, (size_t)(last - text)));
    return length == (size_t)(last - text) + size && memcmp(last, expected, size) == 0;
}

static void drop_line(void *data, const char *line)
{
}

/* As sp_boot_state_load() and slot-selector.c do it. */
static void decide(ext2_filsys fs, struct state_decision *decision)
{
    char state[SP_BOOT_STATE_MAX + 1], last_good[SP_BOOT_STATE_MAX + 1];
    int state_length = read_root_file(fs, SP_BOOT_STATE_FILE, state);
    int last_good_length = read_root_file(fs, SP_BOOT_LAST_GOOD_FILE, last_good);
    enum sp_slot last = SP_SLOT_NONE;
    struct boot_plan plan;
    struct boot_step step;

    if (last_good_length >= 0)
        last = sp_boot_last_good_parse(last_good, (size_t)last_good_length);
    decision->source = SP_BOOT_FROM_FILE;
    if (state_length < 0 || sp_boot_state_parse(state, (size_t)state_length, &decision->state) < 0)
        decision->source = sp_boot_state_rebuild(last, &decision->state);
    decision->is_whole = state_length > 0 && has_valid_crc(state, (size_t)state_length);
    boot_plan_init(&plan, &decision->state, decision->source,
        last == SP_SLOT_NONE ? SP_SLOT_A : last, drop_line, NULL);
    decision->slot = boot_plan_next(&plan, &step) ? step.slot : SP_SLOT_NONE;
}

errcode_t state_partition_read(const char *path, struct state_decision *ret_decision)
{
    ext2_filsys fs;
    errcode_t r = ext2fs_open(path, EXT2_FLAG_64BITS, 0, 0, unix_io_manager, &fs);

    if (r != 0)
        return r;
    decide(fs, ret_decision);
    ext2fs_close_free(&fs);
    return 0;
}
