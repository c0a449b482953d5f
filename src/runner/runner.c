/* SPDX-License-Identifier: MIT */
#include "runner/runner.h"

#include "base/wait.h"

#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>

typedef struct {
    const SpEngine *engine;
    SpJob *job;        /* the one that runs; NULL between two */
    int signal_number; /* 0: nobody wants to stop */
} Run;

void sp_subtest_result_free(SpSubtestResult *subtest)
{
    g_free(subtest->name);
    g_free(subtest);
}

void sp_result_clear(SpResult *result)
{
    g_clear_pointer(&result->report, g_free);
    g_clear_pointer(&result->subtests, g_ptr_array_unref);
}

/* Passed on once: who is impatient waits for the time-out all the same. */
static void stop(Run *run, int signal_number)
{
    if (run->signal_number != 0)
        return;
    run->signal_number = signal_number;
    if (run->job)
        run->engine->stop(run->job, signal_number);
}

static gboolean on_sigint(void *data)
{
    stop(data, SIGINT);
    return G_SOURCE_CONTINUE;
}

static gboolean on_sigterm(void *data)
{
    stop(data, SIGTERM);
    return G_SOURCE_CONTINUE;
}

static bool job_is_done(void *data, GError **error)
{
    Run *run = data;

    return run->engine->is_done(run->job);
}

static void print_result(const SpTestConf *test, const SpResult *result)
{
    static const char *const words[] = {
        [SP_RESULT_PASSED] = "passed",
        [SP_RESULT_FAILED] = "failed",
        [SP_RESULT_ERROR] = "error",
        [SP_RESULT_SKIPPED] = "stopped",
    };

    printf("%s  %s  (%.1f s)\n", test->name, words[result->kind], result->seconds);
    if (result->report) {
        g_auto(GStrv) lines = g_strsplit(g_strchomp(result->report), "\n", -1);
        for (char **line = lines; *line; line++)
            printf("  %s\n", *line);
    }
    fflush(stdout);
}

static void run_test(
    Run *run, const SpTestConf *test, const SpRunOptions *options, SpResult *ret_result)
{
    run->job = run->engine->start(test, options);
    sp_wait(job_is_done, run, SP_FOREVER, NULL, NULL);
    run->engine->finish(g_steal_pointer(&run->job), ret_result);
}

static int exit_status(const Run *run, const guint *counts)
{
    if (run->signal_number != 0)
        return 128 + run->signal_number;
    if (counts[SP_RESULT_ERROR] > 0)
        return 2;
    return counts[SP_RESULT_FAILED] > 0 ? 1 : 0;
}

int sp_run_tests(GPtrArray *tests, const SpEngine *engine, const SpRunOptions *options)
{
    guint counts[SP_RESULT_SKIPPED + 1] = {0};
    Run run = {.engine = engine};
    const guint sources[] = {
        g_unix_signal_add(SIGINT, on_sigint, &run), g_unix_signal_add(SIGTERM, on_sigterm, &run)};

    for (guint i = 0; i < tests->len; i++) {
        const SpTestConf *test = g_ptr_array_index(tests, i);
        SpResult result = {0};
        if (run.signal_number != 0) {
            counts[SP_RESULT_SKIPPED]++;
            continue;
        }
        run_test(&run, test, options, &result);
        counts[result.kind]++;
        print_result(test, &result);
        sp_result_clear(&result);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(sources); i++)
        g_source_remove(sources[i]);
    printf("%u passed, %u failed, %u skipped\n", counts[SP_RESULT_PASSED],
        counts[SP_RESULT_FAILED] + counts[SP_RESULT_ERROR], counts[SP_RESULT_SKIPPED]);
    fflush(stdout);
    return exit_status(&run, counts);
}
