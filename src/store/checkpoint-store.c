/* SPDX-License-Identifier: MIT */
#include "store/checkpoint-store.h"

#include "base/error.h"
#include "store/checkpoint-manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEW_PREFIX ".new-"
/* A disk that has less than this is full. */
#define SPARE_BYTES (1024 * 1024)

struct SpCheckpoint {
    char *dir;
    int lock_fd;
    bool is_new;
    char *fault;
};

static bool set_host_error(GError **error, const char *path, const char *what)
{
    g_set_error(error, SP_ERROR, sp_error_code_of_errno(errno), "'%s' can't be %s: %s", path, what,
        g_strerror(errno));
    return false;
}

static int open_lock(const char *store_dir, const char *key, int operation)
{
    g_autofree char *name = g_strconcat(key, ".lock", NULL);
    g_autofree char *path = g_build_filename(store_dir, name, NULL);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return -1;
    while (flock(fd, operation) < 0) {
        if (errno == EINTR)
            continue;
        close(fd);
        return -1;
    }
    return fd;
}

/* Files only: a checkpoint has no directories in it. Returns 0, also if there is no directory, or a
 * negative errno. */
static int remove_directory(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;
    int r = 0;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *file = g_build_filename(path, name, NULL);

        if (g_unlink(file) < 0 && errno != ENOENT && r == 0)
            r = -errno;
    }
    if (r == 0 && g_rmdir(path) < 0 && errno != ENOENT)
        r = -errno;
    return r;
}

/* Whether there is no space for a file in the directory @path. Asked anew, since the call that
 * failed for it may have been QEMU's. */
static bool is_full(const char *path)
{
    g_autofree char *file = g_build_filename(path, "space", NULL);
    int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int number = fd < 0 ? errno : posix_fallocate(fd, 0, SPARE_BYTES);

    if (fd >= 0) {
        close(fd);
        g_unlink(file);
    }
    return sp_error_code_of_errno(number) == SP_ERROR_NO_SPACE;
}

/* Others are evicted for it. */
static bool make_work_directory(const char *store_dir, const char *work, GError **error)
{
    if (g_mkdir(work, 0700) == 0)
        return true;
    if (sp_error_code_of_errno(errno) == SP_ERROR_NO_SPACE) {
        sp_cache_evict(&sp_checkpoint_kind, store_dir, SPARE_BYTES);
        if (g_mkdir(work, 0700) == 0)
            return true;
    }
    return set_host_error(error, work, "made");
}

/* With the lock of @key held exclusively, so what is in the way was left by a process that died. */
static bool make_checkpoint(const char *store_dir, const char *key, const char *name,
    SpCheckpointMakeFunc make, void *data, GError **error)
{
    g_autofree char *new_name = g_strconcat(NEW_PREFIX, key, NULL);
    g_autofree char *work = g_build_filename(store_dir, new_name, NULL);
    g_autofree char *dir = g_build_filename(store_dir, key, NULL);
    g_autoptr(GError) local = NULL;

    remove_directory(work);
    remove_directory(dir);
    if (!make_work_directory(store_dir, work, error))
        return false;
    if (make(work, data, &local) && sp_manifest_write(work, name, &local)) {
        if (g_rename(work, dir) == 0)
            return true;
        set_host_error(&local, dir, "made");
    }
    if (is_full(work)) {
        local->domain = SP_ERROR;
        local->code = SP_ERROR_NO_SPACE;
    }
    g_propagate_error(error, g_steal_pointer(&local));
    remove_directory(work);
    return false;
}

/* flock(2) does not convert a lock atomically: in between another process may make the checkpoint,
 * or evict it. */
static bool change_lock(SpCheckpoint *checkpoint, int operation, GError **error)
{
    while (flock(checkpoint->lock_fd, operation) < 0) {
        if (errno != EINTR)
            return set_host_error(error, checkpoint->dir, "locked");
    }
    return true;
}

