/* SPDX-License-Identifier: MIT */
#pragma once

#include "suite/test-conf.h"

#include <glib.h>
#include <stdbool.h>

/**
 * Which test starts when: the decisions of a run, without the processes that it starts.
 *
 * Tests start in the order of the array, as many at once as there are jobs; but a test that would
 * only wait for a checkpoint that another is making lets those behind it go first.
 */
typedef struct SpSchedule SpSchedule;

/** Whether @test, which is running, has obtained the checkpoint that it starts from. Until then it
 * may be making it. */
typedef bool (*SpHasCheckpointFunc)(const SpTestConf *test, void *data);

typedef struct {
    GPtrArray *tests; /* of SpTestConf; not owned; reordered as tests are taken */
    guint jobs;
    bool is_cold; /* no checkpoints */
    SpHasCheckpointFunc has_checkpoint;
    void *data;
} SpScheduleConfig;

SpSchedule *sp_schedule_new(const SpScheduleConfig *config);
/** NULL is accepted. */
void sp_schedule_free(SpSchedule *schedule);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpSchedule, sp_schedule_free)

/** Returns the test to start now, which counts as running from then on; NULL if all jobs are taken
 * or no test is left. */
const SpTestConf *sp_schedule_start(SpSchedule *schedule);
/** @test, which was running, has ended. */
void sp_schedule_end(SpSchedule *schedule, const SpTestConf *test);
/** Test @i of the array, which has not been taken yet, is not to run. */
void sp_schedule_skip(SpSchedule *schedule, guint i);
/** How many tests were started or skipped: these come first in the array. */
guint sp_schedule_taken(const SpSchedule *schedule);
