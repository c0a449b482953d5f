/* SPDX-License-Identifier: MIT */
#include "powercut/crash-file.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR SP_DISK_SECTOR
/* What is left out of a sparse file where it is all zeros. */
#define PIECE 65536u

/* Of the file after each update, so that a change by somebody else shows. */
static const struct timespec our_time = {.tv_sec = 1};

struct SpCrashFile {
    const SpCrashDisk *disk;
    char *path;
    int fd;
    guint64 first, end; /* sectors of the disk */
    GArray *written;    /* of SpDiskPiece: what the file has that is not the base's */
    guint restored;
};

static bool write_all(const SpCrashFile *file, const guint8 *data, gsize length, guint64 offset)
{
    while (length > 0) {
        ssize_t n = pwrite(file->fd, data, length, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        data += n;
        length -= (gsize)n;
        offset += (guint64)n;
    }
    return true;
}

static bool is_zero(const guint8 *data, gsize length)
{
    return data[0] == 0 && memcmp(data, data + 1, length - 1) == 0;
}

static bool write_base(const SpCrashFile *file)
{
    guint64 length = (file->end - file->first) * SECTOR;
    const guint8 *base = sp_crash_disk_base_sector(file->disk, file->first);

    if (ftruncate(file->fd, (off_t)length) < 0)
        return false;
    for (guint64 at = 0; at < length; at += PIECE) {
        gsize n = MIN(PIECE, length - at);

        if (!is_zero(base + at, n) && !write_all(file, base + at, n, at))
            return false;
    }
    return true;
}

static bool write_zeros(const SpCrashFile *file, guint64 length, guint64 offset)
{
    static const guint8 zeros[PIECE];

    for (guint64 at = 0; at < length; at += PIECE) {
        if (!write_all(file, zeros, MIN(PIECE, length - at), offset + at))
            return false;
    }
    return true;
}

static bool write_piece(const SpCrashFile *file, SpDiskPiece piece)
{
    guint64 offset = (piece.first - file->first) * SECTOR;
    guint64 length = (piece.end - piece.first) * SECTOR;

    if (!piece.entry)
        return write_all(file, sp_crash_disk_base_sector(file->disk, piece.first), length, offset);
    if (!piece.entry->data)
        return write_zeros(file, length, offset);
    return write_all(file, sp_log_entry_sector(piece.entry, piece.first), length, offset);
}

/* What the list has at @sector, and up to where it has that. @i is where to look from. */
static SpDiskPiece next(GArray *list, guint *i, guint64 sector, guint64 end)
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

static bool write_differences(SpCrashFile *file, GArray *now)
{
    guint i = 0, j = 0;

    for (guint64 at = file->first; at < file->end;) {
        SpDiskPiece before = next(file->written, &i, at, file->end);
        SpDiskPiece after = next(now, &j, at, file->end);

        after.end = MIN(before.end, after.end);
        if (before.entry != after.entry && !write_piece(file, after))
            return false;
        at = after.end;
    }
    return true;
}

static bool failed(const SpCrashFile *file, GError **error)
{
    g_set_error(
        error, SP_ERROR, SP_ERROR_HOST, "'%s' can't be written: %s", file->path, g_strerror(errno));
    return false;
}

static bool create(SpCrashFile *file)
{
    if (file->fd >= 0)
        close(file->fd);
    g_array_set_size(file->written, 0);
    file->fd = open(file->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return file->fd >= 0 && write_base(file);
}

static bool is_as_we_left_it(const SpCrashFile *file)
{
    struct stat ours, there;

    return fstat(file->fd, &ours) == 0 && stat(file->path, &there) == 0 &&
           ours.st_dev == there.st_dev && ours.st_ino == there.st_ino &&
           there.st_size == (off_t)((file->end - file->first) * SECTOR) &&
           there.st_mtim.tv_sec == our_time.tv_sec && there.st_mtim.tv_nsec == our_time.tv_nsec;
}

static bool bring_up_to_date(SpCrashFile *file)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, our_time};
    GArray *now = sp_crash_disk_pieces(file->disk, file->first, file->end);
    bool is_good = write_differences(file, now) && futimens(file->fd, times) == 0;

    g_array_unref(file->written);
    file->written = now;
    return is_good;
}

bool sp_crash_file_update(SpCrashFile *file, GError **error)
{
    if (!is_as_we_left_it(file)) {
        file->restored++;
        if (!create(file))
            return failed(file, error);
    }
    return bring_up_to_date(file) || failed(file, error);
}

guint sp_crash_file_restored(const SpCrashFile *file)
{
    return file->restored;
}

SpCrashFile *sp_crash_file_new(
    const SpCrashDisk *disk, const char *path, guint64 offset, guint64 length, GError **error)
{
    g_autoptr(SpCrashFile) file = g_new0(SpCrashFile, 1);

    file->disk = disk;
    file->path = g_strdup(path);
    file->first = offset / SECTOR;
    file->end = (offset + length) / SECTOR;
    file->written = g_array_new(FALSE, FALSE, sizeof(SpDiskPiece));
    file->fd = -1;
    if (create(file) && bring_up_to_date(file))
        return g_steal_pointer(&file);
    failed(file, error);
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
