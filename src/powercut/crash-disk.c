/* SPDX-License-Identifier: MIT */
#include "powercut/crash-disk.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#define SECTOR SP_DISK_SECTOR
/* Sectors in a leaf of the map, which is made when one of them is written. */
#define LEAF 4096u
/* What is left out of a sparse file where it is all zeros. */
#define PIECE 65536u

typedef struct {
    guint64 first, end; /* sectors */
    SpDiskHash hash;
} Range;

/* What a sector has: @data is NULL for the base's, and @hash all zeros where it is the same. */
typedef struct {
    const guint8 *data;
    SpDiskHash hash; /* what it adds to that of the disk */
} Content;

typedef struct {
    guint64 sector;
    Content before;
    const guint8 *after;
} Change;

struct SpCrashDisk {
    GMappedFile *file;
    const guint8 *base;
    guint64 sectors;
    Content **map;      /* leaves of LEAF each, or NULL */
    GHashTable *hashes; /* SpLogEntry to SpDiskHash of each of its sectors */
    GArray *ranges;     /* of Range */
    GArray *changes;    /* of Change: those that can be undone */
    SpDiskHash hash;
    guint last_range; /* where the last sector was found */
};

static const guint8 zeros[SECTOR];

SpCrashDisk *sp_crash_disk_new(const char *base, GError **error)
{
    g_autoptr(SpCrashDisk) disk = g_new0(SpCrashDisk, 1);
    g_autoptr(GError) local = NULL;
    gsize size;

    disk->file = g_mapped_file_new(base, FALSE, &local);
    size = disk->file ? g_mapped_file_get_length(disk->file) : 0;
    if (size == 0 || size % SECTOR != 0) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "'%s' is no raw disk: %s", base,
            local ? local->message : "it is empty, or no whole number of sectors");
        return NULL;
    }
    disk->base = (const guint8 *)g_mapped_file_get_contents(disk->file);
    disk->sectors = size / SECTOR;
    disk->map = g_new0(Content *, disk->sectors / LEAF + 1);
    disk->hashes = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    disk->ranges = g_array_new(FALSE, FALSE, sizeof(Range));
    disk->changes = g_array_new(FALSE, FALSE, sizeof(Change));
    return g_steal_pointer(&disk);
}

void sp_crash_disk_free(SpCrashDisk *disk)
{
    if (!disk)
        return;
    for (guint64 i = 0; disk->map && i <= disk->sectors / LEAF; i++)
        g_free(disk->map[i]);
    g_free(disk->map);
    g_clear_pointer(&disk->hashes, g_hash_table_unref);
    g_clear_pointer(&disk->ranges, g_array_unref);
    g_clear_pointer(&disk->changes, g_array_unref);
    g_clear_pointer(&disk->file, g_mapped_file_unref);
    g_free(disk);
}

guint64 sp_crash_disk_size(const SpCrashDisk *disk)
{
    return disk->sectors * SECTOR;
}

guint sp_crash_disk_add_range(SpCrashDisk *disk, guint64 offset, guint64 length)
{
    Range range = {.first = offset / SECTOR, .end = (offset + length) / SECTOR};

    g_array_append_val(disk->ranges, range);
    return disk->ranges->len - 1;
}

SpDiskHash sp_crash_disk_hash(const SpCrashDisk *disk)
{
    return disk->hash;
}

SpDiskHash sp_crash_disk_range_hash(const SpCrashDisk *disk, guint range)
{
    return g_array_index(disk->ranges, Range, range).hash;
}

static Content get(const SpCrashDisk *disk, guint64 sector)
{
    const Content *leaf = disk->map[sector / LEAF];

    return leaf ? leaf[sector % LEAF] : (Content){0};
}

static Range *range_of(SpCrashDisk *disk, guint64 sector)
{
    for (guint i = 0; i < disk->ranges->len; i++) {
        guint at = (disk->last_range + i) % disk->ranges->len;
        Range *range = &g_array_index(disk->ranges, Range, at);

        if (sector >= range->first && sector < range->end) {
            disk->last_range = at;
            return range;
        }
    }
    return NULL;
}

static void mix(SpDiskHash *hash, SpDiskHash other)
{
    hash->low ^= other.low;
    hash->high ^= other.high;
}

static void put(SpCrashDisk *disk, guint64 sector, Content content)
{
    Content **leaf = &disk->map[sector / LEAF];
    SpDiskHash difference = content.hash;
    Range *range;

    if (!*leaf)
        *leaf = g_new0(Content, LEAF);
    mix(&difference, (*leaf)[sector % LEAF].hash);
    (*leaf)[sector % LEAF] = content;
    mix(&disk->hash, difference);
    range = range_of(disk, sector);
    if (range)
        mix(&range->hash, difference);
}

static void change(SpCrashDisk *disk, guint64 sector, Content content)
{
    Change step = {sector, get(disk, sector), content.data};

    g_array_append_val(disk->changes, step);
    put(disk, sector, content);
}

static const guint8 *data_of(const SpLogEntry *entry, guint64 i)
{
    return entry->data ? entry->data + i * SECTOR : zeros;
}

static SpDiskHash hash_sector(const SpCrashDisk *disk, guint64 sector, const guint8 *data)
{
    const guint8 *base = sp_crash_disk_base_sector(disk, sector);
    XXH128_hash_t before, after;

    if (memcmp(base, data, SECTOR) == 0)
        return (SpDiskHash){0};
    before = XXH3_128bits_withSeed(base, SECTOR, sector);
    after = XXH3_128bits_withSeed(data, SECTOR, sector);
    return (SpDiskHash){before.low64 ^ after.low64, before.high64 ^ after.high64};
}

