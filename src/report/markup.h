/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/**
 * Elements of an XML or HTML file, written one after the other. Everything that is given as text or
 * as an attribute's value is escaped here and nowhere else: it may hold anything. What XML can't
 * hold, and what would steer a terminal that shows the file, is written as \xNN or U+FFFD.
 */
typedef struct SpMarkup SpMarkup;

/** With the declaration that XML begins with. */
SpMarkup *sp_markup_new_xml(void);
/** With HTML's doctype (HTML Living Standard, 13.1.1). */
SpMarkup *sp_markup_new_html(void);
void sp_markup_free(SpMarkup *markup);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpMarkup, sp_markup_free)

/** Begin @element with the attributes that follow: pairs of name and value, ended by NULL. One
 * whose value is NULL is left out. */
void sp_markup_begin(SpMarkup *markup, const char *element, ...) G_GNUC_NULL_TERMINATED;
/** More attributes for the element that was begun, before anything is in it. */
void sp_markup_attributes(SpMarkup *markup, ...) G_GNUC_NULL_TERMINATED;
/** End the innermost element. */
void sp_markup_end(SpMarkup *markup);
void sp_markup_text(SpMarkup *markup, const char *text);
void sp_markup_printf(SpMarkup *markup, const char *format, ...) G_GNUC_PRINTF(2, 3);
/** A whole element with @text in it; attributes as above. */
void sp_markup_element(
    SpMarkup *markup, const char *element, const char *text, ...) G_GNUC_NULL_TERMINATED;
/** A style element; @css is ours, and written as it is. */
void sp_markup_style(SpMarkup *markup, const char *css, gsize length);

/** All of it, with every element ended. Lives as long as @markup, which is at its end. */
const char *sp_markup_finish(SpMarkup *markup, gsize *ret_length);
