/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/**
 * @length bytes as valid UTF-8, with U+FFFD for what is none; of more than @max bytes the middle is
 * left out, with a note in its place. Free with g_free().
 */
char *sp_text_excerpt(const char *bytes, gsize length, gsize max);

/**
 * @text as valid UTF-8 in which no character steers a terminal: control characters but the tab are
 * written as \xNN. Free with g_free().
 */
char *sp_text_printable(const char *text);

/** How many columns of a terminal @text, which is printable, takes. */
guint sp_text_width(const char *text);
/** As much of @text, which is printable, as fits in @columns, the last one "…" where something is
 * missing. Free with g_free(). */
char *sp_text_fit(const char *text, guint columns);
