/* SPDX-License-Identifier: MIT */
#include "store/checkpoint-store.h"

#include "base/error.h"
#include "store/checkpoint-key.h"
#include "store/quick-digest.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MANIFEST "manifest"
/* Its groups: what it is called and in which boot of the host it was looked at, the digest of each
 * file, and of each what told it from others then. */
#define HEAD "Checkpoint"
#define FILES "Files"
#define SEEN "Seen"
#define KEY_LENGTH 64
#define NEW_PREFIX ".new-"
/* A disk that has less than this is full. */
#define SPARE_BYTES (1024 * 1024)

struct SpCheckpoint {
    char *dir;
    int lock_fd;
    bool is_new;
    char *fault;
};

char *sp_checkpoints_folder(void)
{
    return g_build_filename(g_get_user_cache_dir(), "slotproof", "checkpoints", NULL);
}

guint64 sp_checkpoints_size_max(void)
{
    const char *text = g_getenv("SLOTPROOF_CACHE_MIB");
    guint64 mib = SP_CHECKPOINTS_SIZE_DEFAULT_MIB;

    if (text && *text)
        g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT32, &mib, NULL);
    return mib * 1024 * 1024;
}

static bool host_error(GError **error, const char *path, const char *what)
{
    g_set_error(error, SP_ERROR, sp_error_code_of_errno(errno), "'%s' can't be %s: %s", path, what,
        g_strerror(errno));
    return false;
}

static int lock(const char *folder, const char *key, int operation)
{
    g_autofree char *name = g_strconcat(key, ".lock", NULL);
    g_autofree char *path = g_build_filename(folder, name, NULL);
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

/* Files only: there are no folders in a checkpoint. */
static bool remove_folder(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *file = g_build_filename(path, name, NULL);
        g_unlink(file);
    }
    return g_rmdir(path) == 0 || errno == ENOENT;
}

/* What tells that a file is the one that was looked at. */
static char *describe_identity(const char *path, GError **error)
{
    struct stat st;

    if (stat(path, &st) < 0) {
        host_error(error, path, "read");
        return NULL;
    }
    return g_strdup_printf("%" G_GUINT64_FORMAT " %" G_GINT64_FORMAT " %" G_GINT64_FORMAT
                           ".%09ld %" G_GINT64_FORMAT ".%09ld",
        (guint64)st.st_ino, (gint64)st.st_size, (gint64)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
        (gint64)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
}

/* What the host has written since it was started is not lost, whether or not it is on the disk. */
static char *host_boot_id(void)
{
    char *id = NULL;

    if (!g_file_get_contents("/proc/sys/kernel/random/boot_id", &id, NULL, NULL))
        return g_strdup("");
    return g_strchomp(id);
}

static bool write_manifest(GKeyFile *manifest, const char *dir, GError **error)
{
    g_autofree char *path = g_build_filename(dir, MANIFEST, NULL);
    g_autofree char *text = g_key_file_to_data(manifest, NULL, NULL);

    return g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0600, error);
}

/* Add the digest of the file @name in @dir, and which file that was. */
static bool describe_file(GKeyFile *manifest, const char *dir, const char *name, GError **error)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);
    g_autofree char *identity = describe_identity(path, error);
    g_autofree char *digest = identity ? sp_quick_digest(path, error) : NULL;

    if (!digest)
        return false;
    g_key_file_set_string(manifest, FILES, name, digest);
    g_key_file_set_string(manifest, SEEN, name, identity);
    return true;
}

static bool make_manifest(const char *dir, const char *name, GError **error)
{
    g_autoptr(GKeyFile) manifest = g_key_file_new();
    g_autoptr(GDir) entries = g_dir_open(dir, 0, error);
    g_autofree char *boot = host_boot_id();
    const char *file;

    g_key_file_set_string(manifest, HEAD, "Name", name);
    g_key_file_set_string(manifest, HEAD, "Boot", boot);
    while (entries && (file = g_dir_read_name(entries))) {
        if (!describe_file(manifest, dir, file, error))
            return false;
    }
    return entries && write_manifest(manifest, dir, error);
}

