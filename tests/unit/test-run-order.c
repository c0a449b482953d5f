/* SPDX-License-Identifier: MIT */

/* In which order tests are started. The engine only notes what it is told. */

#include "runner-fixture.h"
#include "runner/runner.h"
#include "runner/simulate.h"
#include "suite/discover.h"
#include "worker/message.h"

#include <string.h>

typedef struct {
    SpJob *job;
    bool makes_checkpoint;
    guint turns; /* until it has ended */
} FakeWorker;

static GString *started;

static void send_message(SpJob *job, SpMessageKind kind, SpOutcome outcome)
{
    g_autofree char *line = sp_message_format(kind, outcome, NULL, 0);

    sp_job_take_bytes(job, line, strlen(line));
}

static void *fake_start(const SpWorkerOptions *options, SpJob *job, GError **error)
{
    FakeWorker *worker = g_new0(FakeWorker, 1);
    g_autofree char *name = g_path_get_basename(options->test_dir);

    worker->job = job;
    worker->makes_checkpoint = *name == 'a';
    g_string_append_printf(started, "%s ", name);
    return worker;
}

static gboolean do_nothing(void *data)
{
    return G_SOURCE_REMOVE;
}

/* A worker that makes a checkpoint runs longer. */
static bool fake_has_ended(void *data)
{
    FakeWorker *worker = data;

    g_idle_add(do_nothing, NULL); /* so that it is asked again */
    if (worker->turns++ == 10)
        send_message(worker->job, SP_MESSAGE_SCRIPT, SP_OUTCOME_NONE);
    return worker->turns > (worker->makes_checkpoint ? 21 : 6);
}

static void fake_signal(void *worker, int signal_number)
{
}

static void fake_finish(void *data, SpWorkerEnd *ret_end)
{
    FakeWorker *worker = data;

    send_message(worker->job, SP_MESSAGE_RESULT, SP_OUTCOME_PASSED);
    *ret_end = (SpWorkerEnd){.is_good = true};
    g_free(worker);
}

static const SpEngine engine = {"fake", fake_start, fake_has_ended, fake_signal, fake_finish};

static void add(RunnerFixture *f, const char *name, const char *conf)
{
    g_autofree char *dir = g_build_filename(f->tests, name, NULL);

    runner_write_file(dir, "test.conf", conf, -1);
    runner_write_file(dir, "script.py", "", -1);
}

static void expect_order(RunnerFixture *f, guint jobs, const char *expected)
{
    f->engine = &engine;
    f->jobs = jobs;
    started = g_string_new(NULL);
    g_assert_cmpint(runner_run(f), ==, 0);
    g_assert_cmpstr(started->str, ==, expected);
    g_string_free(started, TRUE);
}

/* a1 to a3 start from checkpoints with the same one below: the second would only wait until the
 * first has made it. */
static void test_order(RunnerFixture *f, gconstpointer data)
{
    add(f, "booted", "[Checkpoint]\n[Machine gateway]\n");
    add(f, "updated", "[Checkpoint]\nFrom=booted\n");
    add(f, "a1", "[Test]\nFrom=booted\n");
    add(f, "a2", "[Test]\nFrom=booted\n");
    add(f, "a3", "[Test]\nFrom=updated\n");
    add(f, "b1", "[Test]\n[Machine gateway]\n");
    add(f, "b2", "[Test]\n[Machine gateway]\n");
    add(f, "b3", "[Test]\n[Machine gateway]\n");
    expect_order(f, 1, "a1 a2 a3 b1 b2 b3 ");
    /* b1 ends before a1 has the checkpoint, b2 after it; a3 waits for a2 likewise */
    expect_order(f, 2, "a1 b1 b2 a2 b3 a3 ");
    /* a test that waits is better than none */
    expect_order(f, 6, "a1 b1 b2 b3 a2 a3 ");
}

static void note_start(const SpTestConf *test, double begin_s, double end_s, void *data)
{
    g_string_append_printf(data, "%s:%.0f-%.0f ", test->name, begin_s, end_s);
}

/* Simulate the tests with @jobs at once: they start as @expected says, and end after @seconds. */
static void expect_simulation(GPtrArray *tests, const SpDurations *durations, guint jobs,
    const char *expected, double seconds)
{
    g_autoptr(GPtrArray) own = g_ptr_array_new();
    g_autoptr(GString) text = g_string_new(NULL);

    g_ptr_array_extend(own, tests, NULL, NULL);
    g_assert_cmpfloat(sp_simulate_run(own, durations, jobs, note_start, text), ==, seconds);
    g_assert_cmpstr(text->str, ==, expected);
    g_assert_cmpuint(own->len, ==, tests->len);
}

/* A checkpoint is made once, by the first test that starts from it; others that need it meanwhile
 * wait, or let others go first. */
static void test_simulation(RunnerFixture *f, gconstpointer data)
{
    static const struct {
        const char *name;
        double seconds;
    } known[] = {{"booted", 20}, {"updated", 10}, {"a1", 50}, {"a2", 40}, {"b1", 30}, {"b2", 4}};
    g_autofree char *path = g_build_filename(f->dir, "durations", NULL);
    g_autoptr(SpDurations) durations = sp_durations_load(path);
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) tests = NULL;

    add(f, "booted", "[Checkpoint]\n[Machine gateway]\n");
    add(f, "updated", "[Checkpoint]\nFrom=booted\n");
    add(f, "a1", "[Test]\nFrom=booted\n");
    add(f, "a2", "[Test]\nFrom=updated\n");
    add(f, "b1", "[Test]\n[Machine gateway]\n");
    add(f, "b2", "[Test]\n[Machine gateway]\n");
    for (gsize i = 0; i < G_N_ELEMENTS(known); i++) {
        g_autofree char *dir = g_build_filename(f->tests, known[i].name, NULL);
        g_autoptr(SpTestConf) conf = sp_test_conf_load(dir, &error);
        g_assert_no_error(error);
        sp_durations_set(durations, conf, known[i].seconds);
    }
    tests = sp_tests_load(f->tests, NULL, NULL, &error);
    g_assert_no_error(error);
    expect_simulation(tests, durations, 1, "a1:0-70 a2:70-120 b1:120-150 b2:150-154 ", 154);
    /* b1 goes before a2, which would wait for a1's checkpoint */
    expect_simulation(tests, durations, 2, "a1:0-70 b1:0-30 a2:30-80 b2:70-74 ", 80);
    /* a2 starts at once if nothing else is left: it waits for "booted", and makes "updated" */
    expect_simulation(tests, durations, 8, "a1:0-70 b1:0-30 b2:0-4 a2:0-70 ", 70);
    /* a test that is not known takes the average time */
    add(f, "b3", "[Test]\n[Machine gateway]\n");
    g_clear_pointer(&tests, g_ptr_array_unref);
    tests = sp_tests_load(f->tests, NULL, NULL, &error);
    expect_simulation(tests, durations, 8, "a1:0-70 b1:0-30 b2:0-4 b3:0-31 a2:0-70 ", 70);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add(
        "/run-order/checkpoints", RunnerFixture, NULL, runner_set_up, test_order, runner_tear_down);
    g_test_add("/run-order/simulation", RunnerFixture, NULL, runner_set_up, test_simulation,
        runner_tear_down);
    return g_test_run();
}
