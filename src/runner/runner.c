/* SPDX-License-Identifier: MIT */
#include "runner/runner.h"

#include "base/text.h"
#include "base/wait.h"
#include "report/summary.h"
#include "runner/job.h"
#include "runner/schedule.h"
#include "runner/signals.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

/* Of a report: more than a script's own, which has the last lines of consoles, is long. */
#define PRINTED_MAX 131072u

typedef struct {
    const SpTestConf *test;
    SpJob *job;
    gint64 began_s; /* since 1970 */
} Running;

typedef struct {
    const SpRunOptions *options;
    const SpRunContext *context;
    SpSchedule *schedule;
    GArray *running;    /* of Running, the one that began first in front */
    guint kept;         /* how many tests were not run because a result was kept */
    GPtrArray *records; /* of the tests that ended */
    guint counts[SP_RESULT_SKIPPED + 1];
    gint64 begin;
    int signal_number; /* 0: nobody wants to stop */
} Run;

/* Passed on once, as a signal that scripts handle: impatience does not shorten the time-out. */
static void stop_tests(int signal_number, void *data)
{
    Run *run = data;

    if (run->signal_number != 0)
        return;
    run->signal_number = signal_number;
    if (sp_progress_is_live(run->context->progress))
        sp_progress_print(run->context->progress, "stopping what runs\n");
    for (guint i = 0; i < run->running->len; i++)
        sp_job_stop(g_array_index(run->running, Running, i).job,
            signal_number == SIGINT ? SIGINT : SIGTERM);
}

/* The first job that is done; the number of running jobs if none is. */
static guint find_done(const Run *run)
{
    guint i = 0;

    while (i < run->running->len && !sp_job_is_done(g_array_index(run->running, Running, i).job))
        i++;
    return i;
}

static bool one_is_done(void *data, GError **error)
{
    const Run *run = data;

    return find_done(run) < run->running->len;
}

/* The result and, below it, the reason. */
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

static void print_kept(SpProgress *progress, const SpRecord *record)
{
    g_autofree char *word =
        sp_progress_paint(progress, SP_COLOUR_GOOD, sp_result_word(record->kind));
    g_autofree char *kept = sp_record_kept_text(record);
    g_autofree char *text =
        g_strdup_printf("%s  %s  (%s, %.1f s)\n", record->name, word, kept, record->seconds);

    sp_progress_print(progress, text);
}

/* Report those that need not be run, and skip them. */
static void take_kept(Run *run, GPtrArray *tests)
{
    const SpRunContext *context = run->context;

    for (guint i = 0; context->kept && i < tests->len; i++) {
        g_autofree char *warning = NULL;
        SpRecord *record =
            sp_kept_results_take(context->kept, g_ptr_array_index(tests, i), &warning);

        if (warning)
            sp_progress_warn(context->progress, warning);
        if (!record)
            continue;
        sp_schedule_skip(run->schedule, i);
        print_kept(context->progress, record);
        g_ptr_array_add(run->records, record);
        run->kept++;
        run->counts[SP_RESULT_PASSED]++;
    }
}

/* What later runs are to know of a test that has ended. A test that was stopped was not judged. */
static void note_result(
    const Run *run, const SpTestConf *test, const SpResult *result, const SpRecord *record)
{
    SpKeptResults *kept = run->context->kept;
    g_autoptr(GError) error = NULL;

    if (!kept || result->kind == SP_RESULT_SKIPPED)
        return;
    if (result->kind != SP_RESULT_PASSED || result->has_foreign_machine)
        sp_kept_results_forget(kept, test);
    else if (record && !sp_kept_results_add(kept, test, &error)) /* it will run again */
        sp_progress_warn(run->context->progress, error->message);
}

static void show_step(const SpTestConf *test, const char *text, void *data)
{
    const Run *run = data;

    sp_progress_step(run->context->progress, test->name, text);
}

static void show_line(const SpTestConf *test, const char *line, void *data)
{
    const Run *run = data;
    bool has_name = run->options->jobs > 1;
    g_autofree char *text =
        g_strdup_printf("%s%s%s\n", has_name ? test->name : "", has_name ? ": " : "", line);

    sp_progress_print(run->context->progress, text);
}

static void start_test(Run *run, const SpTestConf *test)
{
    Running running = {.test = test, .began_s = g_get_real_time() / G_USEC_PER_SEC};
    const SpJobConfig config = {
        .test = test,
        .worker = run->options->worker,
        .out = run->options->out,
        .stop_ms = run->options->stop_ms,
        .step_func = sp_progress_is_live(run->context->progress) ? show_step : NULL,
        .line_func = show_line,
        .data = run,
    };

    sp_progress_begin(run->context->progress, test->name);
    running.job = sp_job_start(run->context->engine, &config);
    g_array_append_val(run->running, running);
}

