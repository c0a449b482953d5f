/* SPDX-License-Identifier: MIT */
#pragma once

#include "runner/durations.h"
#include "runner/engine.h"
#include "runner/kept-results.h"
#include "runner/progress.h"
#include "worker/options.h"

#include <glib.h>

/** What the user wants of a run; plain values. */
typedef struct {
    SpWorkerOptions worker; /* what each worker is told, but for what differs by test: images, and
                               what the user asks for */
    const char *out;        /* the directory that gets one directory per test */
    guint jobs;             /* how many tests may run at once; 0: one */
    gint64 stop_ms;         /* as in job.h */
} SpRunOptions;

/** What a run works with; not owned. */
typedef struct {
    const SpEngine *engine;
    SpProgress *progress;   /* shows how it goes */
    SpKeptResults *kept;    /* whose results stand for tests; NULL: all tests run, and no result is
                               kept or forgotten */
    SpDurations *durations; /* learns how long each test that passed took; may be NULL */
} SpRunContext;

/**
 * Run @tests (of SpTestConf) except those of which a result is kept, and show each result as soon
 * as it is known. Tests start in the order of the array, but for those that would only wait for a
 * checkpoint that another is making. In the end the directory for output gets junit.xml and
 * report.html.
 *
 * SIGHUP, SIGINT, SIGQUIT and SIGTERM stop what runs and end the run. Returns the program's exit
 * status: 0 if all passed, 1 if one failed, 2 if one could not be run or the reports can't be
 * written, 128 + signal if it was stopped.
 */
int sp_run_tests(GPtrArray *tests, const SpRunOptions *options, const SpRunContext *context);
