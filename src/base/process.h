/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/wait.h"

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

/**
 * A child process that never outlives us, however we end.
 *
 * It runs in its own session and process group, with stdin from /dev/null, and gets SIGKILL when
 * the thread that started it ends. Once it has ended, whatever it left in its process group is
 * killed too, unless we were killed first. Its stdout and stderr are read while the default main
 * context runs; the last SP_PROCESS_OUTPUT_MAX bytes are kept. Main thread only.
 */
typedef struct SpProcess SpProcess;

#define SP_PROCESS_OUTPUT_MAX 65536u

/** Our descriptor @from becomes the child's descriptor @to (3 or above). */
typedef struct {
    int from;
    int to;
} SpProcessFd;

/** Called for each complete line of the child's output, without its newline. */
typedef void (*SpProcessLineFunc)(const char *line, void *data);

/**
 * Start @argv; argv[0] is a path, or is looked up in PATH and /usr/sbin. The child inherits no
 * descriptors but those in @fds. SP_ERROR_USAGE if there is no such program, otherwise
 * SP_ERROR_HOST.
 */
SpProcess *sp_process_start(const char *const *argv, const SpProcessFd *fds, gsize n_fds,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Kills it if it is running, and reaps it. Accepts NULL. */
void sp_process_free(SpProcess *process);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpProcess, sp_process_free)

void sp_process_set_line_func(SpProcess *process, SpProcessLineFunc func, void *data);
pid_t sp_process_pid(SpProcess *process);
/** True once it has ended and has been reaped. */
bool sp_process_has_ended(SpProcess *process);
/** Its status as of waitpid(2). Only valid once it has ended. */
int sp_process_wait_status(SpProcess *process);
/** "ended with status 1", "was killed by signal 9 (Killed)". Only valid once it has ended. */
char *sp_process_describe_end(SpProcess *process);
/** The end of its output, as valid UTF-8. */
char *sp_process_output(SpProcess *process);
/** Send a signal. Does nothing if it has ended. */
void sp_process_signal(SpProcess *process, int signal_number);
/** Wait until it has ended. Fails with SP_ERROR_TIMEOUT or SP_ERROR_INTERRUPTED. */
bool sp_process_wait(SpProcess *process, gint64 deadline, const SpInterrupt *interrupt,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;

/**
 * Run @argv to its end. SP_ERROR_HOST, with the end of its output in the message, if its status is
 * not 0.
 */
bool sp_process_run(const char *const *argv, const SpProcessFd *fds, gsize n_fds, gint64 timeout_ms,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
