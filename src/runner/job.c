/* SPDX-License-Identifier: MIT */
#include "runner/job.h"

#include "base/error.h"
#include "runner/engine.h"
#include "store/out-dir.h"
#include "worker/message.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

/* How long a worker may take to stop its machines and report once it is told to. */
#define STOP_TIMEOUT_MS 10000
#define LAST_WORDS_MAX 4096u
/* A worker reports its accelerator's time factor; whatever it says, a test ends. */
#define TIME_FACTOR_MAX 100

struct SpJob {
    SpJobConfig config;
    const SpEngine *engine;
    void *worker; /* the engine's; NULL: it could not be started, and the result says why */
    char *out;    /* the test's directory */
    int lock_fd;  /* of it */
    gint64 begin;
    SpMessageReader reader;
    guint stop_source; /* tells the worker to stop when the test's time is over */
    guint kill_source; /* runs once the worker was told to stop */
    bool was_stopped;  /* by the user */
    double time_out_s; /* above 0 once its time is over */
    double time_factor;
    SpResult result;
    bool has_result;
    bool has_checkpoint;
};

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

static void remove_source(guint *source)
{
    if (*source != 0)
        g_source_remove(*source);
    *source = 0;
}

static gboolean on_stop_timeout(void *data)
{
    SpJob *job = data;

    job->kill_source = 0;
    job->engine->signal(job->worker, SIGKILL);
    return G_SOURCE_REMOVE;
}

static void stop_worker(SpJob *job, int signal_number, gint64 more_ms)
{
    gint64 timeout_ms = job->config.stop_ms > 0 ? job->config.stop_ms : STOP_TIMEOUT_MS + more_ms;

    if (!job->worker || job->kill_source != 0)
        return;
    job->engine->signal(job->worker, signal_number);
    job->kill_source = g_timeout_add((guint)timeout_ms, on_stop_timeout, job);
}

/* Interrupted rather than killed at once, so that the script reports where it was, and its machines
 * what they know. */
static gboolean on_test_timeout(void *data)
{
    SpJob *job = data;

    job->stop_source = 0;
    job->time_out_s = (double)job->config.test->timeout_s * job->time_factor;
    stop_worker(job, SIGINT, sp_worker_post_mortem_ms(&job->config.worker));
    return G_SOURCE_REMOVE;
}

static void set_test_timeout(SpJob *job, double factor)
{
    gint64 elapsed_ms = (g_get_monotonic_time() - job->begin) / 1000;
    gint64 left_ms = (gint64)((double)job->config.test->timeout_s * 1000 * factor) - elapsed_ms;

    job->time_factor = factor;
    /* somebody who types at a prompt takes any time */
    if (job->time_out_s > 0 || job->config.worker.prompts_on_failure)
        return;
    remove_source(&job->stop_source);
    job->stop_source = g_timeout_add((guint)CLAMP(left_ms, 0, G_MAXINT), on_test_timeout, job);
}

static void take_subtest(SpJob *job, SpMessage *message)
{
    SpSubtestResult *subtest = g_new0(SpSubtestResult, 1);

    subtest->passed = message->outcome == SP_OUTCOME_PASSED;
    subtest->seconds = message->number;
    subtest->name = g_steal_pointer(&message->text);
    g_ptr_array_add(job->result.subtests, subtest);
}

static void take_result(SpJob *job, SpMessage *message)
{
    static const SpResultKind kinds[] = {
        [SP_OUTCOME_PASSED] = SP_RESULT_PASSED,
        [SP_OUTCOME_FAILED] = SP_RESULT_FAILED,
        [SP_OUTCOME_ERROR] = SP_RESULT_ERROR,
        [SP_OUTCOME_INTERRUPTED] = SP_RESULT_SKIPPED,
        [SP_OUTCOME_NO_SPACE] = SP_RESULT_FAILED,
    };

    job->has_result = true;
    job->result.kind = kinds[message->outcome];
    g_free(job->result.report);
    job->result.report = *message->text ? g_steal_pointer(&message->text) : NULL;
}

static void take_message(SpMessage *message, void *data)
{
    SpJob *job = data;
    const SpJobConfig *config = &job->config;

    switch (message->kind) {
    case SP_MESSAGE_BEGIN:
        set_test_timeout(job, CLAMP(message->number, 1, TIME_FACTOR_MAX));
        break;
    case SP_MESSAGE_SCRIPT:
        job->has_checkpoint = true;
        job->result.checkpoint_s = message->number;
        g_free(job->result.made_s);
        job->result.made_s = g_steal_pointer(&message->text);
        break;
    case SP_MESSAGE_SUBTEST:
        take_subtest(job, message);
        break;
    case SP_MESSAGE_STEP:
        if (config->step_func)
            config->step_func(config->test, message->text, config->data);
        break;
    case SP_MESSAGE_PRINT:
        config->line_func(config->test, message->text, config->data);
        break;
    case SP_MESSAGE_FOREIGN:
        job->result.has_foreign_machine = true;
        break;
    case SP_MESSAGE_RESULT:
        take_result(job, message);
        break;
    }
}

