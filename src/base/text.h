/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/**
 * @length bytes as valid UTF-8, with U+FFFD in place of invalid bytes. If there are more than @max,
 * a note replaces the middle. Free with g_free().
 */
char *sp_text_excerpt(const char *bytes, gsize length, gsize max);

/**
 * @text as valid UTF-8 that is safe to show on a terminal: control characters except the tab are
 * written as \xNN. Free with g_free().
 */
char *sp_text_printable(const char *text);

/** The number of terminal columns that the printable @text occupies. */
guint sp_text_width(const char *text);
/** The printable @text, cut to fit in @columns; "…" in the last column says that it was cut. Free
 * with g_free(). */
char *sp_text_fit(const char *text, guint columns);
