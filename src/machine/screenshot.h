/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/**
 * A screenshot of a machine in shades of grey, and how it is prepared before its text is read: the
 * letters of a text screen are 8 pixels wide and light on dark, and OCR programs are made for
 * scanned paper. Pure functions of bytes.
 */
typedef struct {
    guint width;
    guint height;
    guint8 *pixels; /* a byte each, 0 is black; row by row, from the top */
} SpScreenshot;

#define SP_SCREENSHOT_SIZE_MAX 4096u /* of each side */

/**
 * Parse a PPM file as QEMU writes them (Netpbm, "ppm": P6, 255 as the largest value, one
 * screenshot). SP_ERROR_PROTOCOL for anything else.
 */
SpScreenshot *sp_screenshot_parse(
    const guint8 *data, gsize length, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void sp_screenshot_free(SpScreenshot *screenshot);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpScreenshot, sp_screenshot_free)

/** Twice as wide and high, with soft edges. */
SpScreenshot *sp_screenshot_double(const SpScreenshot *screenshot);
/** Whether more of it is dark than light. */
bool sp_screenshot_is_dark(const SpScreenshot *screenshot);
/** Make light what is dark, and the other way round. */
void sp_screenshot_reverse(SpScreenshot *screenshot);
/** As a PGM file (Netpbm, "pgm"). */
GByteArray *sp_screenshot_format(const SpScreenshot *screenshot);
