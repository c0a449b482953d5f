/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/wait.h"
#include "powercut/crash-disk.h"

#include <glib.h>
#include <stdbool.h>

/*
 * What must hold of the appliance's disk, in every state that a power cut leaves it in while a
 * release is installed and booted:
 *
 *   - the partition table and the slot that ran are as they were, to the byte;
 *   - the boot state is whole, neither torn nor missing, and its file system in order;
 *   - the slot that the selector boots next is one whole release: that which ran, or the new one;
 *   - what was said to be done is: of an installation that has ended the new release boots, and of
 *     a slot that was started an attempt was taken off;
 *   - the file system of data is in order, in a choice of the contents that it has.
 *
 * In two rounds over the same states: sp_slots_check_count() in the first, which is optional, as is
 * sp_slots_check_prepare() in a second one; then sp_slots_check_state().
 */

/** What had happened when power failed. */
enum {
    SP_SLOTS_INSTALLED = 1u << 0, /* the installation had ended, with success */
    SP_SLOTS_STARTED = 1u << 1,   /* the selector had started the new release's kernel */
};

typedef struct SpSlotsCheck SpSlotsCheck;

/**
 * Check @disk, on the raw image @path: at the start as its base, with the old release in the slot
 * that boots. Adds its ranges to @disk. @jobs programs at most run side by side to look into file
 * systems; @task, which must outlive it, ends them. SP_ERROR_USAGE where the disk is none of
 * the appliance's.
 */
SpSlotsCheck *sp_slots_check_new(
    SpCrashDisk *disk, const char *path, guint jobs, const SpTask *task, GError **error);
void sp_slots_check_free(SpSlotsCheck *check);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpSlotsCheck, sp_slots_check_free)

/**
 * The new release is what the other slot of @disk holds now: the log's end. Where @boot and @rootfs
 * (files; may be NULL) are given, it must begin with just what they hold. SP_ERROR_ASSERTION where
 * it does not.
 */
bool sp_slots_check_learn(
    SpSlotsCheck *check, SpCrashDisk *disk, const char *boot, const char *rootfs, GError **error);

/** Note which content the data partition has. */
void sp_slots_check_count(SpSlotsCheck *check, const SpCrashDisk *disk);
/** Of those that were noted look into @number, by chance of @seed. Without this, into none. */
void sp_slots_check_choose_data(SpSlotsCheck *check, guint number, guint32 seed);
/** Have programs look at what will be asked of the state that @disk is in. */
void sp_slots_check_prepare(SpSlotsCheck *check, const SpCrashDisk *disk);

/**
 * Check the state that @disk is in. @ret_class, static for as long as @check lives, is what decides
 * how it goes on: states of one class boot alike. False with SP_ERROR_ASSERTION and the reason.
 */
bool sp_slots_check_state(SpSlotsCheck *check, const SpCrashDisk *disk, guint happened,
    const char **ret_class, GError **error);

typedef struct {
    guint states;       /* contents of the state partition that were looked into */
    guint data;         /* contents that the data partition has */
    guint data_checked; /* those of them that were looked into */
} SpSlotsCounts;
SpSlotsCounts sp_slots_check_counts(const SpSlotsCheck *check);
