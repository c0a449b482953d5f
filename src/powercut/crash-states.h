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
 *   hN.I     the first N entries, and of entry N some sectors, by chance: the I-th such choice
 *   uJ.M     the first M sectors of entry J alone, after the flush before it
 *   yJ.M     entry J alone but for its first M sectors, after the flush before it
 *   vN.J     the first N + 1 entries, but entry J, which covers a part of what entry N does, was
 *            written last
 *   sE.MASK  of the epoch whose first entry is E those writes that have a bit in the hexadecimal
 *            MASK, the first write being the lowest bit
 *   rE.I     of that epoch some, some of them torn, by chance: the I-th such choice
 *
 * But for vN.J writes that arrive do so in the order in which they were made: it makes a difference
 * only where they overlap.
 */

#define SP_CRASH_MILESTONES 4u

typedef struct {
    guint subsets_max;  /* all subsets of epochs with no more writes than this (at most 16) */
    guint samples;      /* choices by chance, of epochs with more */
    guint delays;       /* how many of the writes before each one may be the one that is missing */
    guint tears_max;    /* every sector of writes no longer than this is one where they can tear */
    guint tear_samples; /* places by chance, of longer ones, besides the first and last sector; and
                           choices of sectors by chance, of all with more than two */
    guint32 seed;
    /* From these entries on more is asked of a state, so that one with the same bytes as another is
     * another one if power can have failed later; 0: none. */
    guint milestones[SP_CRASH_MILESTONES];
    /* told of each state, and may end it; may be NULL */
    const SpTask *task;
    const char *doing; /* what the states are for */
    guint64 expected;  /* so many states; 0: not known */
} SpCrashOptions;
extern const SpCrashOptions sp_crash_options;

typedef struct {
    const char *name;
    guint at;     /* so many entries it has to do with */
    guint latest; /* so many entries were there at most when power failed: the end of its epoch */
} SpCrashState;

/**
 * One state, the first with its bytes; @disk is in it while this runs, and is to be left so. False
 * ends the enumeration.
 */
typedef bool (*SpCrashFunc)(const SpCrashState *state, SpCrashDisk *disk, void *data);

typedef struct {
    guint64 seen;     /* states */
    guint64 distinct; /* by their bytes, and what was asked of them */
} SpCrashCounts;

/**
 * Call @func for each state of @disk, which is as its base, and afterwards holds the whole log
 * unless @func or the task ended it: then false is returned. Where @range is not negative, only
 * that range of the disk tells states apart.
 */
bool sp_crash_states_each(SpCrashDisk *disk, const SpWriteLog *log, const SpCrashOptions *options,
    int range, SpCrashFunc func, void *data, SpCrashCounts *ret_counts);

/**
 * Bring @disk, which is as its base, into the state @name. SP_ERROR_USAGE where it is no state's
 * name, or none of this log's; SP_ERROR_INTERRUPTED.
 */
bool sp_crash_state_make(SpCrashDisk *disk, const SpWriteLog *log, const SpCrashOptions *options,
    const char *name, GError **error);
