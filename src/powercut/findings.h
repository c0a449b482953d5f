/* SPDX-License-Identifier: MIT */
#pragma once

#include "powercut/crash-states.h"

#include <glib.h>
#include <stdbool.h>

/**
 * What was found of a disk's crash states.
 */
typedef struct SpFindings SpFindings;

/** Takes text for people, one or more whole lines. */
typedef void (*SpTextFunc)(const char *text, void *data);

typedef struct {
    const SpWriteLog *log;
    GPtrArray *partitions; /* of SpPartition; NULL if there are none */
    const char *command;   /* 'slotproof powercut' with all that makes a state again but its name */
    bool is_bootable;      /* --debug boots such a disk */
    guint shown;           /* how many kinds of failure are reported as they come */
    guint examples; /* how many states of each class are named: the first, and random others */
    guint32 seed;
    SpTextFunc func; /* gets each failure that is reported */
    void *data;
} SpFindingsOptions;

/** What @options points to must outlive it. */
SpFindings *sp_findings_new(const SpFindingsOptions *options);
void sp_findings_free(SpFindings *findings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpFindings, sp_findings_free)

/**
 * @state, of the class with @facts (words KEY=VALUE), was checked; @reason is NULL or why it
 * failed. A failure is reported if none had that reason before: with the writes around the cut, and
 * how to make the disk.
 */
void sp_findings_add(
    SpFindings *findings, const SpCrashState *state, const char *facts, const char *reason);
/** Record a failure that belongs to no particular state. */
void sp_findings_add_failure(SpFindings *findings, const char *reason);

guint64 sp_findings_checked(const SpFindings *findings);
guint64 sp_findings_failed(const SpFindings *findings);

/** The classes as text, a line each with a state. */
char *sp_findings_describe_classes(const SpFindings *findings);

/**
 * The findings as a JSON object. This is the form of the file that 'slotproof powercut --report'
 * writes; findings-file.h reads it. A new reference:
 *
 *   checked, failed   numbers of states
 *   failures          objects: state, entry, reason; the first of each reason also has what was
 *                     reported: writes (those around the cut, as text), and the commands that make
 *                     its disk and start a machine with it: disk, machine
 *   classes           objects: facts (an object of strings), examples (names of states), states
 *   entries           of the log, arrays: kind (write, discard, flush, mark), partition, offset,
 *                     length
 *   cuts              an array for each number of entries, from none to all: how many states have
 *                     to do with a cut there, how many of them failed, and the number of the class
 *                     of the state that has just these entries (null if it is the same as another)
 *
 * A campaign adds:
 *
 *   seen, distinct    numbers of states
 *   seed, seconds
 *   interrupted       whether it was ended early
 *   truncated         null, or of a log that is cut off an object: reason, entries_used,
 *                     entries_promised
 *   contents          of a check by a policy, objects: partitions (names), contents, checked
 *
 * A test that boots states adds:
 *
 *   boots             objects: state, class (its number), reason (null, or why it did not boot);
 * with a reason also machine, the command that starts a machine with its disk
 */
typedef struct json_t json_t;
json_t *sp_findings_to_json(const SpFindings *findings);
