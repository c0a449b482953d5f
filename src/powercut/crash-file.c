/* SPDX-License-Identifier: MIT */

/* A raw file that follows a crash disk. */

#include "powercut/crash-file.h"

#include "base/error.h"
#include "lib/write-all.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR SP_DISK_SECTOR
/* The unit that is left out of a sparse file if it is all zeros. */
#define PIECE 65536u

/* The file's time after each update, so that a change by another program shows. */
static const struct timespec our_time = {.tv_sec = 1};

struct SpCrashFile {
    const SpCrashDisk *disk;
    char *path;
    int fd;
    const SpTask *task; /* or NULL */
    guint64 first, end; /* sectors of the disk */
    GArray *written;    /* of SpDiskPiece: what the file has that is not the base's */
    guint restored;
};

static bool write_bytes(const SpCrashFile *file, const guint8 *data, gsize length, guint64 offset)
{
    int r = sp_pwrite_all(file->fd, data, length, (off_t)offset);

    errno = -r;
    return r == 0;
}

static bool is_all_zeros(const guint8 *data, gsize length)
{
    return data[0] == 0 && memcmp(data, data + 1, length - 1) == 0;
}

static bool host_failed(const SpCrashFile *file, GError **error)
{
    g_set_error(
        error, SP_ERROR, SP_ERROR_HOST, "'%s' can't be written: %s", file->path, g_strerror(errno));
    return false;
}

static bool step_copy(const SpCrashFile *file, guint64 at, GError **error)
{
    return sp_task_step(file->task, "copying the disk", (at - file->first) * SECTOR,
        (file->end - file->first) * SECTOR, error);
}

static bool write_zeros(const SpCrashFile *file, guint64 first, guint64 end, GError **error)
{
    static const guint8 zeros[PIECE];
    guint64 offset = (first - file->first) * SECTOR, length = (end - first) * SECTOR;

    if (length > PIECE && fallocate(file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                              (off_t)offset, (off_t)length) == 0)
        return true;
    for (guint64 at = 0; at < length; at += PIECE) {
        if (!step_copy(file, first + at / SECTOR, error))
            return false;
        if (!write_bytes(file, zeros, MIN(PIECE, length - at), offset + at))
            return host_failed(file, error);
    }
    return true;
}

/* Write the base from @first up to @end over zeros: without its holes and zeros. */
static bool write_data(const SpCrashFile *file, guint64 first, guint64 end, GError **error)
{
    guint64 at = first, data_end;

    while (at < end && sp_crash_disk_base_data(file->disk, at, end, &at, &data_end)) {
        for (guint64 n; at < data_end; at += n) {
            const guint8 *base = sp_crash_disk_base_sector(file->disk, at);

            n = MIN(PIECE / SECTOR, data_end - at);
            if (!step_copy(file, at, error))
                return false;
            if (!is_all_zeros(base, n * SECTOR) &&
                !write_bytes(file, base, n * SECTOR, (at - file->first) * SECTOR))
                return host_failed(file, error);
        }
    }
    return true;
}

static bool write_base(const SpCrashFile *file, GError **error)
{
    if (ftruncate(file->fd, (off_t)((file->end - file->first) * SECTOR)) < 0)
        return host_failed(file, error);
    return write_data(file, file->first, file->end, error);
}

static bool write_disk_piece(const SpCrashFile *file, SpDiskPiece piece, GError **error)
{
    guint64 offset = (piece.first - file->first) * SECTOR;
    guint64 length = (piece.end - piece.first) * SECTOR;
    const guint8 *bytes;

    if (piece.entry && !piece.entry->data)
        return write_zeros(file, piece.first, piece.end, error);
    if (!piece.entry && length > PIECE)
        return write_zeros(file, piece.first, piece.end, error) &&
               write_data(file, piece.first, piece.end, error);
    bytes = piece.entry ? sp_log_entry_sector(piece.entry, piece.first)
                        : sp_crash_disk_base_sector(file->disk, piece.first);
    return write_bytes(file, bytes, length, offset) || host_failed(file, error);
}

