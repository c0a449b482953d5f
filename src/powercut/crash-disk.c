/* SPDX-License-Identifier: MIT */

/* A disk of pieces of writes over a base, with undo and incremental hashes. */

#include "powercut/crash-disk.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#define SECTOR SP_DISK_SECTOR
/* Sectors in a part of the map; pieces end where it does. */
#define PART 16384u

typedef struct {
    guint64 first, end; /* sectors */
    SpDiskHash hash;
} Range;

/* The hash of what the first n sectors of an entry change. */
typedef struct {
    SpDiskHash *sums; /* of a write, from n = 0 on; NULL of a discard */
    GArray *changes;  /* of a discard: Change, in order */
} EntryHash;

/* A discard may cover the whole disk, of which little may have been written. */
typedef struct {
    guint64 sector;
    SpDiskHash sum; /* up to it, and with it */
} Change;

struct SpCrashDisk {
    int fd; /* of the base, like the next ones */
    GMappedFile *file;
    const guint8 *base;
    guint64 sectors;
    GArray **map;       /* for each part NULL, or its SpDiskPieces, in order */
    GHashTable *hashes; /* SpLogEntry to EntryHash */
    GArray *ranges;     /* of Range */
    GArray *changes;    /* of SpDiskPiece, as they were: those that can be undone */
    SpDiskHash hash;
};

bool sp_disk_hash_equal(SpDiskHash a, SpDiskHash b)
{
    return a.low == b.low && a.high == b.high;
}

bool sp_disk_hash_is_base(SpDiskHash hash)
{
    return hash.low == 0 && hash.high == 0;
}

guint sp_disk_hash_key(const void *key)
{
    return (guint)((const SpDiskHash *)key)->low;
}

gboolean sp_disk_hash_keys_equal(const void *a, const void *b)
{
    return sp_disk_hash_equal(*(const SpDiskHash *)a, *(const SpDiskHash *)b);
}

static void entry_hash_free(void *data)
{
    EntryHash *hash = data;

    g_free(hash->sums);
    g_clear_pointer(&hash->changes, g_array_unref);
    g_free(hash);
}

/* Returns its size, or 0 with @error. */
static gsize map_base(SpCrashDisk *disk, const char *base, GError **error)
{
    g_autoptr(GError) local = NULL;
    gsize size;

    disk->fd = open(base, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (disk->fd < 0) {
        g_set_error(
            error, SP_ERROR, SP_ERROR_USAGE, "'%s' can't be opened: %s", base, g_strerror(errno));
        return 0;
    }
    disk->file = g_mapped_file_new_from_fd(disk->fd, FALSE, &local);
    size = disk->file ? g_mapped_file_get_length(disk->file) : 0;
    if (size > 0 && size % SECTOR == 0)
        return size;
    g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "'%s' is not a raw disk: %s", base,
        local ? local->message : "it is empty, or no whole number of sectors");
    return 0;
}

SpCrashDisk *sp_crash_disk_new(const char *base, GError **error)
{
    g_autoptr(SpCrashDisk) disk = g_new0(SpCrashDisk, 1);
    gsize size = map_base(disk, base, error);

    if (size == 0)
        return NULL;
    disk->base = (const guint8 *)g_mapped_file_get_contents(disk->file);
    disk->sectors = size / SECTOR;
    disk->map = g_new0(GArray *, disk->sectors / PART + 1);
    disk->hashes = g_hash_table_new_full(NULL, NULL, NULL, entry_hash_free);
    disk->ranges = g_array_new(FALSE, FALSE, sizeof(Range));
    disk->changes = g_array_new(FALSE, FALSE, sizeof(SpDiskPiece));
    return g_steal_pointer(&disk);
}

