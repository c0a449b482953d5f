/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/wait.h"

#include <glib.h>
#include <stdbool.h>

/**
 * A device's program that says what the contents of its partitions would boot.
 *
 * It is started once, without arguments, when it is first asked. A question is a line on its stdin,
 * words NAME=PATH: a partition, and a raw file with the content. It answers with a line of words
 * KEY=VALUE on its stdout, one of them boots=NAME, or boots=none if nothing boots:
 *
 *   state=/proc/4711/fd/9
 *   boots=A A-attempts=3 A-good=yes A-untried=no B-attempts=0 B-good=no B-untried=no
 *
 * The answers are the facts by which states are told apart. If the content is not in order, the
 * last word is error=, and the rest of the line is the reason; such an answer may lack boots=. The
 * same content must give the same answer. The decider may write to the file, which is slow. What it
 * writes to stderr is shown if it fails. It ends at the end of its stdin.
 */
typedef struct SpDecider SpDecider;

#define SP_DECIDER_LINE_MAX 4096u /* an answer with its newline */

/** @program, a path, has @timeout_ms for each answer. */
SpDecider *sp_decider_new(const char *program, gint64 timeout_ms);
/** Kills it if it runs. NULL is accepted. */
void sp_decider_free(SpDecider *decider);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpDecider, sp_decider_free)

/** What a decider answered. */
typedef struct {
    char *boots;   /* NULL only with @failure */
    char *facts;   /* all words of the answer but the error, boots first; may be empty */
    char *failure; /* NULL, or why the content is not in order */
} SpDecision;
void sp_decision_clear(SpDecision *decision);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(SpDecision, sp_decision_clear)

/**
 * Ask @question, one line without its newline. A decider that can't be started, ends, does not
 * answer in time or not with one valid line is an error: SP_ERROR_USAGE, or SP_ERROR_TIMEOUT.
 */
bool sp_decider_ask(SpDecider *decider, const char *question, const SpInterrupt *interrupt,
    SpDecision *ret_decision, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/** Parse an answer without its newline. On failure @ret_expected is what was wrong with it. */
bool sp_decision_parse(const char *line, gsize length, SpDecision *ret_decision,
    const char **ret_expected) G_GNUC_WARN_UNUSED_RESULT;
/** Whether one of @facts has the key of @word, which is KEY=VALUE. */
bool sp_facts_have_key(const char *facts, const char *word);
/** Whether each of @wanted (KEY=VALUE, ended by NULL) is among @facts. */
bool sp_facts_contain(const char *facts, char *const *wanted);