static GKeyFile *load_manifest(const char *dir, GError **error)
{
    g_autoptr(GKeyFile) manifest = g_key_file_new();
    g_autofree char *path = g_build_filename(dir, MANIFEST, NULL);
    g_autoptr(GError) local = NULL;

    if (g_key_file_load_from_file(manifest, path, G_KEY_FILE_NONE, &local) &&
        g_key_file_has_group(manifest, FILES))
        return g_steal_pointer(&manifest);
    g_set_error(error, SP_ERROR, SP_ERROR_HOST, "'%s' is not what was saved%s%s", path,
        local ? ": " : "", local ? local->message : "");
    return NULL;
}

/* Whether the file @name of @dir is what was saved; @ret_identity, NULL for no matter, is given
 * which file it is. */
static bool verify_file(
    GKeyFile *manifest, const char *dir, const char *name, char **ret_identity, GError **error)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);
    g_autofree char *expected = g_key_file_get_string(manifest, FILES, name, NULL);
    g_autofree char *identity = describe_identity(path, error);
    g_autofree char *digest = NULL;

    if (!identity)
        return false;
    /* one that an earlier slotproof has made */
    digest = expected && g_str_has_prefix(expected, SP_QUICK_DIGEST_PREFIX)
                 ? sp_quick_digest(path, error)
                 : sp_file_digest(path, error);
    if (!digest)
        return false;
    if (g_strcmp0(digest, expected) != 0) {
        g_set_error(error, SP_ERROR, SP_ERROR_HOST, "'%s' is not what was saved", path);
        return false;
    }
    if (ret_identity)
        *ret_identity = g_steal_pointer(&identity);
    return true;
}

/* As it was when it was looked at last, by all that tells without reading it. */
static bool is_unchanged(GKeyFile *manifest, const char *dir, const char *name)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);
    g_autofree char *seen = g_key_file_get_string(manifest, SEEN, name, NULL);
    g_autofree char *identity = describe_identity(path, NULL);

    return seen && g_strcmp0(seen, identity) == 0;
}

/* Whether all files of @dir are what was saved. They are read where they, or the host's boot, are
 * not those that were seen last. */
static bool check_files(GKeyFile *manifest, const char *dir, GError **error)
{
    g_auto(GStrv) names = g_key_file_get_keys(manifest, FILES, NULL, error);
    g_autofree char *boot = host_boot_id();
    g_autofree char *seen_boot = g_key_file_get_string(manifest, HEAD, "Boot", NULL);
    bool is_same_boot = *boot && g_strcmp0(boot, seen_boot) == 0, is_changed = !is_same_boot;

    for (char **name = names; name && *name; name++) {
        g_autofree char *identity = NULL;

        if (is_same_boot && is_unchanged(manifest, dir, *name))
            continue;
        if (!verify_file(manifest, dir, *name, &identity, error))
            return false;
        g_key_file_set_string(manifest, SEEN, *name, identity);
        is_changed = true;
    }
    g_key_file_set_string(manifest, HEAD, "Boot", boot);
    /* only a memory: without it they are read again */
    if (names && is_changed)
        (void)write_manifest(manifest, dir, NULL);
    return names != NULL;
}

/* False without an error where there is none. */
static bool is_whole(const char *dir, GError **error)
{
    g_autofree char *path = g_build_filename(dir, MANIFEST, NULL);
    g_autoptr(GKeyFile) manifest = NULL;

    if (access(path, F_OK) < 0)
        return false;
    manifest = load_manifest(dir, error);
    return manifest && check_files(manifest, dir, error);
}

/* Whether there is no room for a file in the folder @path: the call that found that out may have
 * been one of another process, QEMU's. */
static bool is_full(const char *path)
{
    g_autofree char *file = g_build_filename(path, "room", NULL);
    int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int number = fd < 0 ? errno : posix_fallocate(fd, 0, SPARE_BYTES);

    if (fd >= 0) {
        close(fd);
        g_unlink(file);
    }
    return sp_error_code_of_errno(number) == SP_ERROR_NO_SPACE;
}

