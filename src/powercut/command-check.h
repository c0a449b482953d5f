/* SPDX-License-Identifier: MIT */
#pragma once

#include "powercut/state-check.h"

#include <glib.h>
#include <stdbool.h>

/**
 * Has a user's command check states of a disk: each as a raw file, which follows the states.
 * Several run in parallel, each with a file of its own. The fact of a state is check=passed or
 * check=failed.
 */
typedef struct SpCommandCheck SpCommandCheck;
extern const SpStateCheckOps sp_command_check_ops;

typedef struct {
    const char *command;    /* for /bin/sh; has the file's path in $SLOTPROOF_DISK and as $1, the
                               state's name in $SLOTPROOF_STATE; fails by any status but 0 */
    guint64 offset, length; /* what of the disk is in the file: bytes, whole sectors */
    guint jobs;
    gint64 timeout_ms; /* for each state: a command that takes longer fails */
    const SpTask *task;
    SpStateResultFunc func;
    void *data;
} SpCommandOptions;

/** What @options points to, and @disk, must outlive it. Writes @jobs files, which have no name but
 * one below /proc. */
SpCommandCheck *sp_command_check_new(const SpCrashDisk *disk, const SpCommandOptions *options,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Ends what runs. */
void sp_command_check_free(SpCommandCheck *check);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpCommandCheck, sp_command_check_free)

/** How often the command changed its file, which was then restored. */
guint sp_command_check_restored(const SpCommandCheck *check);
