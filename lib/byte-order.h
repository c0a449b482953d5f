/* SPDX-License-Identifier: MIT */
#pragma once

#include <endian.h>
#include <stdint.h>
#include <string.h>

/**
 * Integers in memory, little or big endian, at any alignment:
 *
 *     length = sp_get_be32(header + 4);
 *     sp_put_le16(header + 2, stream);
 */
#define SP_DEFINE_BYTE_ORDER(order, bits)                                                          \
    static inline uint##bits##_t sp_get_##order##bits(const void *from)                            \
    {                                                                                              \
        uint##bits##_t value;                                                                      \
                                                                                                   \
        memcpy(&value, from, sizeof value);                                                        \
        return order##bits##toh(value);                                                            \
    }                                                                                              \
                                                                                                   \
    static inline void sp_put_##order##bits(void *to, uint##bits##_t value)                        \
    {                                                                                              \
        value = hto##order##bits(value);                                                           \
        memcpy(to, &value, sizeof value);                                                          \
    }

SP_DEFINE_BYTE_ORDER(le, 16)
SP_DEFINE_BYTE_ORDER(le, 32)
SP_DEFINE_BYTE_ORDER(le, 64)
SP_DEFINE_BYTE_ORDER(be, 16)
SP_DEFINE_BYTE_ORDER(be, 32)
SP_DEFINE_BYTE_ORDER(be, 64)

#undef SP_DEFINE_BYTE_ORDER
