/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>
#include <stdint.h>

/**
 * The CRC-32 of IEEE 802.3, as zlib's crc32() and gzip have it, of @length bytes at @data.
 *
 * Without a table: for small things in programs that cannot link zlib.
 */
uint32_t sp_crc32(const void *data, size_t length);
