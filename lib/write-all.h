/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/**
 * Write all @length bytes, at the descriptor's position or at @offset. Waits if the descriptor does
 * not block and is full. Returns 0 or a negative errno, after which part of them may be written.
 */
int sp_write_all(int fd, const void *bytes, size_t length);
int sp_pwrite_all(int fd, const void *bytes, size_t length, off_t offset);
