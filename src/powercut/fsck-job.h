/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/wait.h"
#include "powercut/crash-disk.h"
#include "powercut/task.h"

#include <glib.h>
#include <stdbool.h>

/** A copy of a part of a crash disk, in memory, for one program after the other. */
typedef struct SpProbeCopy SpProbeCopy;

/** Copy @length bytes of @disk from @offset on. Disk and @task, which may be NULL, must outlive the
 * copy. */
SpProbeCopy *sp_probe_copy_new(
    const SpCrashDisk *disk, guint64 offset, guint64 length, const SpTask *task, GError **error);
void sp_probe_copy_free(SpProbeCopy *copy);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpProbeCopy, sp_probe_copy_free)

/**
 * A program that looks into a copy: it may change it. Several can run side by side, each on a copy
 * of its own.
 */
typedef struct SpProbe SpProbe;

/** What stands in @argv for the copy's path. */
#define SP_PROBE_PATH "/proc/self/fd/3"

/**
 * Bring @copy, which must outlive the probe, to what the disk is now, and start @argv on it. It has
 * a minute. SP_ERROR_USAGE where there is no such program.
 */
SpProbe *sp_probe_start(SpProbeCopy *copy, const char *const *argv, GError **error);
/** Kills it if it runs. NULL is fine. */
void sp_probe_free(SpProbe *probe);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpProbe, sp_probe_free)

/**
 * Wait for its end. @ret_status is its exit status, or 128 and the number of the signal that ended
 * it. False with SP_ERROR_TIMEOUT or SP_ERROR_INTERRUPTED.
 */
bool sp_probe_wait(SpProbe *probe, const SpInterrupt *interrupt, int *ret_status, GError **error);
/** The end of what it wrote. */
char *sp_probe_output(SpProbe *probe);
/** The copy, as the program has left it. */
int sp_probe_fd(const SpProbe *probe);
