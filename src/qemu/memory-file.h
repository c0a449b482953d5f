/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/**
 * A machine's memory as a file, which QEMU maps (QEMU's manual, "memory-backend-file"): shared
 * while a checkpoint is made, so that the file is what is in memory when QEMU has ended; privately
 * by each machine that goes on from it, so that none changes the file or sees what another writes.
 *
 * Pages that were never written are holes. Where the disk is full when a page is first written,
 * QEMU is killed by SIGBUS, as it is where somebody truncates the file.
 */

/**
 * Make the file @path, which must not be there, of @size bytes of zeros. SP_ERROR_HOST where it
 * can't be, also where its file system has no mappings of these kinds. Owned by the caller.
 */
int sp_memory_file_create(const char *path, guint64 size, GError **error);
/** Open an existing one; SP_ERROR_HOST where it is not of @size bytes. Owned by the caller. */
int sp_memory_file_open(const char *path, guint64 size, GError **error);
/** Make it all zeros again. */
bool sp_memory_file_clear(int fd, GError **error);
/** Make holes of the pages that hold zeros, as many as the file system can: a boot leaves some. */
void sp_memory_file_drop_zeros(int fd);
/** Give @to, which is all zeros, what is in @from, with its holes. */
bool sp_memory_file_copy(int from, int to, GError **error);
