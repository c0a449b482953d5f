/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/**
 * A picture of a machine's screen in shades of grey, and what is done with it before its text is
 * read: the letters of a text screen are 8 pixels wide and light on dark, and programs that read
 * are made for scanned paper.
 *
 * Pure functions of bytes.
 */
typedef struct {
    guint width;
    guint height;
    guint8 *pixels; /* a byte each, 0 is black; row by row, from the top */
} SpPicture;

#define SP_PICTURE_SIZE_MAX 4096u /* of each side */

/**
 * Parse a PPM file as QEMU writes them (Netpbm, "ppm": P6, 255 as the largest value, one picture).
 * SP_ERROR_PROTOCOL for anything else.
 */
SpPicture *sp_picture_parse(const guint8 *data, gsize length, GError **error);
void sp_picture_free(SpPicture *picture);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpPicture, sp_picture_free)

/** Twice as wide and high, with soft edges. */
SpPicture *sp_picture_double(const SpPicture *picture);
/** Whether more of it is dark than light. */
bool sp_picture_is_dark(const SpPicture *picture);
/** Make light what is dark, and the other way round. */
void sp_picture_reverse(SpPicture *picture);
/** As a PGM file (Netpbm, "pgm"). */
GByteArray *sp_picture_format(const SpPicture *picture);
