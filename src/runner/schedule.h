/* SPDX-License-Identifier: MIT */
#pragma once

#include "suite/test-conf.h"

#include <glib.h>
#include <stdbool.h>

/**
 * Which test is started when: the decisions of a run, apart from the processes that it starts.
 *
 * Tests are started in the order in which they stand, as many at once as there are jobs; but one
 * that would only wait for a checkpoint that another is making lets those behind it go first.
 */
typedef struct SpSchedule SpSchedule;

/** Whether @test, which runs, has the checkpoint that it goes on from. Until then it may be making
 * it. */
typedef bool (*SpHasCheckpointFunc)(const SpTestConf *test, void *data);

typedef struct {
    GPtrArray *tests; /* of SpTestConf; not owned, and put in the order in which they are taken */
    guint jobs;
    bool is_cold; /* no checkpoints */
    SpHasCheckpointFunc has_checkpoint;
    void *data;
} SpScheduleConfig;

SpSchedule *sp_schedule_new(const SpScheduleConfig *config);
/** NULL is fine. */
void sp_schedule_free(SpSchedule *schedule);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpSchedule, sp_schedule_free)

/** The test to start now, which runs from then on; NULL while all jobs are taken, and when no test
 * is left. */
const SpTestConf *sp_schedule_start(SpSchedule *schedule);
/** @test, which ran, has ended. */
void sp_schedule_end(SpSchedule *schedule, const SpTestConf *test);
/** Test @i of the array, one that was not taken yet, is not to be run. */
void sp_schedule_skip(SpSchedule *schedule, guint i);
/** How many tests were taken, by one or the other: these stand first in the array. */
guint sp_schedule_taken(const SpSchedule *schedule);
