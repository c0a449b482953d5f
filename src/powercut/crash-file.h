/* SPDX-License-Identifier: MIT */
#pragma once

#include "powercut/crash-disk.h"
#include "powercut/task.h"

/**
 * A raw file that follows a disk, or a part of it, from state to state, for programs that look into
 * it. Only what differs is written each time.
 */
typedef struct SpCrashFile SpCrashFile;

/**
 * Make the file @path, anew and sparse, with what @length bytes of @disk from @offset on (whole
 * sectors) are now. Disk and @task, which may be NULL, must outlive it. A regular file that did not
 * become whole is removed.
 */
SpCrashFile *sp_crash_file_new(const SpCrashDisk *disk, const char *path, guint64 offset,
    guint64 length, const SpTask *task, GError **error);
/** Closes the file, which stays. */
void sp_crash_file_free(SpCrashFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpCrashFile, sp_crash_file_free)

/** Write to it what the disk has otherwise since. Where a program has changed the file it is made
 * anew. */
bool sp_crash_file_update(SpCrashFile *file, GError **error);
/** It is not updated any more: see that all has arrived, and give it the time of now. */
bool sp_crash_file_finish(SpCrashFile *file, GError **error);
/** How often it was made anew. */
guint sp_crash_file_restored(const SpCrashFile *file);
