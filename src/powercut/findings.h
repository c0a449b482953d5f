/* SPDX-License-Identifier: MIT */
#pragma once

#include "powercut/crash-states.h"

#include <glib.h>
#include <stdbool.h>

/**
 * What was found of a disk's crash states: said on stdout as it comes, then as a sum, and as JSON.
 */
typedef struct SpFindings SpFindings;

typedef struct {
    const SpWriteLog *log;
    GPtrArray *partitions; /* of SpPartition; NULL where there are none */
    const char *command;   /* 'slotproof powercut' with what makes any state again but its name */
    bool is_bootable;      /* --debug boots such a disk */
    guint shown;           /* how many kinds of failure are told of */
    guint examples; /* how many states of each class are named: the first, others by chance */
    guint32 seed;
} SpFindingsOptions;

/** What @options points to must outlive it. */
SpFindings *sp_findings_new(const SpFindingsOptions *options);
void sp_findings_free(SpFindings *findings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpFindings, sp_findings_free)

/** @state, of the class @class, was checked; @reason is NULL or why it failed. A failure is told of
 * where none had that reason before: with the writes around the cut, and how to make the disk. */
void sp_findings_add(
    SpFindings *findings, const SpCrashState *state, const char *class, const char *reason);
/** Something failed that is no state's. */
void sp_findings_add_failure(SpFindings *findings, const char *reason);

guint64 sp_findings_checked(const SpFindings *findings);
guint64 sp_findings_failed(const SpFindings *findings);

/** The classes, each with a state. */
void sp_findings_say(const SpFindings *findings);

/**
 * All of it, a JSON object that the caller may add members to:
 *
 *   checked, failed   numbers of states
 *   failures          objects: state, entry, reason; the first of each reason also has what was
 *                     told of it: writes (those around the cut, as text), and commands that make
 *                     its disk and a machine with it: disk, machine
 *   classes           objects: description, examples (names of states), states
 *   entries           of the log, arrays: kind (write, discard, flush, mark), partition, offset,
 *                     length
 *   cuts              an array for each number of entries, from none to all: how many states have
 *                     to do with a cut there, how many of them failed, and the number of the class
 *                     of the state that has just these entries (null where it is as another one)
 */
typedef struct _JsonObject JsonObject;
JsonObject *sp_findings_to_json(const SpFindings *findings);
