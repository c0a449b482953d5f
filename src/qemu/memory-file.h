/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/**
 * A machine's memory as a file that QEMU maps (QEMU's manual, "memory-backend-file"): shared while
 * a checkpoint is made, so that the file contains the memory when QEMU has ended; privately by each
 * machine that starts from it, so that none changes the file or sees what another writes.
 *
 * Pages that were never written are holes. If the disk is full when a page is first written, QEMU
 * is killed by SIGBUS, as it is if somebody truncates the file.
 */

/**
 * Create the file @path, which must not exist, of @size bytes of zeros. Returns its descriptor,
 * owned by the caller; negative with SP_ERROR_HOST if it can't be created, or can't be mapped in
 * both ways.
 */
int sp_memory_file_create(const char *path, guint64 size, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Open an existing one; SP_ERROR_HOST if it is not of @size bytes. Owned by the caller. */
int sp_memory_file_open(const char *path, guint64 size, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Make it all zeros again. */
bool sp_memory_file_clear(int fd, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Make holes of pages that are zero, as far as the file system can: a boot leaves some. */
void sp_memory_file_drop_zeros(int fd);
/** Copy @from to @to, which is all zeros, with its holes. */
bool sp_memory_file_copy(int from, int to, GError **error) G_GNUC_WARN_UNUSED_RESULT;
