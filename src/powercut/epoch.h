/* SPDX-License-Identifier: MIT */
#pragma once

#include "powercut/crash-states.h"

/*
 * What enumerating crash states and making one by its name have in common: epochs, and how parts of
 * them arrive.
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
/** The epoch that begins with entry @first; empty if that is a flush, or the log's end. */
SpEpoch sp_epoch_from(const SpEpochs *epochs, guint first);
/** The first entry of the epoch that @entry is in. */
guint sp_epoch_begin(const SpEpochs *epochs, guint entry);
/** Where the next epoch begins. */
guint sp_epoch_next(const SpEpochs *epochs, SpEpoch epoch);
/** The number of sectors of @entry. */
guint64 sp_epoch_sectors(const SpEpochs *epochs, guint entry);

/** All of @entry arrives. */
void sp_epoch_apply(const SpEpochs *epochs, SpCrashDisk *disk, guint entry);
/** Some random sectors of @entry: the choice @number of the seed. */
void sp_epoch_apply_sectors(const SpEpochs *epochs, SpCrashDisk *disk, guint entry, guint number);
/** The entries of @epoch that have a bit in @mask arrive. */
void sp_epoch_apply_mask(const SpEpochs *epochs, SpCrashDisk *disk, SpEpoch epoch, guint mask);
/** Some random entries of @epoch arrive: the choice @number of the seed. */
void sp_epoch_apply_sample(const SpEpochs *epochs, SpCrashDisk *disk, SpEpoch epoch, guint number);
/** The places where @entry tears, as numbers of sectors, in no order; one may be there twice. */
GArray *sp_epoch_tears(const SpEpochs *epochs, guint entry);
