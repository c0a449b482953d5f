/* SPDX-License-Identifier: MIT */
#include "runner/simulate.h"

#include "runner/schedule.h"

typedef struct {
    const SpTestConf *test;
    double checkpoint_s; /* when it has obtained its checkpoint */
    double end_s;
} Running;

typedef struct {
    const SpDurations *durations;
    double average_s;
    GHashTable *checkpoints; /* by directory: a double, when it is made */
    GArray *running;         /* of Running */
    double now_s;
    SpSimulatedFunc func;
    void *data;
} Simulation;

static double find_average(const GPtrArray *tests, const SpDurations *durations)
{
    double sum = 0, seconds;
    guint count = 0;

    for (guint i = 0; i < tests->len; i++) {
        if (!sp_durations_get(durations, g_ptr_array_index(tests, i), &seconds))
            continue;
        sum += seconds;
        count++;
    }
    return count > 0 ? sum / count : 0;
}

/* When a test that needs @checkpoint now has it; if no test is making it yet, this one does. */
static double obtain_checkpoint(Simulation *simulation, const SpTestConf *checkpoint)
{
    const double *known = g_hash_table_lookup(simulation->checkpoints, checkpoint->dir);
    double made_s, seconds = 0;

    if (known)
        return MAX(*known, simulation->now_s);
    made_s = checkpoint->from ? obtain_checkpoint(simulation, checkpoint->from) : simulation->now_s;
    /* if it is not known, it is part of the duration of the test that made it */
    (void)sp_durations_get(simulation->durations, checkpoint, &seconds);
    made_s += seconds;
    g_hash_table_insert(
        simulation->checkpoints, checkpoint->dir, g_memdup2(&made_s, sizeof made_s));
    return made_s;
}

static void begin_test(Simulation *simulation, const SpTestConf *test)
{
    double seconds = simulation->average_s;
    Running running = {.test = test};

    (void)sp_durations_get(simulation->durations, test, &seconds);
    running.checkpoint_s =
        test->from ? obtain_checkpoint(simulation, test->from) : simulation->now_s;
    running.end_s = running.checkpoint_s + seconds;
    g_array_append_val(simulation->running, running);
    if (simulation->func)
        simulation->func(test, simulation->now_s, running.end_s, simulation->data);
}

/* Advance to when the first running test ends, and return it. */
static const SpTestConf *end_test(Simulation *simulation)
{
    guint first = 0;
    Running ended;

    for (guint i = 1; i < simulation->running->len; i++) {
        if (g_array_index(simulation->running, Running, i).end_s <
            g_array_index(simulation->running, Running, first).end_s)
            first = i;
    }
    ended = g_array_index(simulation->running, Running, first);
    g_array_remove_index(simulation->running, first);
    simulation->now_s = ended.end_s;
    return ended.test;
}

static bool has_simulated_checkpoint(const SpTestConf *test, void *data)
{
    const Simulation *simulation = data;

    for (guint i = 0; i < simulation->running->len; i++) {
        const Running *running = &g_array_index(simulation->running, Running, i);
        if (running->test == test)
            return running->checkpoint_s <= simulation->now_s;
    }
    return true;
}

double sp_simulate_run(
    GPtrArray *tests, const SpDurations *durations, guint jobs, SpSimulatedFunc func, void *data)
{
    Simulation simulation = {
        .durations = durations,
        .average_s = find_average(tests, durations),
        .checkpoints = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free),
        .running = g_array_new(FALSE, FALSE, sizeof(Running)),
        .func = func,
        .data = data,
    };
    const SpScheduleConfig config = {.tests = tests,
        .jobs = jobs,
        .has_checkpoint = has_simulated_checkpoint,
        .data = &simulation};
    g_autoptr(SpSchedule) schedule = sp_schedule_new(&config);
    const SpTestConf *test;

    for (;;) {
        while ((test = sp_schedule_start(schedule)))
            begin_test(&simulation, test);
        if (simulation.running->len == 0)
            break;
        sp_schedule_end(schedule, end_test(&simulation));
    }
    g_hash_table_unref(simulation.checkpoints);
    g_array_unref(simulation.running);
    return simulation.now_s;
}
