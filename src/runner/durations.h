/* SPDX-License-Identifier: MIT */
#pragma once

#include "suite/test-conf.h"

#include <glib.h>

/**
 * How long each test took when it last passed, without what having its checkpoint took, and each
 * checkpoint when it was last made: for the order in which they are started: kept in the
 * user's cache, by the test's folder. Only a hint: what can't be read or written is passed over.
 */
typedef struct SpDurations SpDurations;

/** Those of the file @path. */
SpDurations *sp_durations_load(const char *path);
/** NULL is fine. */
void sp_durations_free(SpDurations *durations);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpDurations, sp_durations_free)

/** A test passed in @seconds, or a checkpoint was made; written out at once. */
void sp_durations_set(SpDurations *durations, const SpTestConf *test, double seconds);
/** How long it took; false where that is not known. */
bool sp_durations_get(const SpDurations *durations, const SpTestConf *test, double *ret_seconds);
/** Sort @tests (of SpTestConf): those not known, then the longest in front; otherwise as they are.
 */
void sp_durations_sort(const SpDurations *durations, GPtrArray *tests);
