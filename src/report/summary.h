/* SPDX-License-Identifier: MIT */
#pragma once

#include "report/record.h"

#include <glib.h>

/** What a run of tests gave, for reports. */
typedef struct {
    GPtrArray *records; /* of SpRecord, in the order in which they are told of; not owned */
    gint64 began_s;     /* since 1970; 0 where that is not known */
    double seconds;     /* that all took */
} SpSummary;

/** How many of them went that way. */
guint sp_summary_count(const SpSummary *summary, SpResultKind kind);

/** Write junit.xml and report.html to the folder @out, in which the tests' folders are. */
bool sp_summary_write(
    const SpSummary *summary, const char *out, GError **error) G_GNUC_WARN_UNUSED_RESULT;
