/* SPDX-License-Identifier: MIT */

/* Files that follow a sparse disk, with discards larger than anything that was written to it. */

#include "base/error.h"
#include "powercut/crash-file.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB (1024u * 1024)
#define SIZE ((guint64)64 * MIB)
#define ISLAND 4096u

/* Where the base has data, each ISLAND bytes: also at both ends, and on no file system's block. */
static const guint64 islands[] = {
    0, 3 * MIB, 7 * MIB + SP_DISK_SECTOR, 40 * MIB - 512, SIZE - ISLAND};

typedef struct {
    char *dir, *base, *path;
    SpCrashDisk *disk;
    guint asked, stops_at; /* the question at which it stops; 0: never */
    guint64 done, all;     /* as told last */
} Fixture;

static bool stops(void *data)
{
    Fixture *f = data;

    return ++f->asked == f->stops_at;
}

static void on_progress(const char *doing, guint64 done, guint64 all, void *data)
{
    Fixture *f = data;

    g_assert_cmpstr(doing, ==, "copying the disk");
    g_assert_cmpuint(done, <=, all);
    f->done = done;
    f->all = all;
}

static void set_up(Fixture *f, gconstpointer data)
{
    g_autofree guint8 *bytes = g_malloc(ISLAND);
    int fd;

    memset(bytes, 0xaa, ISLAND);
    f->dir = g_dir_make_tmp("slotproof-test-XXXXXX", NULL);
    f->base = g_build_filename(f->dir, "base", NULL);
    f->path = g_build_filename(f->dir, "state", NULL);
    fd = g_open(f->base, O_CREAT | O_RDWR, 0600);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(ftruncate(fd, SIZE), ==, 0);
    for (gsize i = 0; i < G_N_ELEMENTS(islands); i++)
        g_assert_cmpint(pwrite(fd, bytes, ISLAND, (off_t)islands[i]), ==, ISLAND);
    close(fd);
    f->disk = sp_crash_disk_new(f->base, NULL);
    g_assert_nonnull(f->disk);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    sp_crash_disk_free(f->disk);
    g_unlink(f->path);
    g_unlink(f->base);
    g_assert_cmpint(g_rmdir(f->dir), ==, 0);
    g_free(f->dir);
    g_free(f->base);
    g_free(f->path);
}

static void assert_same(const Fixture *f, guint64 offset, guint64 length)
{
    g_autofree guint8 *now = g_malloc(length);
    g_autofree char *found = NULL;
    gsize size;

    sp_crash_disk_read(f->disk, offset, length, now);
    g_assert_true(g_file_get_contents(f->path, &found, &size, NULL));
    g_assert_cmpuint(size, ==, length);
    g_assert_cmpint(memcmp(now, found, length), ==, 0);
}

static guint64 blocks(const char *path)
{
    struct stat st;

    g_assert_cmpint(stat(path, &st), ==, 0);
    return (guint64)st.st_blocks;
}

/* Entries over holes and islands: whole, from within an island, and of what is all hole. */
static const SpLogEntry discards[] = {
    {.kind = SP_LOG_DISCARD, .offset = 0, .length = SIZE},
    {.kind = SP_LOG_DISCARD, .offset = 3 * MIB + 1024, .length = 37 * MIB},
    {.kind = SP_LOG_DISCARD, .offset = 10 * MIB, .length = 8 * MIB},
    {.kind = SP_LOG_DISCARD, .offset = SIZE - 1024, .length = 512},
};

static void test_discards(Fixture *f, gconstpointer data)
{
    g_autoptr(SpCrashFile) file = sp_crash_file_new(f->disk, f->path, 0, SIZE, NULL, NULL);
    guint64 before = blocks(f->path);

    g_assert_nonnull(file);
    assert_same(f, 0, SIZE);
    for (gsize i = 0; i < G_N_ELEMENTS(discards); i++) {
        sp_crash_disk_apply(f->disk, &discards[i], 1, G_MAXUINT64);
        g_assert_true(sp_crash_file_update(file, NULL));
        assert_same(f, 0, SIZE);
        sp_crash_disk_undo(f->disk, 0);
        g_assert_true(sp_crash_file_update(file, NULL));
        assert_same(f, 0, SIZE);
    }
    g_assert_cmpuint(sp_crash_file_restored(file), ==, 0);
    g_assert_cmpuint(blocks(f->path), <=, before + 8 * G_N_ELEMENTS(islands));
}

