/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/process.h"
#include "powercut/content-check.h"
#include "written-log.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define SIZE (64u << 20)
#define BLOCK 4096u
#define BLOCK_SECTORS (BLOCK / WRITTEN_SECTOR)
/* Of the superblock, struct f2fs_super_block (Linux, include/linux/f2fs_fs.h): two copies of the
 * checkpoint, a segment each, and the table of the nodes. */
#define SUPERBLOCK 1024u
#define CHECKPOINT_FIELD 76u
#define NODES_FIELD 84u
#define SEGMENT_BLOCKS 512u
#define TIMEOUT_MS 60000

typedef struct {
    char *path;
    SpCrashDisk *disk;
    SpContentPart part;
    SpContentCheck *check; /* NULL: the test is skipped */
} Fixture;

static char *fsck[] = {"fsck.f2fs", "--dry-run", "-c", "64", NULL};
static char *reasons[] = {"[Fail]", "[ASSERT]", NULL};
static const SpPolicyPartition policy = {.name = "data",
    .fsck = fsck,
    .is_good_status = {true},
    .reasons = reasons,
    .tolerated = "record_fsync_data failed",
    .tolerated_as = "rolled-back"};
static const SpTask task;

static bool format(const char *path)
{
    const char *const argv[] = {"mkfs.f2fs", "-f", path, NULL};
    g_autoptr(GError) error = NULL;

    if (sp_process_run(argv, NULL, 0, TIMEOUT_MS, &error))
        return true;
    g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
    return false;
}

static void set_up(Fixture *f, gconstpointer data)
{
    int fd = g_file_open_tmp("test-data-XXXXXX", &f->path, NULL);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(ftruncate(fd, SIZE), ==, 0);
    g_close(fd, NULL);
    if (!format(f->path)) {
        g_test_skip("mkfs.f2fs is not installed");
        return;
    }
    f->disk = sp_crash_disk_new(f->path, NULL);
    g_assert_nonnull(f->disk);
    f->part = (SpContentPart){&policy, 0, SIZE, sp_crash_disk_add_range(f->disk, 0, SIZE)};
    f->check = sp_content_check_new(
        &(SpContentOptions){.parts = &f->part, .parts_count = 1, .jobs = 1, .task = &task});
}

static void tear_down(Fixture *f, gconstpointer data)
{
    sp_content_check_free(f->check);
    sp_crash_disk_free(f->disk);
    g_unlink(f->path);
    g_free(f->path);
}

static guint32 get_field(const Fixture *f, guint offset)
{
    guint8 block[BLOCK];
    guint32 value;

    sp_crash_disk_read(f->disk, 0, BLOCK, block);
    memcpy(&value, block + SUPERBLOCK + offset, sizeof value);
    return GUINT32_FROM_LE(value);
}

static void assert_good(const Fixture *f, const char *reason)
{
    const SpVerdict *verdict = sp_content_check_ask(f->check, f->disk);

    sp_content_check_finish(f->check, verdict);
    g_assert_true(sp_content_check_is_finished(verdict));
    g_assert_no_error(verdict->error);
    g_assert_cmpstr(verdict->facts, ==, "");
    if (!reason) {
        g_assert_cmpstr(verdict->failure, ==, NULL);
        return;
    }
    g_assert_nonnull(strstr(verdict->failure, "the file system of data is not in order"));
    g_test_message("%s", verdict->failure);
    g_assert_nonnull(strstr(verdict->failure, reason));
}

/* The verdict on the disk with these blocks overwritten, and that it is as before without that. */
static void overwrite(const Fixture *f, guint32 block, guint32 blocks, const char *reason)
{
    GByteArray *array = written_log_new();
    g_autoptr(SpWriteLog) log = NULL;
    gsize mark = sp_crash_disk_mark(f->disk);
    guint count;

    written_log_write(array, block * BLOCK_SECTORS, blocks * BLOCK_SECTORS, 0xff);
    log = written_log_parse(array, SIZE);
    sp_crash_disk_apply(f->disk, sp_write_log_entries(log, &count), 0, G_MAXUINT64);
    assert_good(f, reason);
    sp_crash_disk_undo(f->disk, mark);
    assert_good(f, NULL);
}

static void test_verdicts(Fixture *f, gconstpointer data)
{
    guint32 checkpoint, nodes;

    if (!f->check)
        return;
    checkpoint = get_field(f, CHECKPOINT_FIELD);
    nodes = get_field(f, NODES_FIELD);
    assert_good(f, NULL);
    /* the older one of the two, which are written in turn */
    overwrite(f, checkpoint + SEGMENT_BLOCKS, SEGMENT_BLOCKS, NULL);
    overwrite(f, checkpoint, 2 * SEGMENT_BLOCKS, "");
    /* what the checkpoint refers to */
    overwrite(f, nodes, SEGMENT_BLOCKS, "[Fail]");
    /* the same contents were not asked about again */
    g_assert_cmpuint(sp_content_check_count(f->check), ==, 4);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/content-check/f2fs", Fixture, NULL, set_up, test_verdicts, tear_down);
    return g_test_run();
}