SpCheckpoint *sp_checkpoint_get(const char *store_dir, const char *key, const char *name,
    SpCheckpointMakeFunc make, void *data, GError **error)
{
    g_autoptr(SpCheckpoint) checkpoint = g_new0(SpCheckpoint, 1);
    g_autofree char *manifest = g_build_filename(store_dir, key, SP_MANIFEST_FILE, NULL);

    checkpoint->dir = g_build_filename(store_dir, key, NULL);
    checkpoint->lock_fd =
        g_mkdir_with_parents(store_dir, 0700) == 0 ? open_lock(store_dir, key, LOCK_SH) : -1;
    if (checkpoint->lock_fd < 0) {
        set_host_error(error, store_dir, "used for checkpoints (see XDG_CACHE_HOME)");
        return NULL;
    }
    while (!sp_manifest_check(checkpoint->dir, NULL)) {
        g_autoptr(GError) fault = NULL;

        if (!change_lock(checkpoint, LOCK_EX, error))
            return NULL;
        if (!sp_manifest_check(checkpoint->dir, &fault)) {
            checkpoint->is_new = true;
            checkpoint->fault = fault ? g_strdup(fault->message) : NULL;
            if (!make_checkpoint(store_dir, key, name, make, data, error))
                return NULL;
        }
        if (!change_lock(checkpoint, LOCK_SH, error))
            return NULL;
    }
    (void)utimensat(AT_FDCWD, manifest, NULL, 0);
    return g_steal_pointer(&checkpoint);
}

const char *sp_checkpoint_dir(const SpCheckpoint *checkpoint)
{
    return checkpoint->dir;
}

bool sp_checkpoint_is_new(const SpCheckpoint *checkpoint)
{
    return checkpoint->is_new;
}

const char *sp_checkpoint_fault(const SpCheckpoint *checkpoint)
{
    return checkpoint->fault;
}

void sp_checkpoint_free(SpCheckpoint *checkpoint)
{
    if (!checkpoint)
        return;
    if (checkpoint->lock_fd >= 0)
        close(checkpoint->lock_fd);
    g_free(checkpoint->dir);
    g_free(checkpoint->fault);
    g_free(checkpoint);
}

static guint64 sum_sizes(const char *dir)
{
    g_autoptr(GDir) entries = g_dir_open(dir, 0, NULL);
    guint64 size = 0;
    const char *name;
    struct stat st;

    while (entries && (name = g_dir_read_name(entries))) {
        g_autofree char *path = g_build_filename(dir, name, NULL);
        if (lstat(path, &st) == 0)
            size += (guint64)st.st_blocks * 512;
    }
    return size;
}

static bool describe_checkpoint(const char *store_dir, SpCacheEntry *entry)
{
    g_autofree char *dir = g_build_filename(store_dir, entry->key, NULL);
    g_autofree char *path = g_build_filename(dir, SP_MANIFEST_FILE, NULL);
    struct stat st;

    entry->size = sum_sizes(dir);
    if (stat(path, &st) == 0)
        entry->used_s = entry->time_s = st.st_mtim.tv_sec;
    entry->name = sp_manifest_get_name(dir);
    if (!entry->name)
        entry->name = g_strdup("?");
    return true;
}

static bool verify_checkpoint(const char *store_dir, const char *key, GError **error)
{
    g_autofree char *dir = g_build_filename(store_dir, key, NULL);

    return sp_manifest_verify(dir, error);
}

static int remove_checkpoint(const char *store_dir, const char *key)
{
    g_autofree char *new_name = g_strconcat(NEW_PREFIX, key, NULL);
    g_autofree char *work = g_build_filename(store_dir, new_name, NULL);
    g_autofree char *dir = g_build_filename(store_dir, key, NULL);
    g_autofree char *manifest = g_build_filename(dir, SP_MANIFEST_FILE, NULL);
    int fd = open_lock(store_dir, key, LOCK_EX | LOCK_NB);
    int r;

    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    /* without a manifest it is not a checkpoint, wherever this ends */
    g_unlink(manifest);
    r = remove_directory(dir);
    if (r == 0)
        r = remove_directory(work);
    close(fd);
    return r;
}

static void remove_leftovers(const char *store_dir)
{
    g_autoptr(GDir) entries = g_dir_open(store_dir, 0, NULL);
    const char *name;

    while (entries && (name = g_dir_read_name(entries))) {
        const char *key = g_str_has_prefix(name, NEW_PREFIX) ? name + strlen(NEW_PREFIX) : NULL;
        bool is_ours = key && sp_cache_has_key(key) && !key[SP_CACHE_KEY_LENGTH];
        g_autofree char *path = g_build_filename(store_dir, name, NULL);
        int fd = is_ours ? open_lock(store_dir, key, LOCK_EX | LOCK_NB) : -1;

        if (fd < 0)
            continue;
        remove_directory(path);
        close(fd);
    }
}

const SpCacheKind sp_checkpoint_kind = {
    .name = "checkpoints",
    .time_word = "used",
    .describe = describe_checkpoint,
    .verify = verify_checkpoint,
    .remove = remove_checkpoint,
    .remove_leftovers = remove_leftovers,
};
