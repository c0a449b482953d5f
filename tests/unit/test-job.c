/* SPDX-License-Identifier: MIT */

/* What a job makes of what its worker sends and of how it ends. The engine starts nothing: the test
 * plays the worker. */

#include "base/error.h"
#include "base/wait.h"
#include "runner-fixture.h"
#include "runner/engine.h"
#include "suite/test-conf.h"
#include "worker/message.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>

typedef struct {
    SpWorkerOptions options; /* that it was started with */
    bool is_refused;
    bool has_ended;
    GArray *signals; /* that it was sent, int */
    SpWorkerEnd end;
} Played;

static Played played;

static void *play_start(const SpWorkerOptions *options, SpJob *job, GError **error)
{
    played.options = *options;
    if (!played.is_refused)
        return &played;
    g_set_error(error, SP_ERROR, SP_ERROR_HOST, "no processes left");
    return NULL;
}

static bool play_has_ended(void *worker)
{
    return played.has_ended;
}

static void play_signal(void *worker, int signal_number)
{
    g_array_append_val(played.signals, signal_number);
    /* one that is killed ends at once */
    played.has_ended = played.has_ended || signal_number == SIGKILL;
}

static void play_finish(void *worker, SpWorkerEnd *ret_end)
{
    *ret_end = (SpWorkerEnd){.is_good = played.end.is_good,
        .how = g_strdup(played.end.how),
        .output = g_strdup(played.end.output)};
}

static const SpEngine engine = {"played", play_start, play_has_ended, play_signal, play_finish};

typedef struct {
    RunnerFixture runner;
    SpTestConf *conf;
    GString *shown;
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    g_autofree char *dir = NULL;
    g_autoptr(GError) error = NULL;

    runner_set_up(&f->runner, data);
    runner_add_test(&f->runner, "a", "");
    dir = g_build_filename(f->runner.tests, "a", NULL);
    f->conf = sp_test_conf_load(dir, &error);
    g_assert_no_error(error);
    f->shown = g_string_new(NULL);
    played = (Played){.signals = g_array_new(FALSE, FALSE, sizeof(int)),
        .end = {.is_good = true, .how = (char *)"ended with status 0", .output = (char *)""}};
}

static void tear_down(Fixture *f, gconstpointer data)
{
    g_array_unref(played.signals);
    g_string_free(f->shown, TRUE);
    sp_test_conf_free(f->conf);
    runner_tear_down(&f->runner, data);
}

static void show_step(const SpTestConf *test, const char *text, void *data)
{
    g_string_append_printf(data, "step %s;", text);
}

static void show_line(const SpTestConf *test, const char *text, void *data)
{
    g_string_append_printf(data, "line %s;", text);
}

static SpJob *start_job(Fixture *f, bool is_verbose, gint64 stop_ms)
{
    const SpJobConfig config = {
        .test = f->conf,
        .worker = {.images = f->runner.images, .shows_consoles = is_verbose, .is_cold = TRUE},
        .out = f->runner.out,
        .stop_ms = stop_ms,
        .step_func = show_step,
        .line_func = show_line,
        .data = f->shown,
    };

    return sp_job_start(&engine, &config);
}

static void send_message(
    SpJob *job, SpMessageKind kind, SpOutcome outcome, const char *text, double number)
{
    g_autofree char *line = sp_message_format(kind, outcome, text, number);

    sp_job_take_bytes(job, line, strlen(line));
}

/* The worker is told what the user wants and what the test is. */
static void test_options(Fixture *f, gconstpointer data)
{
    g_autofree char *out = g_build_filename(f->runner.out, "a", NULL);
    g_auto(SpResult) result = {0};
    SpJob *job = start_job(f, true, 0);

    g_assert_cmpstr(played.options.test_dir, ==, f->conf->dir);
    g_assert_cmpstr(played.options.images, ==, f->runner.images);
    g_assert_cmpstr(played.options.out, ==, out);
    g_assert_true(g_file_test(out, G_FILE_TEST_IS_DIR));
    g_assert_true(played.options.shows_consoles);
    g_assert_true(played.options.is_cold);
    g_assert_true(played.options.reports_steps);
    g_assert_false(played.options.is_quiet);
    g_assert_cmpint(played.options.begin, >, 0);
    sp_job_finish(job, &result);
    g_assert_true(result.has_directory);
}