/* The piece of the list from @sector on. @i is where to look from. */
static SpDiskPiece next_piece(GArray *list, guint *i, guint64 sector, guint64 end)
{
    while (*i < list->len && g_array_index(list, SpDiskPiece, *i).end <= sector)
        (*i)++;
    if (*i < list->len) {
        SpDiskPiece piece = g_array_index(list, SpDiskPiece, *i);

        if (piece.first > sector)
            return (SpDiskPiece){sector, piece.first, NULL};
        piece.first = sector;
        return piece;
    }
    return (SpDiskPiece){sector, end, NULL};
}

static bool write_differences(SpCrashFile *file, GArray *now, GError **error)
{
    guint i = 0, j = 0;

    for (guint64 at = file->first; at < file->end;) {
        SpDiskPiece before = next_piece(file->written, &i, at, file->end);
        SpDiskPiece after = next_piece(now, &j, at, file->end);

        after.end = MIN(before.end, after.end);
        if (before.entry != after.entry && !write_disk_piece(file, after, error))
            return false;
        at = after.end;
    }
    return true;
}

static bool create_crash_file(SpCrashFile *file, GError **error)
{
    if (file->fd >= 0)
        close(file->fd);
    g_array_set_size(file->written, 0);
    file->fd = open(file->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return file->fd >= 0 ? write_base(file, error) : host_failed(file, error);
}

static bool is_as_we_left_it(const SpCrashFile *file)
{
    struct stat ours, there;

    return fstat(file->fd, &ours) == 0 && stat(file->path, &there) == 0 &&
           ours.st_dev == there.st_dev && ours.st_ino == there.st_ino &&
           there.st_size == (off_t)((file->end - file->first) * SECTOR) &&
           there.st_mtim.tv_sec == our_time.tv_sec && there.st_mtim.tv_nsec == our_time.tv_nsec;
}

static bool bring_up_to_date(SpCrashFile *file, GError **error)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, our_time};
    GArray *now = sp_crash_disk_pieces(file->disk, file->first, file->end);
    bool is_good = write_differences(file, now, error);

    g_array_unref(file->written);
    file->written = now;
    if (is_good && futimens(file->fd, times) < 0)
        return host_failed(file, error);
    return is_good;
}

bool sp_crash_file_update(SpCrashFile *file, GError **error)
{
    if (!is_as_we_left_it(file)) {
        file->restored++;
        if (!create_crash_file(file, error))
            return false;
    }
    return bring_up_to_date(file, error);
}

bool sp_crash_file_finish(SpCrashFile *file, GError **error)
{
    int fd = file->fd;
    bool is_good = futimens(fd, NULL) == 0;

    file->fd = -1;
    is_good = close(fd) == 0 && is_good;
    return is_good || host_failed(file, error);
}

guint sp_crash_file_restored(const SpCrashFile *file)
{
    return file->restored;
}

/* An incomplete disk might be taken for a whole one. A file that has another name, as one below
 * /proc does, stays. */
static void remove_part(const SpCrashFile *file)
{
    struct stat ours, there;

    if (file->fd >= 0 && fstat(file->fd, &ours) == 0 && lstat(file->path, &there) == 0 &&
        S_ISREG(there.st_mode) && ours.st_dev == there.st_dev && ours.st_ino == there.st_ino)
        unlink(file->path);
}

SpCrashFile *sp_crash_file_new(const SpCrashDisk *disk, const char *path, guint64 offset,
    guint64 length, const SpTask *task, GError **error)
{
    g_autoptr(SpCrashFile) file = g_new0(SpCrashFile, 1);

    file->disk = disk;
    file->task = task;
    file->path = g_strdup(path);
    file->first = offset / SECTOR;
    file->end = (offset + length) / SECTOR;
    file->written = g_array_new(FALSE, FALSE, sizeof(SpDiskPiece));
    file->fd = -1;
    if (create_crash_file(file, error) && bring_up_to_date(file, error))
        return g_steal_pointer(&file);
    remove_part(file);
    return NULL;
}

void sp_crash_file_free(SpCrashFile *file)
{
    if (!file)
        return;
    if (file->fd >= 0)
        close(file->fd);
    g_array_unref(file->written);
    g_free(file->path);
    g_free(file);
}
