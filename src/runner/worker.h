/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/** The descriptor on which a worker reports to the program that started it. */
#define SP_WORKER_REPORT_FD 3

/** A worker's answer, one JSON object on its report descriptor. */
typedef struct {
    char *outcome; /* "passed", "failed", "invalid" or "interrupted" */
    char *report;  /* for people; NULL if it passed */
} SpWorkerReport;

void sp_worker_report_clear(SpWorkerReport *report);
/** Parse the answer. A pure function; SP_ERROR_PROTOCOL. */
gboolean sp_worker_report_parse(
    const char *text, gsize length, SpWorkerReport *ret_report, GError **error);

/**
 * Run the one test in @test_dir, in this process, with images from @images and output to @out_dir,
 * which exists; the log's lines go to stdout, the report to SP_WORKER_REPORT_FD.
 *
 * Returns the process's exit status.
 */
int sp_worker_main(
    const char *test_dir, const char *images, const char *out_dir, gboolean with_consoles);
