/* SPDX-License-Identifier: MIT */
#pragma once

#include "powercut/crash-disk.h"

/** A raw file that follows a disk from state to state, for programs that look into it. */
typedef struct SpCrashFile SpCrashFile;

/** Make the file @path, anew, as @disk is now. The disk must outlive it. */
SpCrashFile *sp_crash_file_new(const SpCrashDisk *disk, const char *path, GError **error);
/** Closes the file, which stays. */
void sp_crash_file_free(SpCrashFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpCrashFile, sp_crash_file_free)

/** Write to it what the disk has otherwise since. */
bool sp_crash_file_update(SpCrashFile *file, GError **error);