void sp_job_take_bytes(SpJob *job, const char *bytes, gsize length)
{
    sp_message_reader_feed(&job->reader, bytes, length);
}

void sp_job_take_line(SpJob *job, const char *line)
{
    if (job->config.worker.shows_consoles)
        job->config.line_func(job->config.test, line, job->config.data);
}

static bool start_worker(SpJob *job, GError **error)
{
    SpWorkerOptions options = job->config.worker;

    job->result.has_directory = sp_out_dir_prepare(job->out, &job->lock_fd, error);
    if (!job->result.has_directory)
        return false;
    options.test_dir = job->config.test->dir;
    options.out = job->out;
    options.begin = job->begin;
    options.reports_steps = job->config.step_func != NULL;
    /* a prompt has the terminal to itself */
    options.is_quiet = options.prompts_on_failure && !options.shows_consoles;
    job->worker = job->engine->start(&options, job, error);
    return job->worker;
}

SpJob *sp_job_start(const SpEngine *engine, const SpJobConfig *config)
{
    SpJob *job = g_new0(SpJob, 1);
    g_autoptr(GError) error = NULL;

    job->config = *config;
    job->engine = engine;
    job->out = g_build_filename(config->out, config->test->name, NULL);
    job->lock_fd = -1;
    job->begin = g_get_monotonic_time();
    job->result.subtests = g_ptr_array_new_with_free_func((GDestroyNotify)sp_subtest_result_free);
    sp_message_reader_init(&job->reader, take_message, job);
    if (start_worker(job, &error)) {
        set_test_timeout(job, 1);
        return job;
    }
    job->has_result = true;
    job->result.kind =
        g_error_matches(error, SP_ERROR, SP_ERROR_USAGE) ? SP_RESULT_ERROR : SP_RESULT_FAILED;
    job->result.report = g_strdup(error->message);
    return job;
}

bool sp_job_is_done(const SpJob *job)
{
    return !job->worker || job->engine->has_ended(job->worker);
}

bool sp_job_has_checkpoint(const SpJob *job)
{
    return job->has_checkpoint;
}

void sp_job_stop(SpJob *job, int signal_number)
{
    job->was_stopped = true;
    stop_worker(job, signal_number, 0);
}

/* Of a worker that did not end as its result says: @when. */
static char *describe_death(const SpWorkerEnd *end, const char *when)
{
    g_autofree char *output = g_strchomp(g_strdup(end->output));
    gsize length = strlen(output);
    const char *tail = length > LAST_WORDS_MAX ? output + length - LAST_WORDS_MAX : output;
    g_autofree char *valid = g_utf8_make_valid(tail, -1);

    return g_strdup_printf("the test's process %s %s%s%s", end->how, when,
        length > 0 ? ". Its last words:\n" : "", valid);
}

/* It failed, for a reason that its script can't know. Takes @report. */
static void set_failure(SpResult *result, char *report)
{
    result->kind = SP_RESULT_FAILED;
    g_free(result->report);
    result->report = report;
    g_free(result->reason);
    result->reason = g_strndup(report, strcspn(report, "\n"));
}

/* The worker has ended: what that means for the result that it sent, or did not send. */
static void judge_result(SpJob *job, const SpWorkerEnd *end)
{
    SpResult *result = &job->result;

    if (!job->has_result)
        set_failure(result, describe_death(end, "without a result"));
    else if (result->kind == SP_RESULT_PASSED && !end->is_good)
        set_failure(result, describe_death(end, "after it had passed"));
    if (result->kind == SP_RESULT_PASSED)
        return;
    if (job->was_stopped)
        result->kind = SP_RESULT_SKIPPED;
    else if (job->time_out_s > 0)
        set_failure(
            result, g_strdup_printf("timed out after %.0f s (Timeout=%u)\n%s", job->time_out_s,
                        job->config.test->timeout_s, result->report ? result->report : ""));
    /* interrupted by another process, or by itself: a prompt's process has the terminal, and its
     * Ctrl-C is the user's */
    else if (result->kind == SP_RESULT_SKIPPED && !job->config.worker.prompts_on_failure)
        result->kind = SP_RESULT_FAILED;
}

void sp_job_finish(SpJob *job, SpResult *ret_result)
{
    g_auto(SpWorkerEnd) end = {0};

    if (job->worker) {
        remove_source(&job->stop_source);
        remove_source(&job->kill_source);
        job->engine->finish(job->worker, &end);
        judge_result(job, &end);
    }
    /* the last messages may have set it again */
    remove_source(&job->stop_source);
    job->result.seconds = (double)(g_get_monotonic_time() - job->begin) / G_TIME_SPAN_SECOND;
    *ret_result = job->result;
    sp_message_reader_clear(&job->reader);
    if (job->lock_fd >= 0)
        close(job->lock_fd);
    g_free(job->out);
    g_free(job);
}
