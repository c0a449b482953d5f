/* SPDX-License-Identifier: MIT */
#pragma once

#include "powercut/task.h"

#include <glib.h>
#include <stdbool.h>

/*
 * The log of a disk's writes, as QEMU's block driver blklogwrites makes it: the format of Linux's
 * dm-log-writes (Documentation/admin-guide/device-mapper/log-writes.rst and
 * drivers/md/dm-log-writes.c). A superblock, then an entry for each request: a header of one
 * sector, and for a write its data.
 *
 * QEMU differs (block/blklogwrites.c): a superblock that counts the entries only now and then,
 * so that more may follow; data_len 0, the size being nr_sectors; no FUA (a flush follows in its
 * place), no marks. Discards are without data in both. The unit of all numbers is the log's own
 * sector size.
 *
 * Both log a request when it has ended. dm-log-writes holds back what is not flushed until the next
 * flush, so that a write with FUA comes before all that may be lost although it is not.
 */

#define SP_DISK_SECTOR 512u

typedef enum {
    SP_LOG_WRITE,
    SP_LOG_DISCARD, /* reads as zeros afterwards, as on QEMU's disks */
    SP_LOG_FLUSH,   /* everything completed before survives a power cut */
    SP_LOG_MARK,    /* a note of dm-log-writes' (dmsetup message ... mark TEXT): changes nothing */
} SpLogKind;

typedef struct {
    SpLogKind kind;
    bool begins_epoch;      /* everything before it survives a power cut: it flushed first
                               (PREFLUSH), or came after a flush or FUA */
    guint64 offset, length; /* bytes of the disk, whole sectors; 0 of a flush and a mark */
    const guint8 *data;     /* of a write; the log's memory */
} SpLogEntry;

typedef struct SpWriteLog SpWriteLog;

/**
 * Read the log in the file @path, of a disk of @disk_size bytes; the file is mapped and must not
 * change. SP_ERROR_USAGE if it is not a log, has no complete entry, or is of another disk, with
 * writes beyond the end of this one. @task may be NULL.
 */
SpWriteLog *sp_write_log_open(const char *path, guint64 disk_size, const SpTask *task,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** The same from @bytes, to which it keeps a reference. */
SpWriteLog *sp_write_log_parse(
    GBytes *bytes, guint64 disk_size, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void sp_write_log_free(SpWriteLog *log);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpWriteLog, sp_write_log_free)

const SpLogEntry *sp_write_log_entries(const SpWriteLog *log, guint *ret_count);
/** A sentence about how a log is cut off and what is left out; NULL if it is complete. */
const char *sp_write_log_truncation(const SpWriteLog *log);
/** The number of entries that its superblock promises. */
guint64 sp_write_log_promised(const SpWriteLog *log);

/** The 512 bytes that the write or discard @entry brings to sector @sector of the disk, which it
 * must cover. */
const guint8 *sp_log_entry_sector(const SpLogEntry *entry, guint64 sector);
