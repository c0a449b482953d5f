/* SPDX-License-Identifier: MIT */
#pragma once

#include "runner/runner.h"

#include <glib.h>
#include <stdbool.h>

/** How a test went. */
typedef struct {
    const SpTestConf *test; /* not owned */
    SpResult result;        /* SP_RESULT_SKIPPED with no report: it did not begin */
} SpTestResult;

/** What a run of tests gave, for reports. */
typedef struct {
    GArray *tests;   /* of SpTestResult, in the order in which they ended */
    const char *out; /* the folder with one folder a test */
    gint64 begin_s;  /* seconds since 1970 */
    double seconds;  /* that all took */
} SpResults;

/** "passed", "failed", "error" or "stopped". */
const char *sp_result_word(SpResultKind kind);
/** @text as UTF-8, and without control characters but tab and newline; both become U+FFFD. */
char *sp_result_clean(const char *text);
