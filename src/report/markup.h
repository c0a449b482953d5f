/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/**
 * Writes an XML or HTML file, element by element. Text and attribute values are escaped here and
 * nowhere else: they may contain anything. What XML can't represent, and what could control a
 * terminal that shows the file, is written as \xNN or U+FFFD.
 */
typedef struct SpMarkup SpMarkup;

/** Begin a file with the XML declaration. */
SpMarkup *sp_markup_new_xml(void);
/** Begin a file with HTML's doctype (HTML Living Standard, 13.1.1). */
SpMarkup *sp_markup_new_html(void);
void sp_markup_free(SpMarkup *markup);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpMarkup, sp_markup_free)

/** Begin @element with attributes: pairs of name and value, ended by NULL. An attribute whose value
 * is NULL is left out. */
void sp_markup_begin(SpMarkup *markup, const char *element, ...) G_GNUC_NULL_TERMINATED;
/** Add attributes to the element just begun, before anything is in it. */
void sp_markup_attributes(SpMarkup *markup, ...) G_GNUC_NULL_TERMINATED;
/** End the innermost element. */
void sp_markup_end(SpMarkup *markup);
void sp_markup_text(SpMarkup *markup, const char *text);
void sp_markup_printf(SpMarkup *markup, const char *format, ...) G_GNUC_PRINTF(2, 3);
/** Write a whole element that contains @text; attributes as above. */
void sp_markup_element(
    SpMarkup *markup, const char *element, const char *text, ...) G_GNUC_NULL_TERMINATED;
/** Write a style element; @css is trusted and written as it is. */
void sp_markup_style(SpMarkup *markup, const char *css, gsize length);

/** End all elements and return the file. The string lives as long as @markup, to which nothing may
 * be added any more. */
const char *sp_markup_finish(SpMarkup *markup, gsize *ret_length);
