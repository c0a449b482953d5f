/* SPDX-License-Identifier: MIT */
#include "lib/crc32.h"

#define POLYNOMIAL 0xedb88320u /* 0x04c11db7 with its bits reversed */

uint32_t sp_crc32(const void *data, size_t length)
{
    const uint8_t *bytes = data;
    uint32_t crc = 0xffffffffu;

    for (size_t i = 0; i < length; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
    }
    return ~crc;
}
