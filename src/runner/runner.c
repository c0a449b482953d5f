/* SPDX-License-Identifier: MIT */
#include "runner/runner.h"

#include "base/text.h"
#include "base/wait.h"
#include "report/summary.h"
#include "runner/schedule.h"
#include "runner/signals.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Of a report: more than one from a script may have, with the last lines of consoles. */
#define PRINTED_MAX 131072u

typedef struct {
    const SpTestConf *test;
    SpJob *job;
    gint64 began_s; /* since 1970 */
} Running;

typedef struct {
    const SpEngine *engine;
    SpSchedule *schedule;
    GArray *running;    /* of Running, the one that began first in front */
    guint kept;         /* of the tests, that were not run because a result was kept */
    GPtrArray *records; /* of those that ended */
    SpProgress *progress;
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
    g_clear_pointer(&result->reason, g_free);
    g_clear_pointer(&result->made_s, g_free);
    g_clear_pointer(&result->subtests, g_ptr_array_unref);
}

/* Passed on once, as one that scripts know: who is impatient waits for the time-out all the same.
 */
static void stop(int signal_number, void *data)
{
    Run *run = data;

    if (run->signal_number != 0)
        return;
    run->signal_number = signal_number;
    if (sp_progress_is_live(run->progress))
        sp_progress_print(run->progress, "stopping what runs\n");
    for (guint i = 0; i < run->running->len; i++)
        run->engine->stop(g_array_index(run->running, Running, i).job,
            signal_number == SIGINT ? SIGINT : SIGTERM);
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

/* How it went, and below that why. */
static void print_result(SpProgress *progress, const SpTestConf *test, const SpResult *result)
{
    static const SpColour colours[] = {
        [SP_RESULT_PASSED] = SP_COLOUR_GOOD,
        [SP_RESULT_FAILED] = SP_COLOUR_BAD,
        [SP_RESULT_ERROR] = SP_COLOUR_BAD,
        [SP_RESULT_SKIPPED] = SP_COLOUR_DOUBTFUL,
    };
    g_autofree char *word =
        sp_progress_paint(progress, colours[result->kind], sp_result_word(result->kind));
    g_autoptr(GString) text = g_string_new(NULL);

    g_string_append_printf(text, "%s  %s  (%.1f s)\n", test->name, word, result->seconds);
    if (result->report) {
        g_autofree char *excerpt =
            sp_text_excerpt(result->report, strlen(result->report), PRINTED_MAX);
        g_auto(GStrv) lines = g_strsplit(g_strchomp(excerpt), "\n", -1);
        for (char **line = lines; *line; line++) {
            g_autofree char *clean = sp_text_printable(*line);
            g_string_append_printf(text, "  %s\n", clean);
        }
    }
    sp_progress_print(progress, text->str);
}

/* Where the user sees it, whatever is shown on stdout. */
static void print_warning(SpProgress *progress, const char *text)
{
    g_autofree char *line = g_strdup_printf("slotproof: warning: %s\n", text);

    /* lines that change are drawn over by whoever else writes */
    if (sp_progress_is_live(progress)) {
        sp_progress_print(progress, line);
        return;
    }
    fflush(stdout);
    fputs(line, stderr);
}

static void print_kept(SpProgress *progress, const SpRecord *record)
{
    g_autofree char *word =
        sp_progress_paint(progress, SP_COLOUR_GOOD, sp_result_word(record->kind));
    g_autofree char *kept = sp_record_kept_text(record);
    g_autofree char *text =
        g_strdup_printf("%s  %s  (%s, %.1f s)\n", record->name, word, kept, record->seconds);

    sp_progress_print(progress, text);
}

/* Tell of those that need not be run, which are done with that. */
static void take_kept(Run *run, GPtrArray *tests, const SpRunOptions *options, guint *counts)
{
    for (guint i = 0; options->kept && i < tests->len; i++) {
        g_autofree char *warning = NULL;
        SpRecord *record =
            sp_kept_results_take(options->kept, g_ptr_array_index(tests, i), &warning);

        if (warning)
            print_warning(options->progress, warning);
        if (!record)
            continue;
        sp_schedule_skip(run->schedule, i);
        print_kept(options->progress, record);
        g_ptr_array_add(run->records, record);
        run->kept++;
        counts[SP_RESULT_PASSED]++;
    }
}

/* One that can't be kept is one that is run again. */
static void keep_result(const SpRunOptions *options, const SpTestConf *test)
{
    g_autoptr(GError) error = NULL;

    if (!sp_kept_results_add(options->kept, test, &error))
        print_warning(options->progress, error->message);
}

/* What later runs are to know of one that has ended. Who stopped a test has not judged it. */
static void note_result(const SpRunOptions *options, const SpTestConf *test, const SpResult *result,
    const SpRecord *record)
{
    if (!options->kept || result->kind == SP_RESULT_SKIPPED)
        return;
    if (result->kind != SP_RESULT_PASSED || result->has_foreign_machine)
        sp_kept_results_forget(options->kept, test);
    else if (record)
        keep_result(options, test);
}

static void start_test(Run *run, const SpTestConf *test, const SpRunOptions *options)
{
    Running running = {.test = test, .began_s = g_get_real_time() / G_USEC_PER_SEC};

    sp_progress_begin(options->progress, test->name);
    running.job = run->engine->start(test, options);
    g_array_append_val(run->running, running);
}

/* The record of a test that has ended, with its result. */
static SpRecord *complete_record(
    const Running *running, const SpResult *result, const SpRunOptions *options)
{
    g_autofree char *dir = g_build_filename(options->out, running->test->name, NULL);
    const SpRecordResult ended = {
        .name = running->test->name,
        .description = running->test->description,
        .kind = result->kind,
        .report = result->report,
        .reason = result->reason,
        .seconds = result->seconds,
        .began_s = running->began_s,
    };
    g_autoptr(GError) error = NULL;
    SpRecord *record = NULL;

    if (result->has_folder && sp_record_append(dir, &ended, &error))
        record = sp_record_load(dir, &error);
    note_result(options, running->test, result, record);
    if (error)
        fprintf(stderr, "slotproof: %s\n", error->message);
    return record ? record : sp_record_of_result(&ended);
}

static void note_durations(SpDurations *durations, const SpTestConf *test, const SpResult *result)
{
    g_auto(GStrv) made_s = g_strsplit(result->made_s ? result->made_s : "", " ", -1);
    const SpTestConf *made = test->from;

    for (char **seconds = made_s; *seconds && made; seconds++, made = made->from)
        sp_durations_set(durations, made, g_ascii_strtod(*seconds, NULL));
    if (result->kind == SP_RESULT_PASSED)
        sp_durations_set(durations, test, result->seconds - result->checkpoint_s);
}

/* Wait for one of those that run to end, and count and tell how it went. */
static void finish_test(Run *run, const SpRunOptions *options, guint *counts)
{
    SpResult result = {0};
    Running running;
    guint i;
    bool is_done = sp_wait(one_is_done, run, SP_FOREVER, NULL, NULL);

    g_assert(is_done); /* nothing interrupts this wait */
    i = find_done(run);
    running = g_array_index(run->running, Running, i);
    g_array_remove_index(run->running, i);
    run->engine->finish(running.job, &result);
    sp_schedule_end(run->schedule, running.test);
    counts[result.kind]++;
    if (options->durations)
        note_durations(options->durations, running.test, &result);
    sp_progress_end(options->progress, running.test->name);
    print_result(options->progress, running.test, &result);
    g_ptr_array_add(run->records, complete_record(&running, &result, options));
    sp_result_clear(&result);
}

/* Of all: those that did not begin are told of too. */
static bool write_reports(
    const Run *run, GPtrArray *tests, guint next, gint64 begin, const SpRunOptions *options)
{
    const double seconds = (double)(g_get_monotonic_time() - begin) / G_TIME_SPAN_SECOND;
    const SpSummary summary = {
        .records = run->records,
        .began_s = g_get_real_time() / G_USEC_PER_SEC - (gint64)seconds,
        .seconds = seconds,
    };
    g_autoptr(GError) error = NULL;

    for (; next < tests->len; next++) {
        const SpTestConf *test = g_ptr_array_index(tests, next);
        const SpRecordResult skipped = {
            .name = test->name, .description = test->description, .kind = SP_RESULT_SKIPPED};

        g_ptr_array_add(run->records, sp_record_of_result(&skipped));
    }
    if (sp_summary_write(&summary, options->out, &error))
        return true;
    fprintf(stderr, "slotproof: %s\n", error->message);
    return false;
}

static int exit_status(const Run *run, const guint *counts, bool has_reports)
{
    if (run->signal_number != 0)
        return 128 + run->signal_number;
    if (counts[SP_RESULT_ERROR] > 0)
        return 2;
    if (counts[SP_RESULT_FAILED] > 0)
        return 1;
    return has_reports ? 0 : 2;
}

static bool has_checkpoint(const SpTestConf *test, void *data)
{
    const Run *run = data;

    for (guint i = 0; i < run->running->len; i++) {
        const Running *running = &g_array_index(run->running, Running, i);
        if (running->test == test)
            return run->engine->has_checkpoint(running->job);
    }
    return true;
}

static void run_all(Run *run, const SpRunOptions *options, guint *counts)
{
    SpSignals *signals = sp_signals_watch(stop, run);
    const SpTestConf *test;

    for (;;) {
        while (run->signal_number == 0 && (test = sp_schedule_start(run->schedule)))
            start_test(run, test, options);
        if (run->running->len == 0)
            break;
        finish_test(run, options, counts);
    }
    sp_signals_free(signals);
}

static void free_record(void *data)
{
    sp_record_free(data);
}

int sp_run_tests(GPtrArray *tests, const SpEngine *engine, const SpRunOptions *options)
{
    guint counts[SP_RESULT_SKIPPED + 1] = {0};
    gint64 begin = g_get_monotonic_time();
    SpRunOptions own = *options;
    bool has_reports;
    Run run = {
        .engine = engine,
        .running = g_array_new(FALSE, FALSE, sizeof(Running)),
        .records = g_ptr_array_new_with_free_func(free_record),
    };

    const SpScheduleConfig schedule = {.tests = tests,
        .jobs = options->jobs,
        .is_cold = options->is_cold,
        .has_checkpoint = has_checkpoint,
        .data = &run};

    fflush(stdout);
    run.schedule = sp_schedule_new(&schedule);
    run.progress = own.progress = sp_progress_new(STDOUT_FILENO, options->is_debugged);
    take_kept(&run, tests, &own, counts);
    run_all(&run, &own, counts);
    sp_progress_free(own.progress);
    counts[SP_RESULT_SKIPPED] += tests->len - sp_schedule_taken(run.schedule);
    has_reports = write_reports(&run, tests, sp_schedule_taken(run.schedule), begin, &own);
    if (has_reports)
        printf("The report is %s/report.html\n", options->out);
    if (run.kept > 0)
        printf("%u of %u were kept from earlier runs: --rerun runs them\n", run.kept, tests->len);
    printf("%u passed, %u failed, %u skipped\n", counts[SP_RESULT_PASSED],
        counts[SP_RESULT_FAILED] + counts[SP_RESULT_ERROR], counts[SP_RESULT_SKIPPED]);
    fflush(stdout);
    g_ptr_array_unref(run.records);
    g_array_unref(run.running);
    sp_schedule_free(run.schedule);
    return exit_status(&run, counts, has_reports);
}
