/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/process.h"
#include "base/wait.h"
#include "worker/options.h"

#include <glib.h>
#include <stdbool.h>

/**
 * A worker on this host, seen from the process that started it. Its messages and output are read
 * while the default main context runs. Main thread only.
 */
typedef struct SpWorkerProcess SpWorkerProcess;

typedef struct {
    SpWorkerOptions options; /* has_programs_pipe is set here, and begin if it is 0 */
    void (*message_func)(const char *bytes, gsize length, void *data); /* a part of its messages */
    void (*line_func)(const char *line, void *data);                   /* a line of its output */
    void *data;
} SpWorkerProcessConfig;

/** How a worker ended. */
typedef struct {
    bool is_good; /* with exit status 0 */
    char *how;    /* "ended with status 1", "was killed by signal 9 (Killed)" */
    char *output; /* the end of what it and programs wrote, as valid UTF-8 */
} SpWorkerEnd;
void sp_worker_end_clear(SpWorkerEnd *end);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(SpWorkerEnd, sp_worker_end_clear)

/** The first words of its command line; its options follow. Free with g_strfreev(). */
char **sp_worker_command(const SpWorkerOptions *options);

/** @config is copied, but for its strings. */
SpWorkerProcess *sp_worker_process_start(
    const SpWorkerProcessConfig *config, GError **error) G_GNUC_WARN_UNUSED_RESULT;
bool sp_worker_process_has_ended(SpWorkerProcess *worker);
void sp_worker_process_signal(SpWorkerProcess *worker, int signal_number);
/** Wait for its end; SP_ERROR_TIMEOUT or SP_ERROR_INTERRUPTED. */
bool sp_worker_process_wait(SpWorkerProcess *worker, gint64 deadline, const SpInterrupt *interrupt,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** It has ended: pass on what is left of its messages and output, and free it. */
void sp_worker_process_finish(SpWorkerProcess *worker, SpWorkerEnd *ret_end);