static void test_messages(Fixture *f, gconstpointer data)
{
    g_auto(SpResult) result = {0};
    const SpSubtestResult *subtest;
    SpJob *job = start_job(f, false, 0);

    g_assert_false(sp_job_is_done(job));
    g_assert_false(sp_job_has_checkpoint(job));
    sp_job_take_bytes(job, "not a message\n", 14);
    send_message(job, SP_MESSAGE_BEGIN, SP_OUTCOME_NONE, NULL, 2);
    send_message(job, SP_MESSAGE_SCRIPT, SP_OUTCOME_NONE, "1.5 2", 4);
    g_assert_true(sp_job_has_checkpoint(job));
    send_message(job, SP_MESSAGE_STEP, SP_OUTCOME_NONE, "boot", 0);
    send_message(job, SP_MESSAGE_PRINT, SP_OUTCOME_NONE, "hello", 0);
    sp_job_take_line(job, "not shown unless it is verbose");
    send_message(job, SP_MESSAGE_SUBTEST, SP_OUTCOME_PASSED, "one", 0.5);
    send_message(job, SP_MESSAGE_SUBTEST, SP_OUTCOME_FAILED, "two", 1);
    send_message(job, SP_MESSAGE_FOREIGN, SP_OUTCOME_NONE, NULL, 0);
    send_message(job, SP_MESSAGE_RESULT, SP_OUTCOME_PASSED, "", 3);
    played.has_ended = true;
    g_assert_true(sp_job_is_done(job));
    sp_job_finish(job, &result);
    g_assert_cmpstr(f->shown->str, ==, "step boot;line hello;");
    g_assert_cmpint(result.kind, ==, SP_RESULT_PASSED);
    g_assert_null(result.report);
    g_assert_null(result.reason);
    g_assert_cmpfloat(result.checkpoint_s, ==, 4);
    g_assert_cmpstr(result.made_s, ==, "1.5 2");
    g_assert_true(result.has_foreign_machine);
    g_assert_cmpuint(result.subtests->len, ==, 2);
    subtest = g_ptr_array_index(result.subtests, 1);
    g_assert_cmpstr(subtest->name, ==, "two");
    g_assert_false(subtest->passed);
    g_assert_cmpfloat(subtest->seconds, ==, 1);
}

static void test_verbose(Fixture *f, gconstpointer data)
{
    g_auto(SpResult) result = {0};
    SpJob *job = start_job(f, true, 0);

    sp_job_take_line(job, "of the log");
    sp_job_finish(job, &result);
    g_assert_cmpstr(f->shown->str, ==, "line of the log;");
}

typedef struct {
    SpOutcome sent; /* NONE: nothing */
    bool is_good;   /* the exit status */
    bool is_stopped;
    SpResultKind kind;
    const char *report; /* begins so; NULL: none */
    const char *reason; /* the same */
} Judgement;

static void judge_one(Fixture *f, const Judgement *j)
{
    const char *text = j->sent == SP_OUTCOME_PASSED ? "" : "its report";
    g_auto(SpResult) result = {0};
    SpJob *job = start_job(f, false, 0);

    if (j->sent != SP_OUTCOME_NONE)
        send_message(job, SP_MESSAGE_RESULT, j->sent, text, 1);
    if (j->is_stopped)
        sp_job_stop(job, SIGTERM);
    played.end.is_good = j->is_good;
    played.end.how = (char *)"was killed by signal 9 (Killed)";
    played.end.output = (char *)"last words\n";
    sp_job_finish(job, &result);
    g_assert_cmpint(result.kind, ==, j->kind);
    g_assert_true(!j->report == !result.report);
    g_assert_true(!j->report || g_str_has_prefix(result.report, j->report));
    g_assert_cmpstr(result.reason, ==, j->reason);
}

