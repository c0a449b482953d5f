/* SPDX-License-Identifier: MIT */
#pragma once

#include "powercut/crash-disk.h"
#include "powercut/task.h"

#include <glib.h>
#include <stdbool.h>

/*
 * What a power cut can leave on a disk: all that was written before the last flush, and of what
 * came after it anything. An epoch is what lies between two flushes.
 *
 * Each state has a name, from which it can be made again with the same log and seed. Entries and
 * sectors are counted from 0, and N entries are those before entry N:
 *
 *   pN       the first N entries: power failed between two writes
 *   dN.J     the same without entry J, of the last epoch: the disk wrote others first
 *   oJ       entry J alone, after the flush before it
 *   tN.M     the first N entries, and the first M sectors of entry N
 *   xN.M     the first N entries, and entry N but for its first M sectors
 *   hN.I     the first N entries, and of entry N some random sectors: the I-th choice
 *   uJ.M     the first M sectors of entry J alone, after the flush before it
 *   yJ.M     entry J alone but for its first M sectors, after the flush before it
 *   vN.J     the first N + 1 entries, but entry J, which covers a part of what entry N does, was
 *            written last
 *   sE.MASK  of the epoch whose first entry is E those writes that have a bit in the hexadecimal
 *            MASK, the first write being the lowest bit
 *   rE.I     of that epoch a random part, some of it torn: the I-th choice
 *
 * Except in vN.J, writes that arrive do so in the order in which they were made, which matters only
 * if they overlap.
 */

#define SP_CRASH_MILESTONES 4u

typedef struct {
    guint subsets_max;  /* all subsets of epochs with no more writes than this (at most 16) */
    guint samples;      /* random choices, of epochs with more */
    guint delays;       /* one of this many writes before each one may be missing */
    guint tears_max;    /* every sector of writes no longer than this is one where they can tear */
    guint tear_samples; /* random places in longer ones, besides the first and last sector; and
                           random choices of sectors, of all with more than two */
    guint32 seed;
    /* From these entries on more is asked of a state: with the same bytes as another it is still a
     * state of its own if power can have failed later. 0: none. */
    guint milestones[SP_CRASH_MILESTONES];
    /* is told of each state, and may end the enumeration; may be NULL */
    const SpTask *task;
    const char *doing; /* what the states are for */
    guint64 expected;  /* number of states; 0: not known */
} SpCrashOptions;
extern const SpCrashOptions sp_crash_options;

typedef struct {
    const char *name;
    guint at;      /* the number of entries that it has to do with */
    guint latest;  /* entries that there were at most when power failed: the end of its epoch */
    bool is_plain; /* just the first @at entries */
} SpCrashState;

/**
 * One state, the first with its bytes; @disk is in it, and must be left in it. Return false to end
 * the enumeration.
 */
typedef bool (*SpCrashFunc)(const SpCrashState *state, SpCrashDisk *disk, void *data);

typedef struct {
    guint64 seen;     /* states */
    guint64 distinct; /* by their bytes, and by what is asked of them */
} SpCrashCounts;

/**
 * Call @func for each state of @disk, which must be as its base; afterwards it holds the whole log.
 * Returns false if @func or the task ended the enumeration. If @range is not negative, states are
 * distinct by that range of the disk only.
 */
bool sp_crash_states_each(SpCrashDisk *disk, const SpWriteLog *log, const SpCrashOptions *options,
    int range, SpCrashFunc func, void *data, SpCrashCounts *ret_counts);

/**
 * Bring @disk, which must be as its base, into the state @name. SP_ERROR_USAGE if that is not a
 * state of this log; SP_ERROR_INTERRUPTED.
 */
bool sp_crash_state_make(SpCrashDisk *disk, const SpWriteLog *log, const SpCrashOptions *options,
    const char *name, GError **error) G_GNUC_WARN_UNUSED_RESULT;
