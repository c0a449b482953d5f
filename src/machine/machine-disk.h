/* SPDX-License-Identifier: MIT */
#pragma once

#include "machine/machine.h"

/**
 * A machine's disk, seen from outside the guest.
 */

/** The bytes that the guest has written to its disk since the last start. */
bool sp_machine_disk_written(
    SpMachine *machine, guint64 *ret_bytes, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Wait until these are at least @bytes. Asks QEMU repeatedly, since it has no event for this: the
 * closer the more often. */
bool sp_machine_wait_for_disk_written(
    SpMachine *machine, guint64 bytes, gint64 timeout_ms, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/**
 * @size bytes of the running machine's disk from @offset on, as they are now, without what the
 * guest has in its caches. SP_ERROR_USAGE if the disk ends before.
 */
GBytes *sp_machine_read_disk(
    SpMachine *machine, guint64 offset, gsize size, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/**
 * Write the machine's disk as it is now to @path, as a qcow2 file based on the image's disk. QEMU
 * is told to end for it, so that nothing is missing that the guest has written. SP_ERROR_USAGE if
 * the machine was never started.
 */
bool sp_machine_keep_disk(
    SpMachine *machine, const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/**
 * Record what the running machine writes to its disk from now on, across resets too, into the new
 * directory @directory below its out_dir:
 *
 *   disk.raw    the disk as it is now, sparse; it is flushed, so that all of it counts as durable
 *   writes.log  each write, discard and flush since, in the order in which they ended: a log of
 *               QEMU's blklogwrites, whose last entries are there even without a flush
 *   marks.json  what sp_machine_mark_recording() noted
 *
 * What the guest has only in its caches is recorded when it is written. The recording ends with
 * sp_machine_stop_recording() or with QEMU, and does not continue at the next start; a snapshot
 * can't be loaded during it. A write that was under way when a flush was requested may be logged
 * before it, although the disk need not have flushed it: a guest that waits for its writes first,
 * as Linux does, can't be distinguished from one that does not.
 */
bool sp_machine_record_disk(
    SpMachine *machine, const char *directory, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/**
 * Note @name in the recording. @ret_entries is the number of its entries: everything that the guest
 * knows to have been written or flushed is among them.
 */
bool sp_machine_mark_recording(SpMachine *machine, const char *name, guint64 *ret_entries,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** End it. What the guest wrote up to now is in the log, flushed or not. May follow a power cut. */
bool sp_machine_stop_recording(SpMachine *machine, GError **error) G_GNUC_WARN_UNUSED_RESULT;
