/* SPDX-License-Identifier: MIT */
#include "runner/schedule.h"

#include <string.h>

struct SpSchedule {
    SpScheduleConfig config;
    guint next;         /* the first test that has not been taken */
    GPtrArray *running; /* of SpTestConf; not owned */
};

SpSchedule *sp_schedule_new(const SpScheduleConfig *config)
{
    SpSchedule *schedule = g_new0(SpSchedule, 1);

    schedule->config = *config;
    schedule->config.jobs = MAX(config->jobs, 1);
    schedule->running = g_ptr_array_new();
    return schedule;
}

void sp_schedule_free(SpSchedule *schedule)
{
    if (!schedule)
        return;
    g_ptr_array_unref(schedule->running);
    g_free(schedule);
}

/* Whether a running test may be making the checkpoint that @test starts from. */
static bool would_wait(const SpSchedule *schedule, const SpTestConf *test)
{
    const char *root = test->from ? sp_test_conf_root(test)->name : NULL;

    for (guint i = 0; root && i < schedule->running->len; i++) {
        const SpTestConf *other = g_ptr_array_index(schedule->running, i);

        if (other->from && g_str_equal(sp_test_conf_root(other)->name, root) &&
            !schedule->config.has_checkpoint(other, schedule->config.data))
            return true;
    }
    return false;
}

/* Move test @i to the front of those that are left, which keep their order. */
static void *take_test(SpSchedule *schedule, guint i)
{
    void **tests = schedule->config.tests->pdata;
    void *test = tests[i];

    memmove(
        &tests[schedule->next + 1], &tests[schedule->next], (i - schedule->next) * sizeof *tests);
    tests[schedule->next++] = test;
    return test;
}

const SpTestConf *sp_schedule_start(SpSchedule *schedule)
{
    const GPtrArray *tests = schedule->config.tests;
    guint i = schedule->next;
    void *test;

    if (i == tests->len || schedule->running->len == schedule->config.jobs)
        return NULL;
    while (!schedule->config.is_cold && i < tests->len &&
           would_wait(schedule, g_ptr_array_index(tests, i)))
        i++;
    /* a test that waits is better than none */
    test = take_test(schedule, i == tests->len ? schedule->next : i);
    g_ptr_array_add(schedule->running, test);
    return test;
}

void sp_schedule_end(SpSchedule *schedule, const SpTestConf *test)
{
    g_ptr_array_remove(schedule->running, (void *)(gpointer)test);
}

void sp_schedule_skip(SpSchedule *schedule, guint i)
{
    take_test(schedule, i);
}

guint sp_schedule_taken(const SpSchedule *schedule)
{
    return schedule->next;
}
