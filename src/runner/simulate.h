/* SPDX-License-Identifier: MIT */
#pragma once

#include "runner/durations.h"

#include <glib.h>

/** @test would be started @begin_s after the run, and end at @end_s. */
typedef void (*SpSimulatedFunc)(const SpTestConf *test, double begin_s, double end_s, void *data);

/**
 * How many seconds a run of @tests (of SpTestConf) would take with @jobs at once, if each took as
 * long as when it last passed, and no checkpoint were there: who needs one makes it, who needs it
 * meanwhile waits. What is started when is decided as in a run (schedule.h). @tests is put in the
 * order in which they are started.
 *
 * A test that is not known is taken for an average one. @func, or NULL, is called for each as it is
 * started.
 */
double sp_simulate_run(
    GPtrArray *tests, const SpDurations *durations, guint jobs, SpSimulatedFunc func, void *data);
