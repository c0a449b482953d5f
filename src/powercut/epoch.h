/* SPDX-License-Identifier: MIT */
#pragma once

#include "powercut/crash-states.h"

/*
 * What the enumeration of crash states and the making of one by its name have in common: epochs,
 * and how a part of one arrives.
 */

#define SP_SUBSETS_LIMIT 16u

/** A log with the choices that are made in it. */
typedef struct {
    const SpLogEntry *entries;
    guint count;
    const SpCrashOptions *options;
} SpEpochs;

/** The entries from @first up to, not including, @end; the flush that ends it is left out. */
typedef struct {
    guint first, end;
} SpEpoch;

SpEpochs sp_epochs(const SpWriteLog *log, const SpCrashOptions *options);
/** The epoch that begins with entry @first: nothing where that is a flush, or the log's end. */
SpEpoch sp_epoch_from(const SpEpochs *epochs, guint first);
/** The first entry of the epoch that @entry is in. */
guint sp_epoch_begin(const SpEpochs *epochs, guint entry);
/** Where the next epoch begins. */
guint sp_epoch_next(const SpEpochs *epochs, SpEpoch epoch);
/** How many sectors @entry brings. */
guint64 sp_epoch_sectors(const SpEpochs *epochs, guint entry);

/** All of @entry arrives. */
void sp_epoch_apply(const SpEpochs *epochs, SpCrashDisk *disk, guint entry);
/** Some sectors of @entry: the choice @number of the seed. */
void sp_epoch_apply_sectors(const SpEpochs *epochs, SpCrashDisk *disk, guint entry, guint number);
/** Those that have a bit in @mask. */
void sp_epoch_apply_mask(const SpEpochs *epochs, SpCrashDisk *disk, SpEpoch epoch, guint mask);
/** Some: the choice @number of the seed. */
void sp_epoch_apply_sample(const SpEpochs *epochs, SpCrashDisk *disk, SpEpoch epoch, guint number);
/** The places where @entry tears, numbers of sectors: each once or more, in no order. */
GArray *sp_epoch_tears(const SpEpochs *epochs, guint entry);