static void test_judgement(Fixture *f, gconstpointer data)
{
#define DEATH "the test's process was killed by signal 9 (Killed) "
#define WORDS ". Its last words:"
    static const Judgement cases[] = {
        {SP_OUTCOME_PASSED, true, false, SP_RESULT_PASSED, NULL, NULL},
        {SP_OUTCOME_FAILED, false, false, SP_RESULT_FAILED, "its report", NULL},
        {SP_OUTCOME_ERROR, false, false, SP_RESULT_ERROR, "its report", NULL},
        {SP_OUTCOME_NO_SPACE, false, false, SP_RESULT_FAILED, "its report", NULL},
        /* interrupted, but not by us */
        {SP_OUTCOME_INTERRUPTED, false, false, SP_RESULT_FAILED, "its report", NULL},
        {SP_OUTCOME_INTERRUPTED, false, true, SP_RESULT_SKIPPED, "its report", NULL},
        {SP_OUTCOME_FAILED, false, true, SP_RESULT_SKIPPED, "its report", NULL},
        /* it was faster than the user */
        {SP_OUTCOME_PASSED, true, true, SP_RESULT_PASSED, NULL, NULL},
        {SP_OUTCOME_NONE, true, false, SP_RESULT_FAILED,
            DEATH "without a result" WORDS "\nlast words", DEATH "without a result" WORDS},
        {SP_OUTCOME_NONE, false, true, SP_RESULT_SKIPPED, DEATH "without a result",
            DEATH "without a result" WORDS},
        {SP_OUTCOME_PASSED, false, false, SP_RESULT_FAILED, DEATH "after it had passed",
            DEATH "after it had passed" WORDS},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++)
        judge_one(f, &cases[i]);
}

static bool is_done(void *data, GError **error)
{
    return sp_job_is_done(data);
}

static void wait_until_done(SpJob *job)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(sp_wait(is_done, job, sp_deadline(60000), NULL, &error));
}

/* Interrupted when its time is over, killed when it does not end then; what it says counts less
 * than that. */
static void test_time_out(Fixture *f, gconstpointer data)
{
    g_auto(SpResult) result = {0};
    SpJob *job;

    f->conf->timeout_s = 1;
    job = start_job(f, false, 50);
    wait_until_done(job);
    g_assert_cmpuint(played.signals->len, ==, 2);
    g_assert_cmpint(g_array_index(played.signals, int, 0), ==, SIGINT);
    g_assert_cmpint(g_array_index(played.signals, int, 1), ==, SIGKILL);
    /* too late */
    send_message(job, SP_MESSAGE_BEGIN, SP_OUTCOME_NONE, NULL, 50);
    send_message(job, SP_MESSAGE_RESULT, SP_OUTCOME_INTERRUPTED, "at line 3", 1);
    sp_job_finish(job, &result);
    g_assert_cmpint(result.kind, ==, SP_RESULT_FAILED);
    g_assert_cmpstr(result.report, ==, "timed out after 1 s (Timeout=1)\nat line 3");
    g_assert_cmpstr(result.reason, ==, "timed out after 1 s (Timeout=1)");
}

/* Without hardware virtualisation a test has as much more time as its worker says, but not for
 * ever. */
static void test_time_factor(Fixture *f, gconstpointer data)
{
    static const struct {
        double factor;
        const char *report;
    } cases[] = {
        {2, "timed out after 2 s (Timeout=1)"},
        {0, "timed out after 1 s (Timeout=1)"},
    };

    f->conf->timeout_s = 1;
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(SpResult) result = {0};
        gint64 begin = g_get_monotonic_time();
        SpJob *job = start_job(f, false, 1);

        played.has_ended = false;
        send_message(job, SP_MESSAGE_BEGIN, SP_OUTCOME_NONE, NULL, cases[i].factor);
        wait_until_done(job);
        g_assert_cmpint(g_get_monotonic_time() - begin, >=,
            (gint64)(MAX(cases[i].factor, 1) * G_TIME_SPAN_SECOND));
        sp_job_finish(job, &result);
        g_assert_cmpstr(result.reason, ==, cases[i].report);
    }
}

