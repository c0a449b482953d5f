/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/**
 * What happens in a test, as it happens: messages, nested steps with their time, console lines.
 *
 * Lines go to the test's log file, to a stream of the user's if one is given, and every event as
 * one line of JSON to the events file, from which a report is made. Main thread only.
 */
typedef struct SpLog SpLog;

typedef struct {
    const char *dir;    /* folder for log.txt and events.jsonl; NULL: keep no files */
    int stream_fd;      /* lines for people go here too; -1: nowhere. Not owned. */
    bool with_consoles; /* console lines go to the stream as well */
} SpLogConfig;

/** NULL with @error where a file can't be made. */
SpLog *sp_log_new(const SpLogConfig *config, GError **error);
/** Writes out what is pending. NULL is fine. */
void sp_log_free(SpLog *log);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpLog, sp_log_free)

/** One message; @machine may be NULL. Every function here takes a NULL @log and does nothing. */
void sp_log(SpLog *log, const char *machine, const char *format, ...) G_GNUC_PRINTF(3, 4);

/** Whether console lines go to the stream as well, from now on. */
void sp_log_show_consoles(SpLog *log, bool are_shown);

/** A line of a machine's console. */
void sp_log_console(SpLog *log, const char *machine, const char *line);

/**
 * Begin a step within the one that is open: indented below it, and timed. @kind is a word for
 * reports ("command", "wait", "boot", "subtest", ...). Ended in reverse order by sp_log_end().
 */
void sp_log_begin(SpLog *log, const char *machine, const char *kind, const char *format, ...)
    G_GNUC_PRINTF(4, 5);
/** End the innermost step; @failure is NULL or why it failed. */
void sp_log_end(SpLog *log, const char *failure);

/** How many steps are open: for ending those that an error left open. */
guint sp_log_depth(SpLog *log);
