/* SPDX-License-Identifier: MIT */
#pragma once

#include "powercut/crash-disk.h"
#include "powercut/task.h"

/**
 * A raw file that follows a disk, or a part of it, from state to state, for programs that examine
 * it. Only differences are written each time.
 */
typedef struct SpCrashFile SpCrashFile;

/**
 * Create the file @path, sparse, with the present content of @length bytes of @disk from @offset on
 * (whole sectors). @disk and @task, which may be NULL, must outlive it. A regular file that did not
 * become complete is removed.
 */
SpCrashFile *sp_crash_file_new(const SpCrashDisk *disk, const char *path, guint64 offset,
    guint64 length, const SpTask *task, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Closes the file, which stays. */
void sp_crash_file_free(SpCrashFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpCrashFile, sp_crash_file_free)

/** Bring the file to what the disk is now. It is created again if a program has changed it. */
bool sp_crash_file_update(SpCrashFile *file, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Close the file, which can't be updated any more, and give it the present time. */
bool sp_crash_file_finish(SpCrashFile *file, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** How often it was created again. */
guint sp_crash_file_restored(const SpCrashFile *file);
