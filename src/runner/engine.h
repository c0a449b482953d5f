/* SPDX-License-Identifier: MIT */
#pragma once

#include "runner/job.h"
#include "worker/options.h"
#include "worker/process.h"

#include <glib.h>
#include <stdbool.h>

/**
 * Where workers run. An engine starts one for a job, and passes on what it sends; timing and
 * judging it are the job's business (job.h). Any number of workers may run at once, all while the
 * default main context runs.
 *
 * A new engine is a file with one of these, and a row in engine.c.
 */
struct SpEngine {
    const char *name;
    /**
     * Start a worker with @options, whose strings outlive it. Its messages go to
     * sp_job_take_bytes(), its output to sp_job_take_line(). Returns an object of the engine's own.
     */
    void *(*start)(const SpWorkerOptions *options, SpJob *job, GError **error);
    bool (*has_ended)(void *worker);
    /** Send it a signal: SIGINT or SIGTERM so that it stops its machines and reports, then SIGKILL.
     * Does nothing if it has ended. */
    void (*signal)(void *worker, int signal_number);
    /** It has ended: pass on what is left, and free @worker. */
    void (*finish)(void *worker, SpWorkerEnd *ret_end);
};

/** Workers are processes on this host: what one does cannot harm another. */
extern const SpEngine sp_local_engine;

/** The engine called @name, or the first if it is NULL. SP_ERROR_USAGE, which lists those that
 * exist. */
const SpEngine *sp_engine_find(const char *name, GError **error) G_GNUC_WARN_UNUSED_RESULT;
