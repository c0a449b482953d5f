/* SPDX-License-Identifier: MIT */
#include "powercut/state-partition.h"

#include "base/error.h"
#include "lib/crc32.h"

#include <ext2fs/ext2fs.h>
#include <string.h>

/* What reading gives where there is no such file, or it can't be read. */
#define NO_FILE (-1)

SpProbe *sp_state_partition_recover(SpProbeCopy *copy, GError **error)
{
    /* -p: what a mount does, and what is mended without a question */
    const char *const argv[] = {"e2fsck", "-f", "-p", SP_PROBE_PATH, NULL};
    SpProbe *recovery = sp_probe_start(copy, argv, error);

    if (!recovery)
        g_prefix_error(error, "e2fsck is needed (apt-get install e2fsprogs): ");
    return recovery;
}

/* The text of the file @name in the root folder, up to SP_BOOT_STATE_MAX + 1 bytes. */
static int read_file(ext2_filsys fs, const char *name, char *text)
{
    ext2_file_t file;
    ext2_ino_t inode;
    unsigned length = 0;
    bool is_good;

    if (ext2fs_namei(fs, EXT2_ROOT_INO, EXT2_ROOT_INO, name, &inode) != 0 ||
        ext2fs_file_open(fs, inode, 0, &file) != 0)
        return NO_FILE;
    is_good = ext2fs_file_read(file, text, SP_BOOT_STATE_MAX + 1, &length) == 0;
    ext2fs_file_close(file);
    return is_good ? (int)length : NO_FILE;
}

/* As lib/boot-state.h says of the file: a fault in the code that reads it is not to be seen as
 * none. */
static bool is_whole(const char *text, gsize length)
{
    static const char name[] = "CRC32=";
    g_autofree char *expected = NULL;
    const char *last = NULL;

    for (gsize i = 0; i + sizeof name <= length; i++) {
        if (memcmp(text + i, name, sizeof name - 1) == 0)
            last = text + i;
    }
    if (!last)
        return false;
    expected = g_strdup_printf("CRC32=%08x\n", sp_crc32(text, (gsize)(last - text)));
    return length == (gsize)(last - text) + strlen(expected) &&
           memcmp(last, expected, strlen(expected)) == 0;
}

static void on_line(void *data, const char *line)
{
}

/* As sp_boot_state_load() and slot-selector.c do it. */
static void decide(ext2_filsys fs, SpBootDecision *decision)
{
    char state[SP_BOOT_STATE_MAX + 1], last_good[SP_BOOT_STATE_MAX + 1];
    int state_length = read_file(fs, SP_BOOT_STATE_FILE, state);
    int last_good_length = read_file(fs, SP_BOOT_LAST_GOOD_FILE, last_good);
    enum sp_slot last = SP_SLOT_NONE;
    struct boot_plan plan;
    struct boot_step step;

    if (last_good_length >= 0)
        last = sp_boot_last_good_parse(last_good, (gsize)last_good_length);
    decision->source = SP_BOOT_FROM_FILE;
    if (state_length < 0 || sp_boot_state_parse(state, (gsize)state_length, &decision->state) < 0)
        decision->source = sp_boot_state_rebuild(last, &decision->state);
    decision->is_whole = state_length > 0 && is_whole(state, (gsize)state_length);
    boot_plan_init(&plan, &decision->state, decision->source,
        last == SP_SLOT_NONE ? SP_SLOT_A : last, on_line, NULL);
    decision->slot = boot_plan_next(&plan, &step) ? step.slot : SP_SLOT_NONE;
}

bool sp_state_partition_read(int fd, SpBootDecision *ret_decision, GError **error)
{
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
    ext2_filsys fs;
    errcode_t r = ext2fs_open(path, EXT2_FLAG_64BITS, 0, 0, unix_io_manager, &fs);

    if (r != 0) {
        g_set_error(error, SP_ERROR, SP_ERROR_ASSERTION,
            "the state partition has no file system that can be read: %s", error_message(r));
        return false;
    }
    decide(fs, ret_decision);
    ext2fs_close_free(&fs);
    return true;
}

bool sp_state_partition_decide(
    SpProbe *recovery, const SpInterrupt *interrupt, SpBootDecision *ret_decision, GError **error)
{
    g_autofree char *output = NULL;
    int status;

    if (!sp_probe_wait(recovery, interrupt, &status, error))
        return false;
    /* 0: in order, 1: mended; e2fsck(8) */
    if ((status & ~1) == 0)
        return sp_state_partition_read(sp_probe_fd(recovery), ret_decision, error);
    output = sp_probe_output(recovery);
    g_set_error(error, SP_ERROR, SP_ERROR_ASSERTION,
        "the file system of the state partition is not in order: %s", g_strstrip(output));
    return false;
}
