/* SPDX-License-Identifier: MIT */
#pragma once

#include "powercut/crash-disk.h"

#include <glib.h>
#include <stdbool.h>

/*
 * What a power cut can leave on a disk: all that was written before the last flush, and of what
 * came after it anything. An epoch is what lies between two flushes.
 *
 * Each state has a name, from which it can be made again with the same log. Entries and sectors are
 * counted from 0, and N entries are those before entry N:
 *
 *   pN       the first N entries: power failed between two writes
 *   dN.J     the same without entry J, of the last epoch: the disk wrote another one first
 *   oJ       entry J alone, after the flush before it
 *   tN.M     the first N entries, and M sectors of entry N
 *   uJ.M     M sectors of entry J alone, after the flush before it
 *   sE.MASK  of the epoch whose first entry is E those writes that have a bit in the hexadecimal
 *            MASK, the first write being the lowest bit
 *   rE.I     of that epoch some, by chance: the I-th such choice of the seed
 *
 * Writes that arrive do so in the order in which they were made.
 */

typedef struct {
    guint subsets_max;  /* all subsets of epochs with no more writes than this (at most 16) */
    guint samples;      /* choices by chance, of epochs with more */
    guint tears_max;    /* every sector of writes no longer than this is one where they can tear */
    guint tear_samples; /* places by chance, of longer ones, besides the first and last sector */
    guint32 seed;
} SpCrashOptions;
extern const SpCrashOptions sp_crash_options;

/**
 * One state, the first with its bytes; @disk is in it while this runs, and is to be left so. False
 * ends the enumeration.
 */
typedef bool (*SpCrashFunc)(const char *name, SpCrashDisk *disk, void *data);

typedef struct {
    guint64 seen;     /* states */
    guint64 distinct; /* by their bytes */
} SpCrashCounts;

/**
 * Call @func for each state of @disk, which is as its base, and afterwards holds the whole log.
 * False if @func ended it.
 */
bool sp_crash_states_each(SpCrashDisk *disk, const SpWriteLog *log, const SpCrashOptions *options,
    SpCrashFunc func, void *data, SpCrashCounts *ret_counts);

/**
 * Bring @disk, which is as its base, into the state @name. SP_ERROR_USAGE where it is no state's
 * name, or none of this log's.
 */
bool sp_crash_state_make(SpCrashDisk *disk, const SpWriteLog *log, const SpCrashOptions *options,
    const char *name, GError **error);

/** The number of entries of the log that the state @name has to do with: where power failed. */
guint sp_crash_state_entry(const SpWriteLog *log, const char *name);
