/* SPDX-License-Identifier: MIT */
#pragma once

#include "runner/durations.h"

#include <glib.h>

/** @test would start @begin_s after the run, and end @end_s after it. */
typedef void (*SpSimulatedFunc)(const SpTestConf *test, double begin_s, double end_s, void *data);

/**
 * Returns how many seconds a run of @tests (of SpTestConf) would take with @jobs at once, if each
 * took as long as when it last passed, and no checkpoint existed: the first test that needs one
 * makes it, and others that need it meanwhile wait. Which test starts when is decided as in a run
 * (schedule.h). @tests is put in the order in which they start.
 *
 * A test whose duration is not known is assumed to take the average. @func, which may be NULL, is
 * called as each test starts.
 */
double sp_simulate_run(
    GPtrArray *tests, const SpDurations *durations, guint jobs, SpSimulatedFunc func, void *data);
