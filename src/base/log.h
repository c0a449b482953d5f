/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

/**
 * The log of a test: messages, nested steps with their durations, console lines.
 *
 * Lines go to the test's log file and to the user's stream if there is one. Every event also goes
 * to the events file as one line of JSON, from which reports are made (report/record.h has the
 * format). Neither file grows beyond SP_LOG_FILE_MAX: console lines get at most a quarter of each,
 * printed lines another quarter, and space for the failure is always reserved. Only the thread that
 * created the log has steps; those of other threads become plain messages. With several threads,
 * the caller holds the loop (base/loop.h), except for sp_log_program(), which any thread may call.
 */
typedef struct SpLog SpLog;

#define SP_LOG_FILE_MAX (64u * 1024 * 1024)
/** The most that is kept of a step's text and of a command's output. */
#define SP_LOG_TEXT_MAX 16384u
/** The same for a message in log.txt. */
#define SP_LOG_MESSAGE_MAX (256u * 1024)

/** The innermost open step has changed; @text is NULL if none is open, @machine may be NULL. */
typedef void (*SpLogStepFunc)(const char *machine, const char *text, void *data);

/** Called before something is logged: passes pending program output to sp_log_program() first. */
typedef void (*SpLogGatherFunc)(void *data);

typedef struct {
    const char *dir;         /* directory for log.txt and events.jsonl; NULL: write no files */
    int stream_fd;           /* readable lines go here too; -1: nowhere. Not owned. */
    bool is_continued;       /* append to existing files */
    bool with_consoles;      /* console lines go to the stream as well */
    gint64 begin;            /* time zero of the log, as of g_get_monotonic_time(); 0: now */
    SpLogStepFunc step_func; /* may be NULL */
    void *step_data;
    SpLogGatherFunc gather_func; /* may be NULL */
    void *gather_data;
} SpLogConfig;

/** Returns NULL with @error set if a file can't be created. */
SpLog *sp_log_new(const SpLogConfig *config, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Writes what is pending. Accepts NULL. */
void sp_log_free(SpLog *log);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpLog, sp_log_free)

/** Log a message; @machine may be NULL. Every function here does nothing if @log is NULL. */
void sp_log(SpLog *log, const char *machine, const char *format, ...) G_GNUC_PRINTF(3, 4);

/**
 * Log something that happened to a machine just now; reports mark the time. @kind is one of those
 * in report/record.h.
 */
void sp_log_mark(SpLog *log, const char *machine, const char *kind, const char *format, ...)
    G_GNUC_PRINTF(4, 5);

/** Set whether console lines go to the stream as well, from now on. */
void sp_log_show_consoles(SpLog *log, bool are_shown);
bool sp_log_shows_consoles(SpLog *log);

/** Log a line of a machine's console. */
void sp_log_console(SpLog *log, const char *machine, const char *line);

/** Log a line that the script has printed. */
void sp_log_printed(SpLog *log, const char *line);
/** Log a line that a program on the host has written. May be called from any thread. */
void sp_log_program(SpLog *log, const char *line);

/** Log why the script failed. @text goes to the file only, since the user is shown it at the end;
 * @members, which are taken, become the event. */
void sp_log_failure(SpLog *log, const char *text, json_t *members);

/**
 * Begin a timed step inside the innermost open one. @kind is a word for reports ("command", "wait",
 * "boot", "subtest", ...). sp_log_end() ends steps in reverse order.
 */
void sp_log_begin(SpLog *log, const char *machine, const char *kind, const char *format, ...)
    G_GNUC_PRINTF(4, 5);
/** Set the result of the innermost step's command, to be logged at its end; @output and @errors may
 * be NULL. */
void sp_log_result(SpLog *log, int status, const GString *output, const GString *errors);
/** End the innermost step. @failure says why it failed; NULL if it succeeded. */
void sp_log_end(SpLog *log, const char *failure);

/** Write an event of the caller's own to the events file only. @members is taken. */
void sp_log_event(SpLog *log, const char *event, json_t *members);

/** The number of open steps: for ending those that an error left open. */
guint sp_log_depth(SpLog *log);
