/* SPDX-License-Identifier: MIT */
#pragma once

#include "powercut/crash-disk.h"

/**
 * A raw file that follows a disk, or a part of it, from state to state, for programs that look into
 * it. Only what differs is written each time.
 */
typedef struct SpCrashFile SpCrashFile;

/**
 * Make the file @path, anew and sparse, with what @length bytes of @disk from @offset on (whole
 * sectors) are now. The disk must outlive it.
 */
SpCrashFile *sp_crash_file_new(
    const SpCrashDisk *disk, const char *path, guint64 offset, guint64 length, GError **error);
/** Closes the file, which stays. */
void sp_crash_file_free(SpCrashFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpCrashFile, sp_crash_file_free)

/** Write to it what the disk has otherwise since. Where a program has changed the file it is made
 * anew. */
bool sp_crash_file_update(SpCrashFile *file, GError **error);
/** How often it was made anew. */
guint sp_crash_file_restored(const SpCrashFile *file);