/* Others make room for it. */
static bool make_work_folder(const char *folder, const char *work, GError **error)
{
    if (g_mkdir(work, 0700) == 0)
        return true;
    if (sp_error_code_of_errno(errno) == SP_ERROR_NO_SPACE) {
        sp_checkpoints_make_room(folder, SPARE_BYTES);
        if (g_mkdir(work, 0700) == 0)
            return true;
    }
    return host_error(error, work, "made");
}

/* Under the lock of @key alone, so what is in the way was left by somebody who died. */
static bool make_it(const char *folder, const char *key, const char *name,
    SpCheckpointMakeFunc make, void *data, GError **error)
{
    g_autofree char *new_name = g_strconcat(NEW_PREFIX, key, NULL);
    g_autofree char *work = g_build_filename(folder, new_name, NULL);
    g_autofree char *dir = g_build_filename(folder, key, NULL);
    g_autoptr(GError) local = NULL;

    remove_folder(work);
    remove_folder(dir);
    if (!make_work_folder(folder, work, error))
        return false;
    if (make(work, data, &local) && make_manifest(work, name, &local)) {
        if (g_rename(work, dir) == 0)
            return true;
        host_error(&local, dir, "made");
    }
    if (is_full(work)) {
        local->domain = SP_ERROR;
        local->code = SP_ERROR_NO_SPACE;
    }
    g_propagate_error(error, g_steal_pointer(&local));
    remove_folder(work);
    return false;
}

/* flock(2) does not change one kind of lock into the other in one step: between the two somebody
 * else may make the checkpoint, or throw it away. */
static bool hold(SpCheckpoint *checkpoint, int operation, GError **error)
{
    while (flock(checkpoint->lock_fd, operation) < 0) {
        if (errno != EINTR)
            return host_error(error, checkpoint->dir, "locked");
    }
    return true;
}

SpCheckpoint *sp_checkpoint_get(const char *folder, const char *key, const char *name,
    SpCheckpointMakeFunc make, void *data, GError **error)
{
    g_autoptr(SpCheckpoint) checkpoint = g_new0(SpCheckpoint, 1);
    g_autofree char *manifest = g_build_filename(folder, key, MANIFEST, NULL);

    checkpoint->dir = g_build_filename(folder, key, NULL);
    checkpoint->lock_fd = g_mkdir_with_parents(folder, 0700) == 0 ? lock(folder, key, LOCK_SH) : -1;
    if (checkpoint->lock_fd < 0) {
        host_error(error, folder, "used for checkpoints (see XDG_CACHE_HOME)");
        return NULL;
    }
    while (!is_whole(checkpoint->dir, NULL)) {
        g_autoptr(GError) fault = NULL;

        if (!hold(checkpoint, LOCK_EX, error))
            return NULL;
        if (!is_whole(checkpoint->dir, &fault)) {
            checkpoint->is_new = true;
            checkpoint->fault = fault ? g_strdup(fault->message) : NULL;
            if (!make_it(folder, key, name, make, data, error))
                return NULL;
        }
        if (!hold(checkpoint, LOCK_SH, error))
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

void sp_checkpoint_info_free(SpCheckpointInfo *info)
{
    g_free(info->key);
    g_free(info->name);
    g_free(info);
}

static bool is_key(const char *name)
{
    return strlen(name) == KEY_LENGTH && strspn(name, "0123456789abcdef") == KEY_LENGTH;
}

static guint64 size_of(const char *dir)
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

static SpCheckpointInfo *get_info(const char *folder, const char *key)
{
    SpCheckpointInfo *info = g_new0(SpCheckpointInfo, 1);
    g_autoptr(GKeyFile) manifest = g_key_file_new();
    g_autofree char *dir = g_build_filename(folder, key, NULL);
    g_autofree char *path = g_build_filename(dir, MANIFEST, NULL);
    struct stat st;

    info->key = g_strdup(key);
    info->size = size_of(dir);
    if (stat(path, &st) == 0)
        info->used_s = st.st_mtim.tv_sec;
    if (g_key_file_load_from_file(manifest, path, G_KEY_FILE_NONE, NULL))
        info->name = g_key_file_get_string(manifest, HEAD, "Name", NULL);
    if (!info->name)
        info->name = g_strdup("?");
    return info;
}

static int compare_use(const void *a, const void *b)
{
    const SpCheckpointInfo *one = *(SpCheckpointInfo *const *)a;
    const SpCheckpointInfo *other = *(SpCheckpointInfo *const *)b;

    if (one->used_s != other->used_s)
        return one->used_s < other->used_s ? 1 : -1;
    return strcmp(one->key, other->key);
}

GPtrArray *sp_checkpoints_list(const char *folder)
{
    GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)sp_checkpoint_info_free);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        if (is_key(name))
            g_ptr_array_add(list, get_info(folder, name));
    }
    g_ptr_array_sort(list, compare_use);
    return list;
}

