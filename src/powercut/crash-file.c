/* SPDX-License-Identifier: MIT */
#include "powercut/crash-file.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct SpCrashFile {
    const SpCrashDisk *disk;
    char *path;
    int fd;
    GHashTable *written; /* sector to the data that the file has there, where not the base's */
};

typedef struct {
    SpCrashFile *file;
    GHashTable *now; /* as written, of the state to come */
    bool is_good;
} Update;

static bool write_sector(SpCrashFile *file, guint64 sector, const guint8 *data)
{
    return pwrite(file->fd, data, SP_DISK_SECTOR, (off_t)(sector * SP_DISK_SECTOR)) ==
           SP_DISK_SECTOR;
}

static void on_sector(guint64 sector, const guint8 *data, void *user_data)
{
    Update *update = user_data;
    void *key = GSIZE_TO_POINTER((gsize)sector + 1);

    g_hash_table_insert(update->now, key, (void *)data);
    if (g_hash_table_lookup(update->file->written, key) != data)
        update->is_good = update->is_good && write_sector(update->file, sector, data);
}

static bool failed(SpCrashFile *file, GError **error)
{
    g_set_error(
        error, SP_ERROR, SP_ERROR_HOST, "'%s' can't be written: %s", file->path, g_strerror(errno));
    return false;
}

bool sp_crash_file_update(SpCrashFile *file, GError **error)
{
    Update update = {.file = file, .now = g_hash_table_new(NULL, NULL), .is_good = true};
    GHashTableIter iter;
    void *key;

    sp_crash_disk_each_sector(file->disk, on_sector, &update);
    g_hash_table_iter_init(&iter, file->written);
    while (g_hash_table_iter_next(&iter, &key, NULL) && update.is_good) {
        guint64 sector = GPOINTER_TO_SIZE(key) - 1;

        if (!g_hash_table_contains(update.now, key))
            update.is_good =
                write_sector(file, sector, sp_crash_disk_base_sector(file->disk, sector));
    }
    g_hash_table_unref(file->written);
    file->written = update.now;
    return update.is_good || failed(file, error);
}

SpCrashFile *sp_crash_file_new(const SpCrashDisk *disk, const char *path, GError **error)
{
    g_autoptr(SpCrashFile) file = g_new0(SpCrashFile, 1);

    file->disk = disk;
    file->path = g_strdup(path);
    file->written = g_hash_table_new(NULL, NULL);
    file->fd = -1;
    if (!sp_crash_disk_write_base(disk, path, error))
        return NULL;
    file->fd = open(path, O_WRONLY | O_CLOEXEC);
    if (file->fd < 0) {
        failed(file, error);
        return NULL;
    }
    return sp_crash_file_update(file, error) ? g_steal_pointer(&file) : NULL;
}

void sp_crash_file_free(SpCrashFile *file)
{
    if (!file)
        return;
    if (file->fd >= 0)
        close(file->fd);
    g_hash_table_unref(file->written);
    g_free(file->path);
    g_free(file);
}