/* One that passes while it is told to stop has passed. */
static void test_passed_in_time(Fixture *f, gconstpointer data)
{
    g_auto(SpResult) result = {0};
    SpJob *job;

    f->conf->timeout_s = 1;
    job = start_job(f, false, 1);
    wait_until_done(job);
    send_message(job, SP_MESSAGE_RESULT, SP_OUTCOME_PASSED, "", 1);
    sp_job_finish(job, &result);
    g_assert_cmpint(result.kind, ==, SP_RESULT_PASSED);
}

/* Told once, however often the user wants it. */
static void test_stop(Fixture *f, gconstpointer data)
{
    g_auto(SpResult) result = {0};
    SpJob *job = start_job(f, false, 50);

    sp_job_stop(job, SIGTERM);
    sp_job_stop(job, SIGTERM);
    wait_until_done(job);
    g_assert_cmpuint(played.signals->len, ==, 2);
    g_assert_cmpint(g_array_index(played.signals, int, 0), ==, SIGTERM);
    g_assert_cmpint(g_array_index(played.signals, int, 1), ==, SIGKILL);
    sp_job_finish(job, &result);
    g_assert_cmpint(result.kind, ==, SP_RESULT_SKIPPED);
}

/* A worker with a prompt has the terminal: the user stops it without us. */
static void test_stopped_on_terminal(Fixture *f, gconstpointer data)
{
    static const struct {
        SpOutcome sent;
        SpResultKind kind;
    } cases[] = {
        {SP_OUTCOME_INTERRUPTED, SP_RESULT_SKIPPED},
        {SP_OUTCOME_FAILED, SP_RESULT_FAILED},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        const SpJobConfig config = {
            .test = f->conf,
            .worker = {.images = f->runner.images, .prompts_on_failure = TRUE},
            .out = f->runner.out,
            .line_func = show_line,
            .data = f->shown,
        };
        g_auto(SpResult) result = {0};
        SpJob *job = sp_job_start(&engine, &config);

        send_message(job, SP_MESSAGE_RESULT, cases[i].sent, "at line 3", 1);
        played.end.is_good = false;
        sp_job_finish(job, &result);
        g_assert_cmpint(result.kind, ==, cases[i].kind);
        g_assert_cmpstr(result.report, ==, "at line 3");
    }
}

static void test_not_started(Fixture *f, gconstpointer data)
{
    g_autofree char *mark = g_build_filename(f->runner.out, "a", ".slotproof-output", NULL);
    g_auto(SpResult) refused = {0}, foreign = {0};
    SpJob *job;

    played.is_refused = true;
    job = start_job(f, false, 0);
    g_assert_true(sp_job_is_done(job));
    sp_job_stop(job, SIGTERM);
    sp_job_finish(job, &refused);
    g_assert_cmpint(refused.kind, ==, SP_RESULT_FAILED);
    g_assert_cmpstr(refused.report, ==, "no processes left");
    /* a directory that is not ours */
    runner_write_file(f->runner.out, "a/mine", "x", -1);
    g_assert_cmpint(g_unlink(mark), ==, 0);
    job = start_job(f, false, 0);
    sp_job_finish(job, &foreign);
    g_assert_cmpint(foreign.kind, ==, SP_RESULT_ERROR);
    g_assert_false(foreign.has_directory);
}

static void test_engines(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(sp_engine_find("local", &error) == &sp_local_engine);
    g_assert_true(sp_engine_find(NULL, &error) == &sp_local_engine);
    g_assert_no_error(error);
    g_assert_null(sp_engine_find("cloud", &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
    g_assert_nonnull(strstr(error->message, "'cloud': expected one of local"));
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*test)(Fixture *f, gconstpointer data);
    } tests[] = {
        {"/job/options", test_options},
        {"/job/messages", test_messages},
        {"/job/verbose", test_verbose},
        {"/job/judgement", test_judgement},
        {"/job/time-out", test_time_out},
        {"/job/time-factor", test_time_factor},
        {"/job/passed-in-time", test_passed_in_time},
        {"/job/stop", test_stop},
        {"/job/stopped-on-terminal", test_stopped_on_terminal},
        {"/job/not-started", test_not_started},
        {"/job/engines", test_engines},
    };

    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, Fixture, NULL, set_up, tests[i].test, tear_down);
    return g_test_run();
}
