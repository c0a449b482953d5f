/* SPDX-License-Identifier: MIT */
#pragma once

#include "suite/test-conf.h"

#include <glib.h>

/**
 * How long each test took when it last passed, without obtaining its checkpoint, and each
 * checkpoint when it was last made. Decides the order in which tests start. Kept in the user's
 * cache, by the test's directory. Only a hint: errors in reading and writing it are ignored.
 */
typedef struct SpDurations SpDurations;

/** Load those in the file @path. */
SpDurations *sp_durations_load(const char *path);
/** NULL is accepted. */
void sp_durations_free(SpDurations *durations);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpDurations, sp_durations_free)

/** A test passed in @seconds, or a checkpoint was made in as many. Written at once. */
void sp_durations_set(SpDurations *durations, const SpTestConf *test, double seconds);
/** How long it took; false if that is not known. */
bool sp_durations_get(const SpDurations *durations, const SpTestConf *test, double *ret_seconds);
/** Sort @tests (of SpTestConf): those that are not known come first, then the longest. The sort is
 * stable. */
void sp_durations_sort(const SpDurations *durations, GPtrArray *tests);