static bool verify_files(GKeyFile *manifest, const char *dir, GError **error)
{
    g_auto(GStrv) names = g_key_file_get_keys(manifest, FILES, NULL, error);

    for (char **name = names; name && *name; name++) {
        if (!verify_file(manifest, dir, *name, NULL, error))
            return false;
    }
    return names != NULL;
}

bool sp_checkpoint_verify(const char *folder, const char *key, GError **error)
{
    g_autofree char *dir = g_build_filename(folder, key, NULL);
    g_autoptr(GKeyFile) manifest = load_manifest(dir, error);

    return manifest && verify_files(manifest, dir, error);
}

bool sp_checkpoint_remove(const char *folder, const char *key)
{
    g_autofree char *new_name = g_strconcat(NEW_PREFIX, key, NULL);
    g_autofree char *work = g_build_filename(folder, new_name, NULL);
    g_autofree char *dir = g_build_filename(folder, key, NULL);
    g_autofree char *manifest = g_build_filename(dir, MANIFEST, NULL);
    int fd = lock(folder, key, LOCK_EX | LOCK_NB);
    bool is_gone;

    if (fd < 0)
        return false;
    /* without a manifest it is none, wherever this ends */
    g_unlink(manifest);
    is_gone = remove_folder(dir) && remove_folder(work);
    close(fd);
    return is_gone;
}

/* What somebody left who died while he made one. */
static void remove_leftovers(const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        const char *key = g_str_has_prefix(name, NEW_PREFIX) ? name + strlen(NEW_PREFIX) : NULL;
        g_autofree char *path = g_build_filename(folder, name, NULL);
        int fd = key && is_key(key) ? lock(folder, key, LOCK_EX | LOCK_NB) : -1;

        if (fd < 0)
            continue;
        remove_folder(path);
        close(fd);
    }
}

/* Those at the end of @list, as long as what is gone is less than @bytes. */
static void remove_last(const char *folder, const GPtrArray *list, guint64 bytes)
{
    guint64 gone = 0;

    for (guint i = list->len; i > 0 && gone < bytes; i--) {
        const SpCheckpointInfo *info = list->pdata[i - 1];
        if (sp_checkpoint_remove(folder, info->key))
            gone += info->size;
    }
}

void sp_checkpoints_make_room(const char *folder, guint64 bytes)
{
    g_autoptr(GPtrArray) list = sp_checkpoints_list(folder);

    remove_last(folder, list, bytes);
}

void sp_checkpoints_limit(const char *folder, guint64 size_max)
{
    g_autoptr(GPtrArray) list = sp_checkpoints_list(folder);
    guint64 size = 0;

    remove_leftovers(folder);
    for (guint i = 0; i < list->len; i++)
        size += ((SpCheckpointInfo *)list->pdata[i])->size;
    if (size > size_max)
        remove_last(folder, list, size - size_max);
}
