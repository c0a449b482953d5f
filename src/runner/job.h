/* SPDX-License-Identifier: MIT */
#pragma once

#include "report/record.h"
#include "suite/test-conf.h"
#include "worker/options.h"

#include <glib.h>
#include <stdbool.h>

/**
 * One test that runs, or has run: it starts a worker by an engine (engine.h), decodes its messages,
 * stops it when its time is over, and judges how it ended.
 */
typedef struct SpJob SpJob;
typedef struct SpEngine SpEngine;

/** A part of a test, as its script divides it. */
typedef struct {
    char *name;
    bool passed;
    double seconds;
} SpSubtestResult;
void sp_subtest_result_free(SpSubtestResult *subtest);

typedef struct {
    SpResultKind kind;
    char *report; /* for people; NULL if it passed */
    char *reason; /* why it failed, if its script can't know that; otherwise NULL */
    double seconds;
    double checkpoint_s;      /* of these, until it had its checkpoint */
    char *made_s;             /* what making it took: the text of SP_MESSAGE_SCRIPT; or NULL */
    bool has_foreign_machine; /* one whose contents no key covers: SP_MESSAGE_FOREIGN */
    bool has_directory;       /* the test's directory is its own, with what it recorded */
    GPtrArray *subtests;      /* of SpSubtestResult; may be NULL */
} SpResult;
void sp_result_clear(SpResult *result);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(SpResult, sp_result_clear)

typedef void (*SpJobTextFunc)(const SpTestConf *test, const char *text, void *data);

/** All of it outlives the job. */
typedef struct {
    const SpTestConf *test;
    SpWorkerOptions worker;  /* what the user wants; the job adds the test's own */
    const char *out;         /* the directory that gets one directory per test */
    gint64 stop_ms;          /* how long a worker that is told to stop may take; 0: ten seconds, and
                                what a post-mortem takes */
    SpJobTextFunc step_func; /* the current step, "" if it has no name; NULL: not wanted */
    SpJobTextFunc line_func; /* a line that the test prints */
    void *data;
} SpJobConfig;

/** Returns the job, which is already done if its worker can't be started. */
SpJob *sp_job_start(const SpEngine *engine, const SpJobConfig *config);
bool sp_job_is_done(const SpJob *job);
/** Whether it has the checkpoint that its test starts from. Until then it may be making it, and
 * another job that needs the same would wait. */
bool sp_job_has_checkpoint(const SpJob *job);
/** The user wants it to end: it is done soon, with SP_RESULT_SKIPPED unless it passes. */
void sp_job_stop(SpJob *job, int signal_number);
/** The job is done: return its result and free it. */
void sp_job_finish(SpJob *job, SpResult *ret_result);

/** For engines: a part of the worker's messages, which may be divided anywhere. */
void sp_job_take_bytes(SpJob *job, const char *bytes, gsize length);
/** For engines: a line of the worker's output, without its newline. */
void sp_job_take_line(SpJob *job, const char *line);