/* Made once, as each write comes and goes in many states. */
static const SpDiskHash *hashes_of(SpCrashDisk *disk, const SpLogEntry *entry)
{
    SpDiskHash *hashes = g_hash_table_lookup(disk->hashes, entry);
    guint64 count = entry->length / SECTOR;

    if (hashes)
        return hashes;
    hashes = g_new(SpDiskHash, count);
    for (guint64 i = 0; i < count; i++)
        hashes[i] = hash_sector(disk, entry->offset / SECTOR + i, data_of(entry, i));
    g_hash_table_insert(disk->hashes, (void *)entry, hashes);
    return hashes;
}

/* How many sectors from @sector on, @max at most, are the base's. */
static guint64 count_base(const SpCrashDisk *disk, guint64 sector, guint64 max)
{
    guint64 n = 0;

    while (n < max) {
        const Content *leaf = disk->map[(sector + n) / LEAF];

        if (!leaf)
            n += LEAF - (sector + n) % LEAF;
        else if (!leaf[(sector + n) % LEAF].data)
            n++;
        else
            break;
    }
    return MIN(n, max);
}

void sp_crash_disk_read(const SpCrashDisk *disk, guint64 offset, guint64 length, guint8 *buffer)
{
    while (length > 0) {
        guint64 sector = offset / SECTOR, begin = offset % SECTOR;
        guint64 sectors = count_base(disk, sector, (begin + length + SECTOR - 1) / SECTOR);
        guint64 n = MIN(MAX(sectors, 1) * SECTOR - begin, length);
        const guint8 *from =
            sectors > 0 ? sp_crash_disk_base_sector(disk, sector) : get(disk, sector).data;

        memcpy(buffer, from + begin, n);
        buffer += n;
        offset += n;
        length -= n;
    }
}

gsize sp_crash_disk_mark(const SpCrashDisk *disk)
{
    return disk->changes->len;
}

void sp_crash_disk_undo(SpCrashDisk *disk, gsize mark)
{
    while (disk->changes->len > mark) {
        const Change *last = &g_array_index(disk->changes, Change, disk->changes->len - 1);

        put(disk, last->sector, last->before);
        g_array_set_size(disk->changes, disk->changes->len - 1);
    }
}

void sp_crash_disk_settle(SpCrashDisk *disk)
{
    g_array_set_size(disk->changes, 0);
}

void sp_crash_disk_apply(SpCrashDisk *disk, const SpLogEntry *entry, guint64 sectors)
{
    const SpDiskHash *hashes;

    sectors = MIN(sectors, entry->length / SECTOR);
    if (entry->kind == SP_LOG_FLUSH)
        return;
    hashes = hashes_of(disk, entry);
    for (guint64 i = 0; i < sectors; i++)
        change(disk, entry->offset / SECTOR + i, (Content){data_of(entry, i), hashes[i]});
}

/* All discards have the same zeros: which of two came last can't be told by them. */
static bool is_last(const SpCrashDisk *disk, const Change *step, gsize end)
{
    if (get(disk, step->sector).data != step->after)
        return false;
    for (gsize i = end; step->after == zeros && i < disk->changes->len; i++) {
        if (g_array_index(disk->changes, Change, i).sector == step->sector)
            return false;
    }
    return true;
}

void sp_crash_disk_drop(SpCrashDisk *disk, gsize begin, gsize end)
{
    for (gsize i = begin; i < end; i++) {
        const Change step = g_array_index(disk->changes, Change, i);

        /* where another write came later, it makes no difference */
        if (is_last(disk, &step, end))
            change(disk, step.sector, step.before);
    }
}

void sp_crash_disk_each_sector(const SpCrashDisk *disk, SpCrashSectorFunc func, void *user_data)
{
    for (guint64 i = 0; i < disk->sectors; i++) {
        const Content *leaf = disk->map[i / LEAF];

        if (!leaf)
            i |= LEAF - 1;
        else if (leaf[i % LEAF].data)
            func(i, leaf[i % LEAF].data, user_data);
    }
}

const guint8 *sp_crash_disk_base_sector(const SpCrashDisk *disk, guint64 sector)
{
    return disk->base + sector * SECTOR;
}

/* The base's next piece that is not all zeros. */
static gsize next_piece(const SpCrashDisk *disk, gsize at, gsize *ret_length)
{
    gsize size = sp_crash_disk_size(disk);

    for (; at < size; at += PIECE) {
        *ret_length = MIN(PIECE, size - at);
        for (gsize i = 0; i < *ret_length; i += SECTOR) {
            if (memcmp(disk->base + at + i, zeros, SECTOR) != 0)
                return at;
        }
    }
    return size;
}

static bool write_pieces(const SpCrashDisk *disk, int fd)
{
    gsize size = sp_crash_disk_size(disk), length;

    if (ftruncate(fd, (off_t)size) < 0)
        return false;
    for (gsize at = next_piece(disk, 0, &length); at < size; at = next_piece(disk, at, &length)) {
        for (gsize done = 0; done < length;) {
            ssize_t n = pwrite(fd, disk->base + at + done, length - done, (off_t)(at + done));

            if (n < 0 && errno == EINTR)
                continue;
            if (n <= 0)
                return false;
            done += (gsize)n;
        }
        at += length;
    }
    return true;
}

bool sp_crash_disk_write_base(const SpCrashDisk *disk, const char *path, GError **error)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool is_good = fd >= 0 && write_pieces(disk, fd);
    int number = errno;

    if (!is_good)
        g_set_error(
            error, SP_ERROR, SP_ERROR_HOST, "'%s' can't be written: %s", path, g_strerror(number));
    if (fd >= 0)
        close(fd);
    return is_good;
}
