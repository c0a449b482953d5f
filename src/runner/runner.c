/* SPDX-License-Identifier: MIT */
#include "runner/runner.h"

#include "base/wait.h"
#include "runner/html-report.h"
#include "runner/junit.h"
#include "runner/results.h"

#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>

typedef struct {
    const SpTestConf *test;
    SpJob *job;
} Running;

typedef struct {
    const SpEngine *engine;
    GArray *running; /* of Running, the one that began first in front */
    SpResults results;
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
    for (guint i = 0; i < run->running->len; i++)
        run->engine->stop(g_array_index(run->running, Running, i).job, signal_number);
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

/* The first that is done; the number of those that run if none is. */
static guint find_done(const Run *run)
{
    guint i = 0;

    while (
        i < run->running->len && !run->engine->is_done(g_array_index(run->running, Running, i).job))
        i++;
    return i;
}

static bool one_is_done(void *data, GError **error)
{
    const Run *run = data;

    return find_done(run) < run->running->len;
}

static void print_result(const SpTestConf *test, const SpResult *result)
{
    printf("%s  %s  (%.1f s)\n", test->name, sp_result_word(result->kind), result->seconds);
    if (result->report) {
        g_auto(GStrv) lines = g_strsplit(g_strchomp(result->report), "\n", -1);
        for (char **line = lines; *line; line++)
            printf("  %s\n", *line);
    }
    fflush(stdout);
}

static void start_test(Run *run, const SpTestConf *test, const SpRunOptions *options)
{
    const Running running = {.test = test, .job = run->engine->start(test, options)};

    g_array_append_val(run->running, running);
}

/* Wait for one of those that run to end, and count and tell how it went. */
static void finish_test(Run *run, const SpRunOptions *options, guint *counts)
{
    SpTestResult ended = {0};
    SpResult *result = &ended.result;
    Running running;
    guint i;

    sp_wait(one_is_done, run, SP_FOREVER, NULL, NULL);
    i = find_done(run);
    running = g_array_index(run->running, Running, i);
    g_array_remove_index(run->running, i);
    run->engine->finish(running.job, result);
    counts[result->kind]++;
    if (options->durations && result->kind == SP_RESULT_PASSED)
        sp_durations_set(options->durations, running.test, result->seconds);
    print_result(running.test, result);
    ended.test = running.test;
    g_array_append_val(run->results.tests, ended);
}

static void clear_result(void *data)
{
    sp_result_clear(&((SpTestResult *)data)->result);
}

/* Those that did not begin are told of too. What can't be written fails no test. */
static void write_reports(Run *run, GPtrArray *tests, guint next, gint64 begin_us)
{
    g_autofree char *junit = g_build_filename(run->results.out, "junit.xml", NULL);
    g_autofree char *page = g_build_filename(run->results.out, "report.html", NULL);
    g_autoptr(GError) error = NULL;

    for (; next < tests->len; next++) {
        const SpTestResult skipped = {
            .test = g_ptr_array_index(tests, next), .result.kind = SP_RESULT_SKIPPED};

        g_array_append_val(run->results.tests, skipped);
    }
    run->results.seconds = (double)(g_get_monotonic_time() - begin_us) / G_USEC_PER_SEC;
    if (!sp_junit_write(&run->results, junit, &error) ||
        !sp_html_report_write(&run->results, page, &error))
        fprintf(stderr, "slotproof: no report: %s\n", error->message);
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
    Run run = {.engine = engine, .running = g_array_new(FALSE, FALSE, sizeof(Running))};
    guint jobs = MAX(options->jobs, 1);
    gint64 begin_us = g_get_monotonic_time();
    guint next = 0;
    const guint sources[] = {
        g_unix_signal_add(SIGINT, on_sigint, &run), g_unix_signal_add(SIGTERM, on_sigterm, &run)};

    run.results = (SpResults){.tests = g_array_new(FALSE, FALSE, sizeof(SpTestResult)),
        .out = options->out,
        .begin_s = g_get_real_time() / G_USEC_PER_SEC};
    g_array_set_clear_func(run.results.tests, clear_result);
    while (next < tests->len || run.running->len > 0) {
        if (next < tests->len && run.signal_number == 0 && run.running->len < jobs)
            start_test(&run, g_ptr_array_index(tests, next++), options);
        else if (run.running->len > 0)
            finish_test(&run, options, counts);
        else
            break; /* stopped */
    }
    counts[SP_RESULT_SKIPPED] += tests->len - next;
    if (options->out)
        write_reports(&run, tests, next, begin_us);
    g_array_unref(run.results.tests);
    g_array_unref(run.running);
    for (gsize i = 0; i < G_N_ELEMENTS(sources); i++)
        g_source_remove(sources[i]);
    printf("%u passed, %u failed, %u skipped\n", counts[SP_RESULT_PASSED],
        counts[SP_RESULT_FAILED] + counts[SP_RESULT_ERROR], counts[SP_RESULT_SKIPPED]);
    fflush(stdout);
    return exit_status(&run, counts);
}
