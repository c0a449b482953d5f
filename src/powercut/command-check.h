/* SPDX-License-Identifier: MIT */
#pragma once

#include "powercut/crash-states.h"

#include <glib.h>
#include <stdbool.h>

/**
 * Has a user's command check states of a disk: each as a raw file, which follows the states.
 * Several run side by side, each with a file of its own.
 */
typedef struct SpCommandCheck SpCommandCheck;

/** @state was checked; @reason is NULL or why it failed. In the order in which they were started.
 */
typedef void (*SpCommandResultFunc)(const SpCrashState *state, const char *reason, void *data);

typedef struct {
    const char *command;    /* for /bin/sh; has the file's path in $SLOTPROOF_DISK and as $1, the
                               state's name in $SLOTPROOF_STATE; fails by any status but 0 */
    guint64 offset, length; /* what of the disk is in the file: bytes, whole sectors */
    guint jobs;
    gint64 timeout_ms; /* for each state: a command that takes longer fails */
    const SpTask *task;
    SpCommandResultFunc func;
    void *data;
} SpCommandOptions;

/** What @options points to, and @disk, must outlive it. Writes @jobs files, which have no name but
 * one below /proc. */
SpCommandCheck *sp_command_check_new(
    const SpCrashDisk *disk, const SpCommandOptions *options, GError **error);
/** Ends what runs. */
void sp_command_check_free(SpCommandCheck *check);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpCommandCheck, sp_command_check_free)

/** Have @state checked, which the disk is in; waits for an earlier one where @jobs are under way.
 * False where the host failed, or with SP_ERROR_INTERRUPTED. */
bool sp_command_check_start(SpCommandCheck *check, const SpCrashState *state, GError **error);
/** Wait for all. */
bool sp_command_check_finish(SpCommandCheck *check, GError **error);
/** How many states' files the command has changed, and were made anew. */
guint sp_command_check_restored(const SpCommandCheck *check);
