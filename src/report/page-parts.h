/* SPDX-License-Identifier: MIT */
#pragma once

#include "report/record.h"

#include <glib.h>
#include <stdbool.h>

/* What several sections of the page share. */

/** Read the regular file @name, of at most @max bytes, in the directory @dir. Returns NULL if it is
 * anything else. Free with g_free(). */
char *sp_section_read_file(const char *dir, const char *name, gsize max, gsize *ret_length);
/** Whether the test is one to look at first: neither passed nor stopped. */
bool sp_record_is_bad(const SpRecord *record);
/** A duration for people: "0.02 s", "12.3 s", "2 min 05 s". Free with g_free(). */
char *sp_seconds_text(double seconds);
/** A position on the time line as the CSS property @property: "left:12.34%". */
void sp_append_percent(GString *style, const char *property, double part, double whole);
/** The CSS class of a step's bar. */
const char *sp_step_class(const SpRecordStep *step);
/** The length of the time line in seconds; never 0. */
double sp_record_length(const SpRecord *record);
