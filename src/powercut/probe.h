/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/wait.h"
#include "powercut/crash-disk.h"

#include <glib.h>
#include <stdbool.h>

/**
 * A program that looks into a copy of a part of a crash disk, in memory: it may change it. Several
 * can run side by side.
 */
typedef struct SpProbe SpProbe;

/** What stands in @argv for the copy's path. */
#define SP_PROBE_PATH "/proc/self/fd/3"

/**
 * Copy @length bytes of @disk from @offset on, as they are now, and start @argv on them. It has a
 * minute. SP_ERROR_USAGE where there is no such program.
 */
SpProbe *sp_probe_start(const SpCrashDisk *disk, guint64 offset, guint64 length,
    const char *const *argv, GError **error);
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
