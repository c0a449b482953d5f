/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/**
 * Find the next stretch of @fd, from *@at on, that is no hole (lseek(2), SEEK_DATA). *@at becomes
 * its start and @ret_end its end. Returns 1; 0 if there is none; -1 with errno.
 */
int sp_file_next_data(int fd, off_t *at, off_t *ret_end);

/** Whether all @length bytes are 0, as a hole's are. */
bool sp_is_zero(const void *bytes, size_t length);
