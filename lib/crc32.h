/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>
#include <stdint.h>

/**
 * The CRC-32 of IEEE 802.3, as in zlib's crc32() and gzip, of @length bytes at @data.
 *
 * Bit by bit, without a table: for small data in programs that cannot link zlib.
 */
uint32_t sp_crc32(const void *data, size_t length);