void sp_crash_disk_free(SpCrashDisk *disk)
{
    if (!disk)
        return;
    for (guint64 i = 0; disk->map && i <= disk->sectors / PART; i++)
        g_clear_pointer(&disk->map[i], g_array_unref);
    g_free(disk->map);
    g_clear_pointer(&disk->hashes, g_hash_table_unref);
    g_clear_pointer(&disk->ranges, g_array_unref);
    g_clear_pointer(&disk->changes, g_array_unref);
    g_clear_pointer(&disk->file, g_mapped_file_unref);
    if (disk->fd >= 0)
        close(disk->fd);
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

const guint8 *sp_crash_disk_base_sector(const SpCrashDisk *disk, guint64 sector)
{
    return disk->base + sector * SECTOR;
}

bool sp_crash_disk_base_data(
    const SpCrashDisk *disk, guint64 sector, guint64 end, guint64 *ret_first, guint64 *ret_end)
{
    off_t data = lseek(disk->fd, (off_t)(sector * SECTOR), SEEK_DATA), hole;

    if (data < 0 && errno == ENXIO)
        return false;
    /* if the file system can't tell, all is data */
    hole = data < 0 ? -1 : lseek(disk->fd, data, SEEK_HOLE);
    *ret_first = data < 0 ? sector : MAX(sector, (guint64)data / SECTOR);
    *ret_end = hole < 0 ? end : MIN(end, ((guint64)hole + SECTOR - 1) / SECTOR);
    return *ret_first < end;
}

static void mix_hashes(SpDiskHash *hash, SpDiskHash other)
{
    hash->low ^= other.low;
    hash->high ^= other.high;
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

static SpDiskHash *hash_write(const SpCrashDisk *disk, const SpLogEntry *entry)
{
    guint64 count = entry->length / SECTOR, first = entry->offset / SECTOR;
    SpDiskHash *sums = g_new(SpDiskHash, count + 1);

    sums[0] = (SpDiskHash){0};
    for (guint64 i = 0; i < count; i++) {
        sums[i + 1] = hash_sector(disk, first + i, sp_log_entry_sector(entry, first + i));
        mix_hashes(&sums[i + 1], sums[i]);
    }
    return sums;
}

/* A discard changes only what is data in the base. */
static GArray *hash_discard(const SpCrashDisk *disk, const SpLogEntry *entry)
{
    GArray *changes = g_array_new(FALSE, FALSE, sizeof(Change));
    guint64 at = entry->offset / SECTOR, end = at + entry->length / SECTOR, data_end;
    Change change = {0};

    while (at < end && sp_crash_disk_base_data(disk, at, end, &at, &data_end)) {
        for (; at < data_end; at++) {
            SpDiskHash hash = hash_sector(disk, at, sp_log_entry_sector(entry, at));

            if (sp_disk_hash_is_base(hash))
                continue;
            mix_hashes(&change.sum, hash);
            change.sector = at;
            g_array_append_val(changes, change);
        }
    }
    return changes;
}

/* Computed once, as each write comes and goes in many states. */
static const EntryHash *hash_of(SpCrashDisk *disk, const SpLogEntry *entry)
{
    EntryHash *hash = g_hash_table_lookup(disk->hashes, entry);

    if (hash)
        return hash;
    hash = g_new0(EntryHash, 1);
    if (entry->data)
        hash->sums = hash_write(disk, entry);
    else
        hash->changes = hash_discard(disk, entry);
    g_hash_table_insert(disk->hashes, (void *)entry, hash);
    return hash;
}

/* The hash of what the sectors of @entry before @sector change. */
static SpDiskHash sum_before(const EntryHash *hash, const SpLogEntry *entry, guint64 sector)
{
    guint low = 0, high = hash->changes ? hash->changes->len : 0;

    if (hash->sums)
        return hash->sums[sector - entry->offset / SECTOR];
    while (low < high) {
        guint middle = low + (high - low) / 2;

        if (g_array_index(hash->changes, Change, middle).sector < sector)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 ? g_array_index(hash->changes, Change, low - 1).sum : (SpDiskHash){0};
}

/* The piece comes or goes, which is the same operation. */
static void mix_piece(SpCrashDisk *disk, SpDiskPiece piece)
{
    const EntryHash *hash = hash_of(disk, piece.entry);

    mix_hashes(&disk->hash, sum_before(hash, piece.entry, piece.first));
    mix_hashes(&disk->hash, sum_before(hash, piece.entry, piece.end));
    for (guint i = 0; i < disk->ranges->len; i++) {
        Range *range = &g_array_index(disk->ranges, Range, i);
        guint64 first = MAX(range->first, piece.first), end = MIN(range->end, piece.end);

        if (first >= end)
            continue;
        mix_hashes(&range->hash, sum_before(hash, piece.entry, first));
        mix_hashes(&range->hash, sum_before(hash, piece.entry, end));
    }
}

static SpDiskPiece *piece_at(GArray *pieces, guint i)
{
    return &g_array_index(pieces, SpDiskPiece, i);
}

/* The first piece that ends after @sector. */
static guint find_piece(GArray *pieces, guint64 sector)
{
    guint low = 0, high = pieces->len;

    while (low < high) {
        guint middle = low + (high - low) / 2;

        if (piece_at(pieces, middle)->end > sector)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* The content of @cut is about to go. */
static void keep_changes(SpCrashDisk *disk, GArray *pieces, guint i, SpDiskPiece cut)
{
    guint64 at = cut.first;

    for (; at < cut.end; i++) {
        bool is_base = i >= pieces->len || piece_at(pieces, i)->first >= cut.end;
        SpDiskPiece before = {at, cut.end, NULL};

        if (!is_base && piece_at(pieces, i)->first > at) {
            before.end = piece_at(pieces, i)->first;
            g_array_append_val(disk->changes, before);
            at = before.end;
        }
        if (!is_base)
            before = (SpDiskPiece){
                at, MIN(cut.end, piece_at(pieces, i)->end), piece_at(pieces, i)->entry};
        g_array_append_val(disk->changes, before);
        at = before.end;
    }
}

/* Join the pieces before and after @i if they are of one entry and meet. */
static void join(GArray *pieces, guint i)
{
    SpDiskPiece *left, *right;

    if (i == 0 || i >= pieces->len)
        return;
    left = piece_at(pieces, i - 1);
    right = piece_at(pieces, i);
    if (left->entry != right->entry || left->end != right->first)
        return;
    right->first = left->first;
    g_array_remove_index(pieces, i - 1);
}

/* Take @cut out of the pieces from @i on. Returns where a piece in its place belongs. */
static guint cut_pieces(SpCrashDisk *disk, GArray *pieces, guint i, SpDiskPiece cut)
{
    guint first;

    if (i < pieces->len && piece_at(pieces, i)->first < cut.first) {
        SpDiskPiece left = *piece_at(pieces, i);

        left.end = cut.first;
        piece_at(pieces, i)->first = cut.first;
        g_array_insert_val(pieces, i, left);
        i++;
    }
    for (first = i; i < pieces->len && piece_at(pieces, i)->end <= cut.end; i++)
        mix_piece(disk, *piece_at(pieces, i));
    if (i < pieces->len && piece_at(pieces, i)->first < cut.end) {
        SpDiskPiece gone = *piece_at(pieces, i);

        gone.end = cut.end;
        mix_piece(disk, gone);
        piece_at(pieces, i)->first = cut.end;
    }
    if (i > first)
        g_array_remove_range(pieces, first, i - first);
    return first;
}

/* @piece, within one part of the map. */
static void put_in_part(SpCrashDisk *disk, SpDiskPiece piece, bool is_kept)
{
    GArray **pieces = &disk->map[piece.first / PART];
    guint i;

    if (!*pieces)
        *pieces = g_array_new(FALSE, FALSE, sizeof(SpDiskPiece));
    i = find_piece(*pieces, piece.first);
    if (is_kept)
        keep_changes(disk, *pieces, i, piece);
    i = cut_pieces(disk, *pieces, i, piece);
    if (!piece.entry)
        return;
    g_array_insert_val(*pieces, i, piece);
    mix_piece(disk, piece);
    join(*pieces, i + 1);
    join(*pieces, i);
}

static void put_piece(SpCrashDisk *disk, SpDiskPiece piece, bool is_kept)
{
    while (piece.first < piece.end) {
        guint64 border = (piece.first / PART + 1) * PART;
        SpDiskPiece part = {piece.first, MIN(piece.end, border), piece.entry};

        /* in a part that has only the base nothing goes */
        if (piece.entry || is_kept || disk->map[piece.first / PART])
            put_in_part(disk, part, is_kept);
        piece.first = part.end;
    }
}

GArray *sp_crash_disk_pieces(const SpCrashDisk *disk, guint64 first, guint64 end)
{
    GArray *found = g_array_new(FALSE, FALSE, sizeof(SpDiskPiece));

    for (guint64 part = first / PART; part * PART < end; part++) {
        GArray *pieces = disk->map[part];

        for (guint i = pieces ? find_piece(pieces, first) : 0; pieces && i < pieces->len; i++) {
            SpDiskPiece piece = *piece_at(pieces, i);

            if (piece.first >= end)
                break;
            piece.first = MAX(piece.first, first);
            piece.end = MIN(piece.end, end);
            g_array_append_val(found, piece);
        }
    }
    return found;
}

/* Copy that part of the bytes from @offset on which lies in the sectors of @piece. */
static void copy_piece(const SpDiskPiece *piece, guint64 offset, guint64 length, guint8 *buffer)
{
    guint64 begin = MAX(piece->first * SECTOR, offset);
    guint64 end = MIN(piece->end * SECTOR, offset + length);

    if (piece->entry->data)
        memcpy(buffer + (begin - offset), piece->entry->data + (begin - piece->entry->offset),
            end - begin);
    else
        memset(buffer + (begin - offset), 0, end - begin);
}

void sp_crash_disk_read(const SpCrashDisk *disk, guint64 offset, guint64 length, guint8 *buffer)
{
    g_autoptr(GArray) pieces =
        sp_crash_disk_pieces(disk, offset / SECTOR, (offset + length + SECTOR - 1) / SECTOR);

    memcpy(buffer, disk->base + offset, length);
    for (guint i = 0; i < pieces->len; i++)
        copy_piece(piece_at(pieces, i), offset, length, buffer);
}

gsize sp_crash_disk_mark(const SpCrashDisk *disk)
{
    return disk->changes->len;
}

void sp_crash_disk_undo(SpCrashDisk *disk, gsize mark)
{
    while (disk->changes->len > mark) {
        put_piece(disk, *piece_at(disk->changes, disk->changes->len - 1), false);
        g_array_set_size(disk->changes, disk->changes->len - 1);
    }
}

void sp_crash_disk_settle(SpCrashDisk *disk)
{
    g_array_set_size(disk->changes, 0);
}

void sp_crash_disk_reset(SpCrashDisk *disk)
{
    put_piece(disk, (SpDiskPiece){0, disk->sectors, NULL}, false);
    sp_crash_disk_settle(disk);
}

void sp_crash_disk_apply(SpCrashDisk *disk, const SpLogEntry *entry, guint64 from, guint64 to)
{
    guint64 first = entry->offset / SECTOR;

    to = MIN(to, entry->length / SECTOR);
    if (from < to)
        put_piece(disk, (SpDiskPiece){first + from, first + to, entry}, true);
}

void sp_crash_disk_drop(SpCrashDisk *disk, const SpLogEntry *entry, gsize begin, gsize end)
{
    for (gsize i = begin; i < end; i++) {
        SpDiskPiece before = *piece_at(disk->changes, (guint)i);
        g_autoptr(GArray) pieces = sp_crash_disk_pieces(disk, before.first, before.end);

        /* if another write came later, it makes no difference */
        for (guint j = 0; j < pieces->len; j++) {
            SpDiskPiece piece = *piece_at(pieces, j);

            if (piece.entry != entry)
                continue;
            piece.entry = before.entry;
            put_piece(disk, piece, true);
        }
    }
}

GPtrArray *sp_crash_disk_covered(const SpCrashDisk *disk, gsize mark)
{
    GPtrArray *covered = g_ptr_array_new();

    for (gsize i = mark; i < disk->changes->len; i++) {
        const SpLogEntry *entry = piece_at(disk->changes, (guint)i)->entry;

        if (entry && !g_ptr_array_find(covered, entry, NULL))
            g_ptr_array_add(covered, (void *)entry);
    }
    return covered;
}
