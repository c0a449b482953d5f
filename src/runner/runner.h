/* SPDX-License-Identifier: MIT */
#pragma once

#include "report/record.h"
#include "runner/durations.h"
#include "runner/kept-results.h"
#include "runner/progress.h"
#include "suite/test-conf.h"

#include <glib.h>
#include <stdbool.h>

/** A part of a test, as its script divides it. */
typedef struct {
    char *name;
    bool passed;
    double seconds;
} SpSubtestResult;

typedef struct {
    SpResultKind kind;
    char *report; /* for people; NULL if it passed */
    char *reason; /* why it failed, where its script can't know that; otherwise NULL */
    double seconds;
    double checkpoint_s;      /* of these, until it had its checkpoint */
    char *made_s;             /* what making it took: the text of SP_REPORT_SCRIPT; or NULL */
    bool has_foreign_machine; /* of what no key tells of: an image by path, a given disk */
    bool has_folder;          /* the test's folder is its own, with what it recorded */
    GPtrArray *subtests;      /* of SpSubtestResult; may be NULL */
} SpResult;
void sp_result_clear(SpResult *result);
void sp_subtest_result_free(SpSubtestResult *subtest);

typedef struct {
    const char *images;
    const char *out;  /* folder that gets one folder a test */
    bool is_verbose;  /* show the log while it comes, consoles too */
    bool keeps_disks; /* those of a test that fails go to its folder */
    bool is_captured; /* write what the networks carry, whatever test.conf says */
    bool is_cold;     /* no checkpoints: each test runs the scripts of those that it goes on from */
    bool is_debugged; /* a prompt on our terminal where a test fails; one test at a time, no
                         time-out */
    guint jobs;       /* how many tests may run at once; 0: one */
    SpKeptResults *kept;    /* whose results stand for tests; NULL: all are run, and none is kept or
 forgotten */
    SpDurations *durations; /* is told how long each test took that passed; may be NULL */
    gint64 stop_ms; /* how long a test that is asked to stop may take; 0: ten seconds, and what a
                       post-mortem takes */
    SpProgress *progress; /* where to show how it goes; set by sp_run_tests() */
} SpRunOptions;

/** A test that runs, or ran; of an engine's own making. */
typedef struct SpJob SpJob;

/**
 * Where tests are run: takes one, and has its result in the end. A job goes on while the default
 * main context turns, so that any number can go on at once. Processes on this host are the only
 * engine for now.
 */
typedef struct {
    const char *name;
    /** @test and @options outlive the job. One that can't be started is a job that is done. */
    SpJob *(*start)(const SpTestConf *test, const SpRunOptions *options);
    bool (*is_done)(SpJob *job);
    /** Whether it has the checkpoint that its test goes on from: until then it may be making it,
     * and who wants the same would wait for that. */
    bool (*has_checkpoint)(SpJob *job);
    /** The user wants no more of it: it is done soon, with SP_RESULT_SKIPPED. */
    void (*stop)(SpJob *job, int signal_number);
    /** The result of a job that is done, which is freed. */
    void (*finish)(SpJob *job, SpResult *ret_result);
} SpEngine;

extern const SpEngine sp_local_engine;

/**
 * Run @tests (of SpTestConf) but for those of which a result is kept, as many at once as @options
 * say, saying on stdout how each went as soon as it is known. They are started in the order in
 * which they stand, but for those that would only wait for a checkpoint that another is making. In
 * the end the folder for output gets junit.xml and report.html.
 *
 * SIGHUP, SIGINT, SIGQUIT and SIGTERM stop what runs and end the run. Returns the program's exit
 * status: 0 if all passed, 1 if one failed, 2 if one was not in order or the reports can't be
 * written, 128 + signal if it was stopped.
 */
int sp_run_tests(GPtrArray *tests, const SpEngine *engine, const SpRunOptions *options);