/* The record of a test that has ended, with its result. */
static SpRecord *complete_record(const Run *run, const Running *running, const SpResult *result)
{
    g_autofree char *dir = g_build_filename(run->options->out, running->test->name, NULL);
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

    if (result->has_directory && sp_record_append(dir, &ended, &error))
        record = sp_record_load(dir, &error);
    note_result(run, running->test, result, record);
    if (error)
        sp_progress_print_error(run->context->progress, error->message);
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

/* Wait for the first that ends, count it and show its result. */
static void finish_test(Run *run)
{
    SpProgress *progress = run->context->progress;
    g_auto(SpResult) result = {0};
    Running running;
    bool is_done = sp_wait(one_is_done, run, SP_FOREVER, NULL, NULL);
    guint i;

    g_assert(is_done); /* nothing interrupts this wait */
    i = find_done(run);
    running = g_array_index(run->running, Running, i);
    g_array_remove_index(run->running, i);
    sp_job_finish(running.job, &result);
    sp_schedule_end(run->schedule, running.test);
    run->counts[result.kind]++;
    if (run->context->durations)
        note_durations(run->context->durations, running.test, &result);
    sp_progress_end(progress, running.test->name);
    print_result(progress, running.test, &result);
    g_ptr_array_add(run->records, complete_record(run, &running, &result));
}

/* For all tests, those that were not started included. */
static bool write_reports(const Run *run, GPtrArray *tests)
{
    const double seconds = (double)(g_get_monotonic_time() - run->begin) / G_TIME_SPAN_SECOND;
    const SpSummary summary = {
        .records = run->records,
        .began_s = g_get_real_time() / G_USEC_PER_SEC - (gint64)seconds,
        .seconds = seconds,
    };
    g_autoptr(GError) error = NULL;

    for (guint i = sp_schedule_taken(run->schedule); i < tests->len; i++) {
        const SpTestConf *test = g_ptr_array_index(tests, i);
        const SpRecordResult skipped = {
            .name = test->name, .description = test->description, .kind = SP_RESULT_SKIPPED};

        g_ptr_array_add(run->records, sp_record_of_result(&skipped));
    }
    if (sp_summary_write(&summary, run->options->out, &error))
        return true;
    sp_progress_print_error(run->context->progress, error->message);
    return false;
}

static void print_summary(const Run *run, guint n_tests, bool has_reports)
{
    g_autoptr(GString) text = g_string_new(NULL);

    if (has_reports)
        g_string_append_printf(text, "The report is %s/report.html\n", run->options->out);
    if (run->kept > 0)
        g_string_append_printf(
            text, "%u of %u were kept from earlier runs: --rerun runs them\n", run->kept, n_tests);
    g_string_append_printf(text, "%u passed, %u failed, %u skipped\n",
        run->counts[SP_RESULT_PASSED], run->counts[SP_RESULT_FAILED] + run->counts[SP_RESULT_ERROR],
        run->counts[SP_RESULT_SKIPPED]);
    sp_progress_print(run->context->progress, text->str);
}

static int exit_status(const Run *run, bool has_reports)
{
    if (run->signal_number != 0)
        return 128 + run->signal_number;
    if (run->counts[SP_RESULT_ERROR] > 0)
        return 2;
    if (run->counts[SP_RESULT_FAILED] > 0)
        return 1;
    return has_reports ? 0 : 2;
}

/* Output that is lost is a failure, unless the reader has closed the pipe. */
static int check_output(SpProgress *progress, int status)
{
    int number = sp_progress_write_error(progress);
    g_autofree char *text = NULL;

    if (status != 0 || number == 0 || number == EPIPE)
        return status;
    text = g_strdup_printf("stdout can't be written: %s", g_strerror(number));
    sp_progress_print_error(progress, text);
    return 2;
}

static bool test_has_checkpoint(const SpTestConf *test, void *data)
{
    const Run *run = data;

    for (guint i = 0; i < run->running->len; i++) {
        const Running *running = &g_array_index(run->running, Running, i);
        if (running->test == test)
            return sp_job_has_checkpoint(running->job);
    }
    return true;
}

static void run_scheduled(Run *run)
{
    SpSignals *signals = sp_signals_watch(stop_tests, run);
    const SpTestConf *test;

    for (;;) {
        while (run->signal_number == 0 && (test = sp_schedule_start(run->schedule)))
            start_test(run, test);
        if (run->running->len == 0)
            break;
        finish_test(run);
    }
    sp_signals_free(signals);
}

static void free_ended_record(void *data)
{
    sp_record_free(data);
}

int sp_run_tests(GPtrArray *tests, const SpRunOptions *options, const SpRunContext *context)
{
    g_autoptr(GArray) running = g_array_new(FALSE, FALSE, sizeof(Running));
    g_autoptr(GPtrArray) records = g_ptr_array_new_with_free_func(free_ended_record);
    Run run = {
        .options = options,
        .context = context,
        .running = running,
        .records = records,
        .begin = g_get_monotonic_time(),
    };
    const SpScheduleConfig config = {.tests = tests,
        .jobs = options->jobs,
        .is_cold = options->worker.is_cold,
        .has_checkpoint = test_has_checkpoint,
        .data = &run};
    g_autoptr(SpSchedule) schedule = sp_schedule_new(&config);
    bool has_reports;

    run.schedule = schedule;
    take_kept(&run, tests);
    run_scheduled(&run);
    run.counts[SP_RESULT_SKIPPED] += tests->len - sp_schedule_taken(schedule);
    has_reports = write_reports(&run, tests);
    print_summary(&run, tests->len, has_reports);
    return check_output(context->progress, exit_status(&run, has_reports));
}
