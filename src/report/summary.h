/* SPDX-License-Identifier: MIT */
#pragma once

#include "report/record.h"

#include <glib.h>

/** The results of a run, for reports. */
typedef struct {
    GPtrArray *records; /* of SpRecord, in the order of the report; not owned */
    gint64 began_s;     /* since 1970; 0 if unknown */
    double seconds;     /* duration of the run */
} SpSummary;

/** The number of records with this result. */
guint sp_summary_count(const SpSummary *summary, SpResultKind kind);

/** Write junit.xml and report.html to @out, the directory that contains the tests' directories. */
bool sp_summary_write(
    const SpSummary *summary, const char *out, GError **error) G_GNUC_WARN_UNUSED_RESULT;
