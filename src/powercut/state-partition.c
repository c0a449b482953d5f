/* SPDX-License-Identifier: MIT */
#include "powercut/state-partition.h"

#include "base/error.h"
#include "lib/crc32.h"

#include <errno.h>
#include <ext2fs/ext2fs.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIECE 4096u

static bool host_error(GError **error, const char *what)
{
    g_set_error(error, SP_ERROR, SP_ERROR_HOST, "%s: %s", what, g_strerror(errno));
    return false;
}

/* What a mount does and what fsck mends without a question: 0 in order, 1 mended (e2fsck(8)). */
static bool recover(int fd, GError **error)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/fd/%d", (int)getpid(), fd);
    const char *const argv[] = {"e2fsck", "-f", "-p", path, NULL};
    g_autofree char *output = NULL;
    g_autoptr(GError) local = NULL;
    int status;

    if (!g_spawn_sync(NULL, (char **)argv, NULL,
            G_SPAWN_SEARCH_PATH | G_SPAWN_LEAVE_DESCRIPTORS_OPEN, NULL, NULL, &output, NULL,
            &status, &local)) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "e2fsck is needed (apt-get install e2fsprogs): %s", local->message);
        return false;
    }
    if (WIFEXITED(status) && (WEXITSTATUS(status) & ~1) == 0)
        return true;
    g_set_error(error, SP_ERROR, SP_ERROR_ASSERTION,
        "the file system of the state partition is not in order: %s", g_strstrip(output));
    return false;
}

/* The file @name of the root folder; NULL without an error where there is none, or it can't be
 * read. */
static GBytes *read_file(ext2_filsys fs, const char *name)
{
    g_autofree guint8 *data = g_malloc(SP_BOOT_STATE_MAX + 1);
    ext2_file_t file;
    ext2_ino_t inode;
    unsigned length = 0;
    bool is_good;

    if (ext2fs_namei(fs, EXT2_ROOT_INO, EXT2_ROOT_INO, name, &inode) != 0 ||
        ext2fs_file_open(fs, inode, 0, &file) != 0)
        return NULL;
    is_good = ext2fs_file_read(file, data, SP_BOOT_STATE_MAX + 1, &length) == 0;
    ext2fs_file_close(file);
    return is_good ? g_bytes_new_take(g_steal_pointer(&data), length) : NULL;
}

static bool copy_file(ext2_filsys fs, const char *name, const char *folder, GError **error)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autoptr(GBytes) bytes = read_file(fs, name);
    gsize length;
    const char *data;

    if (!bytes)
        return true;
    data = g_bytes_get_data(bytes, &length);
    return g_file_set_contents(path, data, (gssize)length, error);
}

static bool copy_files(int fd, const char *folder, GError **error)
{
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
    ext2_filsys fs;
    errcode_t r = ext2fs_open(path, EXT2_FLAG_64BITS, 0, 0, unix_io_manager, &fs);
    bool is_good;

    if (r != 0) {
        g_set_error(error, SP_ERROR, SP_ERROR_ASSERTION,
            "the state partition has no file system that can be read: %s", error_message(r));
        return false;
    }
    is_good = copy_file(fs, SP_BOOT_STATE_FILE, folder, error) &&
              copy_file(fs, SP_BOOT_LAST_GOOD_FILE, folder, error);
    ext2fs_close_free(&fs);
    return is_good;
}

/* As lib/boot-state.h says of the file: a fault in the code that reads it is not to be seen as
 * none. */
static bool is_whole(const char *folder)
{
    g_autofree char *path = g_build_filename(folder, SP_BOOT_STATE_FILE, NULL);
    g_autofree char *text = NULL, *expected = NULL;
    const char *last;
    gsize length;

    if (!g_file_get_contents(path, &text, &length, NULL))
        return false;
    last = g_strrstr(text, "CRC32=");
    if (!last)
        return false;
    expected = g_strdup_printf("CRC32=%08x\n", sp_crc32(text, (gsize)(last - text)));
    return g_str_equal(last, expected) && length == (gsize)(last - text) + strlen(expected);
}

static void on_line(void *data, const char *line)
{
}

/* As slot-selector.c does it. */
static bool decide(const char *folder, SpBootDecision *ret_decision, GError **error)
{
    int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct boot_plan plan;
    struct boot_step step;
    int r = dir < 0 ? -errno : sp_boot_state_load(dir, &ret_decision->state, &ret_decision->source);

    if (r == 0) {
        boot_plan_init(&plan, &ret_decision->state, ret_decision->source,
            sp_boot_last_good_load(dir), on_line, NULL);
        ret_decision->slot = boot_plan_next(&plan, &step) ? step.slot : SP_SLOT_NONE;
    } else {
        g_set_error(error, SP_ERROR, SP_ERROR_HOST, "'%s': %s", folder, g_strerror(-r));
    }
    if (dir >= 0)
        close(dir);
    return r == 0;
}

static void remove_folder(const char *folder)
{
    g_autofree char *state = g_build_filename(folder, SP_BOOT_STATE_FILE, NULL);
    g_autofree char *last_good = g_build_filename(folder, SP_BOOT_LAST_GOOD_FILE, NULL);

    (void)g_unlink(state);
    (void)g_unlink(last_good);
    (void)g_rmdir(folder);
}

static bool decide_by_file(int fd, SpBootDecision *ret_decision, GError **error)
{
    g_autofree char *folder = NULL;
    bool is_good;

    if (!recover(fd, error))
        return false;
    folder = g_dir_make_tmp("slotproof-state-XXXXXX", error);
    if (!folder)
        return false;
    is_good = copy_files(fd, folder, error) && decide(folder, ret_decision, error);
    ret_decision->is_whole = is_whole(folder);
    remove_folder(folder);
    return is_good;
}

/* Most of it are zeros, which need no memory. */
static bool write_sparse(int fd, const guint8 *bytes, gsize length)
{
    static const guint8 zeros[PIECE];

    if (ftruncate(fd, (off_t)length) < 0)
        return false;
    for (gsize at = 0; at < length; at += PIECE) {
        gsize n = MIN(PIECE, length - at);

        if (memcmp(bytes + at, zeros, n) != 0 && pwrite(fd, bytes + at, n, (off_t)at) != (ssize_t)n)
            return false;
    }
    return true;
}

bool sp_state_partition_decide(
    const guint8 *bytes, gsize length, SpBootDecision *ret_decision, GError **error)
{
    int fd = memfd_create("slotproof-state", MFD_CLOEXEC);
    bool is_good;

    if (fd < 0)
        return host_error(error, "no memory for the state partition");
    is_good = write_sparse(fd, bytes, length)
                  ? decide_by_file(fd, ret_decision, error)
                  : host_error(error, "no memory for the state partition");
    close(fd);
    return is_good;
}
