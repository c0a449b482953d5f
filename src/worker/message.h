/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/**
 * What a worker tells the program that started it: one JSON object a line, at most SP_REPORT_MAX
 * bytes each.
 */
typedef enum {
    SP_REPORT_BEGIN,   /* machines are about to be made: number is the accelerator's time factor */
    SP_REPORT_SCRIPT,  /* its machines are as the checkpoint has them, and its script begins: number
                          the seconds that having the checkpoint took, text "" unless it was made:
                          then the seconds  that this took, without the one below it, a space, those
                          of that one if it  was made for this, and so on */
    SP_REPORT_SUBTEST, /* a subtest ended: text is its name, word "passed" or "failed", number its
                          seconds */
    SP_REPORT_STEP,    /* what it does now: text, "" for nothing that has a name */
    SP_REPORT_PRINT,   /* a line that the script has printed: text */
    SP_REPORT_FOREIGN, /* a machine is made from an image by path, or a disk that was given: what
                          is in it decides the result, and nobody but the script knows of it */
    SP_REPORT_RESULT,  /* the last one: word is "passed", "failed", "error" or "interrupted", text
                          the report for people, number the seconds without those that having its
                          checkpoint took */
} SpReportKind;

/** In place of "failed", of a worker that makes a checkpoint: its disk is full. */
#define SP_REPORT_NO_ROOM "no room"

#define SP_REPORT_MAX (16u * 1024 * 1024)
/** Of a text, whose middle is left out if it is longer: however it is escaped, its line is no
 * longer than SP_REPORT_MAX. */
#define SP_REPORT_TEXT_MAX (1024u * 1024)

typedef struct {
    SpReportKind kind;
    char *word; /* "" where there is none, as of text */
    char *text;
    double number;
} SpReport;
void sp_report_clear(SpReport *report);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(SpReport, sp_report_clear)

/** The line, with its newline. @word and @text may be NULL. */
char *sp_report_format(SpReportKind kind, const char *word, const char *text, double number);
/** Parse one line without its newline. A pure function; SP_ERROR_PROTOCOL. */
bool sp_report_parse(const char *line, gsize length, SpReport *ret_report, GError **error);
