/* SPDX-License-Identifier: MIT */
#pragma once

#include "powercut/write-log.h"

#include <glib.h>
#include <stdbool.h>

/*
 * A disk as a power cut leaves it: a base that never changes, and over it pieces of logged writes.
 * What they hold is not copied, and a write of any length comes and goes as one piece. The disk
 * and each range have a hash that changes with them, so that equal contents are recognized without
 * reading them.
 */

/** 128 bits: the exclusive or, over all sectors that differ from the base, of XXH3 of the new and
 * of the old content, seeded with the sector's number. All zeros: as the base. */
typedef struct {
    guint64 low, high;
} SpDiskHash;

bool sp_disk_hash_equal(SpDiskHash a, SpDiskHash b);
bool sp_disk_hash_is_base(SpDiskHash hash);
/** For hash tables whose keys begin with an SpDiskHash. */
guint sp_disk_hash_key(const void *key);
gboolean sp_disk_hash_keys_equal(const void *a, const void *b);

typedef struct SpCrashDisk SpCrashDisk;

/**
 * A disk on the raw file @base, which is mapped and must not change. SP_ERROR_USAGE if it can't be
 * read, is empty, or is not a whole number of sectors.
 */
SpCrashDisk *sp_crash_disk_new(const char *base, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void sp_crash_disk_free(SpCrashDisk *disk);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpCrashDisk, sp_crash_disk_free)
guint64 sp_crash_disk_size(const SpCrashDisk *disk);

/** Keep a hash of these bytes too, whole sectors; to be called before any write. Returns the
 * range's number. */
guint sp_crash_disk_add_range(SpCrashDisk *disk, guint64 offset, guint64 length);
SpDiskHash sp_crash_disk_hash(const SpCrashDisk *disk);
SpDiskHash sp_crash_disk_range_hash(const SpCrashDisk *disk, guint range);

/** Read its present content. @offset and @length must be within the disk. */
void sp_crash_disk_read(const SpCrashDisk *disk, guint64 offset, guint64 length, guint8 *buffer);

/** The present state, to which sp_crash_disk_undo() can return; marks are a stack. */
gsize sp_crash_disk_mark(const SpCrashDisk *disk);
void sp_crash_disk_undo(SpCrashDisk *disk, gsize mark);
/** Commit: drop the undo history. */
void sp_crash_disk_settle(SpCrashDisk *disk);
/** Reset to the base, and drop the undo history. */
void sp_crash_disk_reset(SpCrashDisk *disk);

/**
 * Let the sectors of @entry from number @from up to, not including, @to arrive, counted from its
 * first one; both are limited to its length. The disk keeps a reference to @entry, which must
 * outlive it. A flush or a mark changes nothing.
 */
void sp_crash_disk_apply(SpCrashDisk *disk, const SpLogEntry *entry, guint64 from, guint64 to);
/**
 * @entry, which was applied between the marks @begin and @end and nowhere else, does not
 * arrive after all; what was applied later stays.
 */
void sp_crash_disk_drop(SpCrashDisk *disk, const SpLogEntry *entry, gsize begin, gsize end);
/** The entries that lost sectors to what was applied since @mark, each once, in no order: an array
 * of const SpLogEntry *. */
GPtrArray *sp_crash_disk_covered(const SpCrashDisk *disk, gsize mark);

/** The sectors from @first up to, not including, @end are those of @entry; of the base if
 * that is NULL. */
typedef struct {
    guint64 first, end;
    const SpLogEntry *entry;
} SpDiskPiece;

/** The pieces that writes brought to the sectors from @first up to @end: an array of SpDiskPiece,
 * in the order of the disk, without those of the base. */
GArray *sp_crash_disk_pieces(const SpCrashDisk *disk, guint64 first, guint64 end);
/** The base's bytes from @sector on. */
const guint8 *sp_crash_disk_base_sector(const SpCrashDisk *disk, guint64 sector);
/** The first sectors between @sector and @end for which the base has data; before them is a hole of
 * its file, zeros that need not be read. Returns false if all is a hole. */
bool sp_crash_disk_base_data(
    const SpCrashDisk *disk, guint64 sector, guint64 end, guint64 *ret_first, guint64 *ret_end);
