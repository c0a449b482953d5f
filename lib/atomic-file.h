/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Small files that are read and replaced as a whole.
 *
 * Functions return a negative errno on failure. @dirfd is a directory opened for reading (not
 * AT_FDCWD and not O_PATH: it has to be synced), @name a plain file name without a slash.
 */

#include <stddef.h>
#include <sys/types.h>

/**
 * Durably replace the file @name with @length bytes at @data. Whenever power fails, the name refers
 * to the whole old file or to the whole new one; once this has returned 0, to the new one.
 *
 * Writes the temporary file ".@name.new" in the same directory, syncs it, renames it and syncs the
 * directory. The temporary name is always the same, so that power cuts do not fill the disk with
 * leftovers; concurrent writers of one file must exclude each other. @mode are permission bits,
 * subject to the umask.
 *
 * On failure the old file is intact, unless only the sync of the directory failed: then it is
 * either the old or the new one. -EINVAL if @name is empty or contains a slash, -ENAMETOOLONG.
 */
int sp_atomic_write_at(int dirfd, const char *name, const void *data, size_t length, mode_t mode);

/**
 * Read the file @name into @buffer.
 *
 * Returns its length; -EFBIG if it is longer than @size. Does not follow symbolic links (-ELOOP) or
 * wait for the other end of a pipe. Here @name may be a path and @dirfd AT_FDCWD, as for openat().
 * @buffer may be modified even on failure.
 */
ssize_t sp_read_file_at(int dirfd, const char *name, void *buffer, size_t size);
