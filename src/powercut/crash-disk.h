/* SPDX-License-Identifier: MIT */
#pragma once

#include "powercut/write-log.h"

#include <glib.h>
#include <stdbool.h>

/*
 * A disk as a power cut leaves it: a base that never changes, and sectors of logged writes over it.
 * What the sectors hold is not copied. The whole and each range have a hash that changes with them,
 * so that equal content is seen without reading it.
 */

/** 128 bits: the exclusive or, over all sectors that differ from the base, of XXH3 of the new and
 * of the old content, seeded with the sector's number. All zeros: as the base. */
typedef struct {
    guint64 low, high;
} SpDiskHash;

typedef struct SpCrashDisk SpCrashDisk;

/**
 * A disk on the file @base, raw, which is mapped and must not change. SP_ERROR_USAGE where it can't
 * be read, is empty, or is not a whole number of sectors.
 */
SpCrashDisk *sp_crash_disk_new(const char *base, GError **error);
void sp_crash_disk_free(SpCrashDisk *disk);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpCrashDisk, sp_crash_disk_free)
guint64 sp_crash_disk_size(const SpCrashDisk *disk);

/** Keep a hash of these bytes too, whole sectors that no other range has. Before any write. Returns
 * the range's number. */
guint sp_crash_disk_add_range(SpCrashDisk *disk, guint64 offset, guint64 length);
SpDiskHash sp_crash_disk_hash(const SpCrashDisk *disk);
SpDiskHash sp_crash_disk_range_hash(const SpCrashDisk *disk, guint range);

/** Bytes of it as they are now. @offset and @length are within the disk. */
void sp_crash_disk_read(const SpCrashDisk *disk, guint64 offset, guint64 length, guint8 *buffer);

/** Where the disk stands; undone by going back to it, in the order of a stack. */
gsize sp_crash_disk_mark(const SpCrashDisk *disk);
void sp_crash_disk_undo(SpCrashDisk *disk, gsize mark);
/** From now on nothing before can be undone. */
void sp_crash_disk_settle(SpCrashDisk *disk);

/** The first @sectors sectors of @entry arrive. */
void sp_crash_disk_apply(SpCrashDisk *disk, const SpLogEntry *entry, guint64 sectors);
/**
 * @entry, which was applied between the marks @begin and @end, did not arrive after all; what was
 * applied later stays.
 */
void sp_crash_disk_drop(SpCrashDisk *disk, gsize begin, gsize end);

/** Call @func for each sector that writes have brought, with the 512 bytes that it has. */
typedef void (*SpCrashSectorFunc)(guint64 sector, const guint8 *data, void *user_data);
void sp_crash_disk_each_sector(const SpCrashDisk *disk, SpCrashSectorFunc func, void *user_data);
/** The base's 512 bytes of @sector. */
const guint8 *sp_crash_disk_base_sector(const SpCrashDisk *disk, guint64 sector);
/** Write the base as the sparse file @path, anew. */
bool sp_crash_disk_write_base(const SpCrashDisk *disk, const char *path, GError **error);
