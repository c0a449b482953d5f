/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/**
 * What is known of a test that ran, read back from its folder.
 *
 * The file events.jsonl in there has a JSON object a line. Each has "event" and, but for the last
 * one, "time": seconds since the test began.
 *
 *   begin     a step: "kind" (command, wait, boot, subtest, nested, copy, screen, network, ...),
 *             "text", "machine" if it is about one. Steps lie in one another.
 *   end       of the innermost step: "seconds"; "text" is why it failed, missing if it did not;
 *             of a command "status", and "output" and "errors" (stdout, stderr) if there were any
 *   message   "text", "machine" if it is about one
 *   mark      something that happened to "machine" at this moment, "text" in words; "kind":
 *             start      it was switched on
 *             agent      its guest takes commands from now on
 *             reset, watchdog, panic, power-cut, off
 *             screenshot "text" is the name of a PNG file in the folder
 *   console   a line, "text", of the console of "machine"
 *   failure   of the script: "headline" is which assertion, "text" what was expected and seen;
 * "file" and "line" to "last_line" is where, "source" the lines there from number "first" on;
 *             "subtest" the innermost one that it was in; "chain" all exceptions, if there were
 *             several
 *   full      events are left out from here on
 *   result    how it went, by who started it: "word" (passed, failed, error, stopped), "text" is
 *             what was told of a failure, "reason" why it failed where the script can't know that,
 *             "seconds", "name", "description", "began" (seconds since
 *             1970)
 *
 * A guest decides on much of it. What does not look like this is passed over; what is too much is
 * left out.
 */

typedef enum {
    SP_RESULT_PASSED,
    SP_RESULT_FAILED,
    SP_RESULT_ERROR,   /* the test, or what it needs, is not in order */
    SP_RESULT_SKIPPED, /* stopped by the user, or not even begun */
} SpResultKind;

/** "passed", "failed", "error" or "stopped". */
const char *sp_result_word(SpResultKind kind);

typedef struct {
    double begin;
    double seconds; /* negative: its end is not known */
    guint depth;    /* how many steps it lies in */
    char *kind;
    char *text;
    char *machine; /* or NULL, as the following */
    char *failure;
    char *output;
    char *errors;
    bool has_status;
    int status;
    bool is_spare; /* one too many, unless it turns out to have failed */
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
    char *text;     /* NULL: no failure is known */
    char *headline; /* which assertion */
    char *chain;    /* NULL unless several exceptions hang together */
    char *subtest;
    char *file;
    char *source;
    guint line, last_line, first;
} SpRecordFailure;

#define SP_RECORD_STEPS_MAX 20000u
/** Subtests that failed beyond that. */
#define SP_RECORD_FAILED_MAX 1000u
#define SP_RECORD_MARKS_MAX 2000u
#define SP_RECORD_MACHINES_MAX 64u
#define SP_RECORD_CONSOLE_LINES 40u
#define SP_RECORD_MESSAGES 500u

typedef struct {
    char *name;
    char *description; /* "" if there is none */
    char *dir;         /* its folder; NULL where it did not begin, or it has gone */
    SpResultKind kind;
    bool is_kept; /* it was not run now, but when it says that it began */
    char *report; /* what was told of a failure; NULL if nothing */
    char *reason; /* NULL: the script's failure says it */
    double seconds;
    gint64 began_s;      /* since 1970; 0 where that is not known */
    GPtrArray *steps;    /* of SpRecordStep, in the order in which they began */
    GPtrArray *marks;    /* of SpRecordMark */
    GPtrArray *consoles; /* of SpRecordConsole; a machine that marks or steps tell of has one too */
    GQueue messages;     /* of char *: the last ones that are about no machine */
    SpRecordFailure failure;
    guint left_out;  /* steps that were too many */
    double end;      /* the largest time seen */
    GPtrArray *open; /* of the steps that are open, while reading; NULL for one that was left out */
} SpRecord;

SpRecord *sp_record_new(const char *name);
void sp_record_free(SpRecord *record);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpRecord, sp_record_free)

/** Take one line of events.jsonl, without its newline. False, and nothing, for what is none. */
bool sp_record_take(SpRecord *record, const char *line, gsize length);
/** The record in the folder @dir; SP_ERROR_HOST where it can't be read. One without a result was
 * stopped. */
SpRecord *sp_record_load(const char *dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/** The record of @name whose lines are @text. */
SpRecord *sp_record_parse(const char *name, const char *text, gsize length);
/** "kept, run on 2026-11-27 16:43" of one that is kept, in local time. Free with g_free(). */
char *sp_record_kept_text(const SpRecord *record);

/** How a test went, for the end of its record. */
typedef struct {
    const char *name;
    const char *description;
    SpResultKind kind;
    const char *report; /* may be NULL, as the next */
    const char *reason;
    double seconds;
    gint64 began_s; /* since 1970 */
} SpRecordResult;
/** A test of which nothing else is known. */
SpRecord *sp_record_of_result(const SpRecordResult *result);
/** Append it to the record in the folder @dir, which is made if there is none. */
bool sp_record_append(
    const char *dir, const SpRecordResult *result, GError **error) G_GNUC_WARN_UNUSED_RESULT;