/* A part whose ends lie in holes and in an island. */
static void test_part(Fixture *f, gconstpointer data)
{
    static const guint64 offset = 3 * MIB + 512, length = 40 * MIB;
    g_autoptr(SpCrashFile) file = sp_crash_file_new(f->disk, f->path, offset, length, NULL, NULL);

    g_assert_nonnull(file);
    assert_same(f, offset, length);
    sp_crash_disk_apply(f->disk, &discards[0], 0, G_MAXUINT64);
    g_assert_true(sp_crash_file_update(file, NULL));
    assert_same(f, offset, length);
}

/* A discard is told apart as a write of zeros is, wherever it is torn. */
static void test_hashes(Fixture *f, gconstpointer data)
{
    for (gsize i = 0; i < G_N_ELEMENTS(discards); i++) {
        g_autofree guint8 *zeros = g_malloc0(discards[i].length);
        SpLogEntry written = discards[i];
        guint64 count = written.length / SP_DISK_SECTOR;

        written.kind = SP_LOG_WRITE;
        written.data = zeros;
        for (guint64 from = 0; from < count; from += count / 7 + 1) {
            for (guint64 to = from + 1; to <= count; to += count / 5 + 1) {
                SpDiskHash discard, write;

                sp_crash_disk_apply(f->disk, &discards[i], from, to);
                discard = sp_crash_disk_hash(f->disk);
                sp_crash_disk_reset(f->disk);
                g_assert_true(sp_disk_hash_is_base(sp_crash_disk_hash(f->disk)));
                sp_crash_disk_apply(f->disk, &written, from, to);
                write = sp_crash_disk_hash(f->disk);
                sp_crash_disk_reset(f->disk);
                g_assert_true(sp_disk_hash_equal(discard, write));
            }
        }
        /* the next one may lie where this one did */
        sp_crash_disk_free(f->disk);
        f->disk = sp_crash_disk_new(f->base, NULL);
    }
}

/* Wherever it is stopped, no half of a disk stays, and the reason is told. */
static void test_interrupted(Fixture *f, gconstpointer data)
{
    const SpTask task = {.interrupt = {.func = stops, .data = f}, .func = on_progress, .data = f};
    SpCrashFile *file = sp_crash_file_new(f->disk, f->path, 0, SIZE, &task, NULL);
    guint steps = f->asked;

    g_assert_nonnull(file);
    g_assert_cmpuint(steps, >=, G_N_ELEMENTS(islands) - 1);
    g_assert_cmpuint(f->all, ==, SIZE);
    g_assert_cmpuint(f->done, >=, SIZE / 2);
    sp_crash_file_free(file);
    for (guint i = 1; i <= steps; i++) {
        g_autoptr(GError) error = NULL;

        f->asked = 0;
        f->stops_at = i;
        g_assert_null(sp_crash_file_new(f->disk, f->path, 0, SIZE, &task, &error));
        g_assert_error(error, SP_ERROR, SP_ERROR_INTERRUPTED);
        g_assert_false(g_file_test(f->path, G_FILE_TEST_EXISTS));
    }
}

static void test_finish(Fixture *f, gconstpointer data)
{
    g_autoptr(SpCrashFile) file = sp_crash_file_new(f->disk, f->path, 0, SIZE, NULL, NULL);
    gint64 begin = g_get_real_time() / G_USEC_PER_SEC - 1;
    struct stat st;

    g_assert_nonnull(file);
    g_assert_true(sp_crash_file_finish(file, NULL));
    g_assert_cmpint(stat(f->path, &st), ==, 0);
    g_assert_cmpint(st.st_mtim.tv_sec, >=, begin);
    assert_same(f, 0, SIZE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, func) g_test_add("/crash-file/" name, Fixture, NULL, set_up, func, tear_down)
    ADD("discards", test_discards);
    ADD("part", test_part);
    ADD("hashes", test_hashes);
    ADD("interrupted", test_interrupted);
    ADD("finish", test_finish);
    return g_test_run();
}
