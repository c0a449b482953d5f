/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Small files, replaced and read as a whole.
 *
 * Functions return a negative errno on failure. @dirfd is a folder opened for reading (not AT_FDCWD
 * and not O_PATH: it has to be synced), @name a plain name in it, without a slash.
 */

#include <stddef.h>
#include <sys/types.h>

/**
 * Replace the file @name by @length bytes at @data, durably: whatever instant the power fails, the
 * name leads to the whole old file or to the whole new one, and when this has returned 0, to the
 * new one.
 *
 * Writes the temporary file ".@name.new" beside it, syncs it, renames it and syncs the folder. The
 * temporary name is always the same one, so that power cuts do not fill the disk with left-overs:
 * two writers of one name must exclude each other. @mode are permission bits, less the umask.
 *
 * On failure the old file is still there, except where only the sync of the folder failed: then it
 * is one or the other. -EINVAL for a name with a slash or an empty one, -ENAMETOOLONG.
 */
int sp_atomic_write_at(int dirfd, const char *name, const void *data, size_t length, mode_t mode);

/**
 * Read the file @name into @buffer.
 *
 * Returns its length; -EFBIG if it is longer than @size. Follows no symbolic link (-ELOOP) and does
 * not wait for the other end of a pipe. @name may be a path here, and @dirfd AT_FDCWD, as with
 * openat(). @buffer may be changed even on failure.
 */
ssize_t sp_read_file_at(int dirfd, const char *name, void *buffer, size_t size);
