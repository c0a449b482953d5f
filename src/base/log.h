/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>

/**
 * What happens in a test, as it happens: messages, nested steps with their time, console lines.
 *
 * Lines go to the test's log file, to a stream of the user's if one is given, and every event as
 * one line of JSON to the events file, from which a report is made (report/record.h has the
 * format). Neither file gets larger than SP_LOG_FILE_MAX; console lines may take a quarter of each,
 * what is printed another, and for the failure there is always room. Steps are of the thread that
 * made the log: those of other threads are plain messages. Where there are threads, the loop is
 * held (base/loop.h), but for sp_log_program(), which may be called in any.
 */
typedef struct SpLog SpLog;

#define SP_LOG_FILE_MAX (64u * 1024 * 1024)
/** What is kept of a step's text, and of a command's output. */
#define SP_LOG_TEXT_MAX 16384u
/** Of a message in log.txt. */
#define SP_LOG_MESSAGE_MAX (256u * 1024)

/** The innermost open step has changed; @text is NULL where none is open, @machine may be. */
typedef void (*SpLogStepFunc)(const char *machine, const char *text, void *data);

/** Called before something is logged: calls sp_log_program() for what is there to be logged before
 * it. */
typedef void (*SpLogGatherFunc)(void *data);

typedef struct {
    const char *dir;    /* folder for log.txt and events.jsonl; NULL: keep no files */
    int stream_fd;      /* lines for people go here too; -1: nowhere. Not owned. */
    bool is_continued;  /* what is in the files already stays */
    bool with_consoles; /* console lines go to the stream as well */
    gint64 begin;       /* the time, as of g_get_monotonic_time(), from which is counted; 0: now */
    SpLogStepFunc step_func; /* may be NULL */
    void *step_data;
    SpLogGatherFunc gather_func; /* may be NULL */
    void *gather_data;
} SpLogConfig;

/** NULL with @error where a file can't be made. */
SpLog *sp_log_new(const SpLogConfig *config, GError **error);
/** Writes out what is pending. NULL is fine. */
void sp_log_free(SpLog *log);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpLog, sp_log_free)

/** One message; @machine may be NULL. Every function here takes a NULL @log and does nothing. */
void sp_log(SpLog *log, const char *machine, const char *format, ...) G_GNUC_PRINTF(3, 4);

/**
 * Something happened to a machine at this moment: a message, which is marked in reports. @kind is
 * one of those of report/record.h.
 */
void sp_log_mark(SpLog *log, const char *machine, const char *kind, const char *format, ...)
    G_GNUC_PRINTF(4, 5);

/** Whether console lines go to the stream as well, from now on. */
void sp_log_show_consoles(SpLog *log, bool are_shown);
bool sp_log_shows_consoles(SpLog *log);

/** A line of a machine's console. */
void sp_log_console(SpLog *log, const char *machine, const char *line);

/** A line that the script has printed. */
void sp_log_printed(SpLog *log, const char *line);
/** A line that a program of the host has written. In any thread. */
void sp_log_program(SpLog *log, const char *line);

/** Why the script failed: @text goes to the file, since who looks on is told in the end; @members,
 * which are taken, are the event. */
void sp_log_failure(SpLog *log, const char *text, JsonObject *members);

/**
 * Begin a step within the one that is open: indented below it, and timed. @kind is a word for
 * reports ("command", "wait", "boot", "subtest", ...). Ended in reverse order by sp_log_end().
 */
void sp_log_begin(SpLog *log, const char *machine, const char *kind, const char *format, ...)
    G_GNUC_PRINTF(4, 5);
/** What the command of the innermost step came to, for its end; either of the two may be NULL. */
void sp_log_result(SpLog *log, int status, const GString *output, const GString *errors);
/** End the innermost step; @failure is NULL or why it failed. */
void sp_log_end(SpLog *log, const char *failure);

/** An event of the caller's own for the events file only. @members is taken. */
void sp_log_event(SpLog *log, const char *event, JsonObject *members);

/** How many steps are open: for ending those that an error left open. */
guint sp_log_depth(SpLog *log);
