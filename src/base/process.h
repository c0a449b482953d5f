/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/wait.h"

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

/**
 * A child process that does not outlive us, however we end.
 *
 * It runs in a session and process group of its own, with stdin from /dev/null; it gets SIGKILL
 * when the thread that started it ends. What it started and left in its group gets SIGKILL once it
 * has ended itself, unless we were killed and are not there to see it. What it writes to stdout and
 * stderr is read while the default main context turns; the last SP_PROCESS_OUTPUT_MAX bytes are
 * kept. Main thread only.
 */
typedef struct SpProcess SpProcess;

#define SP_PROCESS_OUTPUT_MAX 65536u

/** Our descriptor @from is the child's @to (3 or above). */
typedef struct {
    int from;
    int to;
} SpProcessFd;

/** Whole lines of the child's output, without the line's end, as they come. */
typedef void (*SpProcessLineFunc)(const char *line, void *data);

/**
 * Start @argv; argv[0] is a path or found in PATH or /usr/sbin. None of our descriptors but those
 * of @fds gets into it. SP_ERROR_USAGE if there is no such program, SP_ERROR_HOST otherwise.
 */
SpProcess *sp_process_start(
    const char *const *argv, const SpProcessFd *fds, gsize n_fds, GError **error);
/** Kills it if it runs, and reaps it. NULL is fine. */
void sp_process_free(SpProcess *process);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpProcess, sp_process_free)

void sp_process_set_line_func(SpProcess *process, SpProcessLineFunc func, void *data);
pid_t sp_process_pid(SpProcess *process);
/** True once it has ended and was reaped. */
bool sp_process_has_ended(SpProcess *process);
/** As of waitpid(2); only once it has ended. */
int sp_process_wait_status(SpProcess *process);
/** "ended with status 1", "was killed by signal 9 (Killed)"; only once it has ended. */
char *sp_process_describe_end(SpProcess *process);
/** The end of what it wrote, as valid UTF-8. */
char *sp_process_output(SpProcess *process);
/** Send a signal; nothing where it has ended. */
void sp_process_signal(SpProcess *process, int signal_number);
/** Wait for its end; false with SP_ERROR_TIMEOUT or SP_ERROR_INTERRUPTED. */
bool sp_process_wait(
    SpProcess *process, gint64 deadline, const SpInterrupt *interrupt, GError **error);

/**
 * Start @argv, wait for its end and expect status 0.
 *
 * SP_ERROR_HOST with the end of its output in the message if it fails.
 */
bool sp_process_run(const char *const *argv, const SpProcessFd *fds, gsize n_fds, gint64 timeout_ms,
    GError **error);
