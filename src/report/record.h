/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/**
 * The record of a test that ran, read from its directory.
 *
 * The file events.jsonl in there has one JSON object per line. Each has "event" and, except for the
 * last, "time": seconds since the test began.
 *
 *   begin     a step begins: "kind" (command, wait, boot, subtest, nested, copy, screen, network,
 *             ...), "text", "machine" if it is about one. Steps are nested.
 *   end       the innermost step ends: "seconds"; "text" says why it failed, if it did; for a
 *             command "status", and "output" and "errors" (stdout, stderr) unless they are empty
 *   message   "text", "machine" if it is about one
 *   mark      something happened to "machine"; "text" describes it; "kind" is one of:
 *             start      it was switched on
 *             agent      its guest accepts commands from now on
 *             reset, watchdog, panic, power-cut, off
 *             screenshot "text" is the name of a PNG file in the directory
 *   console   a line, "text", of the console of "machine"
 *   failure   the script failed: "headline" names the assertion, "text" what was expected and seen;
 *             "file" and "line" to "last_line" say where, "source" has the lines from number
 * "first" on; "subtest" is the innermost open one; "chain" lists all exceptions if there were
 *             several
 *   full      further events are left out
 *   result    the outcome, added by the runner: "word" (passed, failed, error, stopped), "text" is
 *             the failure as it was shown, "reason" why it failed if the script can't know,
 *             "seconds", "name", "description", "began" (seconds since 1970)
 *
 * Guests control much of this. Lines of another form are skipped; what exceeds a limit is left out.
 */

typedef enum {
    SP_RESULT_PASSED,
    SP_RESULT_FAILED,
    SP_RESULT_ERROR,   /* the test, or something that it needs, is broken */
    SP_RESULT_SKIPPED, /* stopped by the user, or not started */
} SpResultKind;

/** "passed", "failed", "error" or "stopped". */
const char *sp_result_word(SpResultKind kind);

typedef struct {
    double begin;
    double seconds; /* negative: it did not end */
    guint depth;    /* the number of steps around it */
    char *kind;
    char *text;
    char *machine; /* may be NULL, like the members below */
    char *failure;
    char *output;
    char *errors;
    bool has_status;
    int status;
    bool is_spare; /* over the limit: dropped unless it turns out to have failed */
} SpRecordStep;

typedef struct {
    double time;
    char *machine;
    char *kind;
    char *text;
} SpRecordMark;

/** The last lines of a machine's console. */
typedef struct {
    char *machine;
    GQueue lines; /* of char * */
} SpRecordConsole;

typedef struct {
    char *text;     /* NULL: there is no failure */
    char *headline; /* the assertion */
    char *chain;    /* NULL unless several exceptions are chained */
    char *subtest;
    char *file;
    char *source;
    guint line, last_line, first;
} SpRecordFailure;

#define SP_RECORD_STEPS_MAX 20000u
/** The limit of failed subtests beyond that. */
#define SP_RECORD_FAILED_MAX 1000u
#define SP_RECORD_MARKS_MAX 2000u
#define SP_RECORD_MACHINES_MAX 64u
#define SP_RECORD_CONSOLE_LINES 40u
#define SP_RECORD_MESSAGES 500u

typedef struct {
    char *name;
    char *description; /* "" if there is none */
    char *dir;         /* its directory; NULL if it was not started, or the directory is gone */
    SpResultKind kind;
    bool is_kept; /* it was not run now: its times are those of the earlier run */
    char *report; /* a failure as it was shown to the user; NULL if there was none */
    char *reason; /* why it failed; NULL: the script's failure says it */
    double seconds;
    gint64 began_s;      /* since 1970; 0 if unknown */
    GPtrArray *steps;    /* of SpRecordStep, in the order in which they began */
    GPtrArray *marks;    /* of SpRecordMark */
    GPtrArray *consoles; /* of SpRecordConsole; every machine in marks or steps has one */
    GQueue messages;     /* of char *: the last messages without a machine */
    SpRecordFailure failure;
    guint left_out;  /* steps over the limit */
    double end;      /* the largest time seen */
    GPtrArray *open; /* while reading: the open steps; NULL for one that was left out */
} SpRecord;

SpRecord *sp_record_new(const char *name);
void sp_record_free(SpRecord *record);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpRecord, sp_record_free)

/** Add one line of events.jsonl, without its newline. Returns false, and changes nothing, if the
 * line is not a valid event. */
bool sp_record_take(SpRecord *record, const char *line, gsize length);
/** Load the record from the directory @dir. SP_ERROR_HOST if it can't be read. A record without a
 * result is one of a test that was stopped. */
SpRecord *sp_record_load(const char *dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/** The record of @name whose lines are @text. */
SpRecord *sp_record_parse(const char *name, const char *text, gsize length);
/** For a kept record, "kept, run on 2026-11-27 16:43" in local time. Free with g_free(). */
char *sp_record_kept_text(const SpRecord *record);

/** The outcome of a test, for the end of its record. */
typedef struct {
    const char *name;
    const char *description;
    SpResultKind kind;
    const char *report; /* may be NULL, like @reason */
    const char *reason;
    double seconds;
    gint64 began_s; /* since 1970 */
} SpRecordResult;
/** A record with nothing but a result. */
SpRecord *sp_record_of_result(const SpRecordResult *result);
/** Append @result to the record in the directory @dir, which is created if it does not exist. */
bool sp_record_append(
    const char *dir, const SpRecordResult *result, GError **error) G_GNUC_WARN_UNUSED_RESULT;
