/* SPDX-License-Identifier: MIT */

/* Runs whole tests in workers, which are this program again, with fake machines. */

#include "runner-fixture.h"

#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_passed(RunnerFixture *f, gconstpointer data)
{
    g_autofree char *log = g_build_filename(f->out, "a", "log.txt", NULL);

    runner_add_test(f, "a", "with subtest('one'):\n    machine.succeed('echo x')\n");
    g_assert_cmpint(runner_run(f), ==, 0);
    runner_expect(f, "a  passed  (");
    g_assert_true(g_str_has_suffix(f->output, "\n1 passed, 0 failed, 0 skipped\n"));
    g_assert_true(g_file_test(log, G_FILE_TEST_EXISTS));
    g_assert_cmpint(runner_run(f), ==, 0);
}

static void test_failed(RunnerFixture *f, gconstpointer data)
{
    runner_add_test(f, "a", "machine.succeed('complain bad')\n");
    runner_add_test(f, "b", "pass\n");
    g_assert_cmpint(runner_run(f), ==, 1);
    runner_expect(f, "a  failed  (");
    runner_expect(f, "  assertion failed: machine.succeed('complain bad')\n    at ");
    runner_expect(f, "script.py:1\n");
    runner_expect(f, "b  passed  (");
    g_assert_true(g_str_has_suffix(f->output, "\n1 passed, 1 failed, 0 skipped\n"));
}

static void test_error(RunnerFixture *f, gconstpointer data)
{
    g_autofree char *disk = g_build_filename(f->images, "gateway", "disk.img", NULL);

    runner_add_test(f, "a", "def oops(:\n");
    runner_add_test(f, "b", "machine.succeed('exit 1')\n");
    g_assert_cmpint(runner_run(f), ==, 2);
    runner_expect(f, "a  error  (");
    runner_expect(f, "script.py:1: invalid syntax");
    g_assert_true(g_str_has_suffix(f->output, "\n0 passed, 2 failed, 0 skipped\n"));
    g_unlink(disk);
    g_assert_cmpint(runner_run(f), ==, 2);
    runner_expect(f, "disk.img' is missing");
}

static void test_dying_worker(RunnerFixture *f, gconstpointer data)
{
    runner_add_test(f, "a", "log('last words')\nmachine.succeed('die')\n");
    g_assert_cmpint(runner_run(f), ==, 1);
    runner_expect(f, "a  failed  (");
    runner_expect(f, "was killed by signal 9");
    runner_expect(f, "last words");
    runner_add_test(f, "a", "import os\nos._exit(0)\n");
    g_assert_cmpint(runner_run(f), ==, 1);
    runner_expect(f, "ended with status 0 without a result");
}

/* The host process whose ID a test has written to its directory is gone. */
static void assert_gone(RunnerFixture *f, const char *test)
{
    g_autofree char *path = g_build_filename(f->out, test, "pid", NULL);
    g_autofree char *text = NULL;
    struct pollfd end = {.events = POLLIN};
    pid_t pid;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    pid = (pid_t)g_ascii_strtoll(text, NULL, 10);
    end.fd = pidfd_open(pid, 0); /* we are its reaper, since its parent ended before it */
    g_assert_cmpint(end.fd, >=, 0);
    g_assert_cmpint(poll(&end, 1, 10000), ==, 1);
    g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
    close(end.fd);
}

/* Programs that a script starts on the host do not outlive the test, however the worker ends. */
static void test_children(RunnerFixture *f, gconstpointer data)
{
#define START                                                                                      \
    "import signal, subprocess\n"                                                                  \
    "child = subprocess.Popen(['sleep', '60'])\n"                                                  \
    "open(machine.out_dir / 'pid', 'w').write(str(child.pid))\n"
    static const char *const names[] = {"a", "b", "c"};

    prctl(PR_SET_CHILD_SUBREAPER, 1);
    f->stop_ms = 200;
    runner_add_test(f, "a", START);
    runner_add_test(f, "b", START "machine.succeed('die')\n");
    f->timeout_s = 5;
    runner_add_test(
        f, "c", START "signal.signal(signal.SIGINT, signal.SIG_IGN)\nmachine.succeed('hang')\n");
    g_assert_cmpint(runner_run(f), ==, 1);
    runner_expect(f, "1 passed, 2 failed, 0 skipped");
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
        assert_gone(f, names[i]);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
#undef START
}

/* A result does not count if the worker ends badly after it. */
static void test_dying_after_result(RunnerFixture *f, gconstpointer data)
{
    runner_add_test(f, "a",
        "import os\nprint('last words')\n"
        "os.write(3, b'{\"event\":\"result\",\"word\":\"passed\",\"text\":\"\",\"number\":1}\\n')\n"
        "os._exit(7)\n");
    g_assert_cmpint(runner_run(f), ==, 1);
    runner_expect(f, "a  failed  (");
    runner_expect(f, "ended with status 7 after it had passed");
    runner_expect(f, "last words");
}

static void test_time_out(RunnerFixture *f, gconstpointer data)
{
    f->timeout_s = 5;
    runner_add_test(f, "a", "machine.succeed('hang')\n");
    g_assert_cmpint(runner_run(f), ==, 1);
    runner_expect(f, "a  failed  (");
    runner_expect(f, "timed out after 5 s (Timeout=5)");
    runner_expect(f, "interrupted: machine.succeed('hang')");
}

/* A test that ignores SIGINT is killed. */
static void test_stubborn(RunnerFixture *f, gconstpointer data)
{
    f->stop_ms = 200;
    f->timeout_s = 5;
    runner_add_test(f, "a",
        "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "machine.succeed('hang')\n");
    g_assert_cmpint(runner_run(f), ==, 1);
    runner_expect(f, "timed out after 5 s");
    runner_expect(f, "was killed by signal 9");
}

static void test_signals(RunnerFixture *f, gconstpointer data)
{
    static const int others[] = {SIGTERM, SIGHUP, SIGQUIT};
    g_autofree char *page = g_build_filename(f->out, "report.html", NULL);

    signal(SIGHUP, SIG_DFL); /* it may have been ignored when this program was started */
    runner_add_test(f, "a", "import os\nos.kill(os.getppid(), 2)\nretry(lambda last: False)\n");
    runner_add_test(f, "b", "pass\n");
    g_assert_cmpint(runner_run(f), ==, 130);
    runner_expect(f, "a  stopped  (");
    runner_expect(f, "KeyboardInterrupt");
    g_assert_null(strstr(f->output, "b  "));
    g_assert_true(g_str_has_suffix(f->output, "\n0 passed, 0 failed, 2 skipped\n"));
    /* the other signals that end a program do the same */
    for (gsize i = 0; i < G_N_ELEMENTS(others); i++) {
        g_autofree char *script = g_strdup_printf(
            "import os\nos.kill(os.getppid(), %d)\nretry(lambda last: False)\n", others[i]);

        g_unlink(page);
        runner_add_test(f, "a", script);
        g_assert_cmpint(runner_run(f), ==, 128 + others[i]);
        runner_expect(f, "a  stopped  (");
        runner_expect(f, "KeyboardInterrupt");
        g_assert_true(g_file_test(page, G_FILE_TEST_EXISTS));
    }
    /* as with nohup(1) */
    signal(SIGHUP, SIG_IGN);
    runner_add_test(f, "a", "import os\nos.kill(os.getppid(), 1)\n");
    g_assert_cmpint(runner_run(f), ==, 0);
    signal(SIGHUP, SIG_DFL);
}

static void test_out_dir(RunnerFixture *f, gconstpointer data)
{
    g_autofree char *outside = g_build_filename(f->dir, "outside", "file", NULL);
    g_autofree char *link = g_build_filename(f->out, "a", "link", NULL);
    g_autofree char *old = g_build_filename(f->out, "a", "old", "deep", NULL);
    g_autofree char *target = g_path_get_dirname(outside);

    runner_write_file(f->out, "a/mine", "x", -1);
    runner_add_test(f, "a", "pass\n");
    g_assert_cmpint(runner_run(f), ==, 2);
    runner_expect(f, "holds files that are not slotproof's");
    g_assert_true(g_file_test(f->out, G_FILE_TEST_IS_DIR));

    g_autofree char *mine = g_build_filename(f->out, "a", "mine", NULL);
    g_assert_cmpint(g_unlink(mine), ==, 0);
    g_assert_cmpint(runner_run(f), ==, 0);
    runner_write_file(f->out, "a/old/deep", "x", -1);
    runner_write_file(f->dir, "outside/file", "x", -1);
    g_assert_cmpint(symlink(target, link), ==, 0);
    g_assert_cmpint(runner_run(f), ==, 0);
    g_assert_false(g_file_test(old, G_FILE_TEST_EXISTS));
    g_assert_true(g_file_test(outside, G_FILE_TEST_EXISTS));
}

/* Waits until the other two run as well. */
#define MEET(name)                                                                                 \
    "import os, time\nopen(machine.out_dir / '../" name "', 'w')\n"                                \
    "while not all(os.path.exists(f'{machine.out_dir}/../{n}') for n in 'xyz'):\n"                 \
    "    time.sleep(0.01)\n"

static void test_jobs(RunnerFixture *f, gconstpointer data)
{
    runner_add_test(f, "a", MEET("x"));
    runner_add_test(f, "b", MEET("y") "assert False, 'this one'\n");
    runner_add_test(f, "c", MEET("z"));
    runner_add_test(f, "d", "");
    f->jobs = 3;
    g_assert_cmpint(runner_run(f), ==, 1);
    runner_expect(f, "a  passed");
    runner_expect(f, "b  failed");
    runner_expect(f, "this one");
    runner_expect(f, "c  passed");
    runner_expect(f, "d  passed");
    runner_expect(f, "3 passed, 1 failed, 0 skipped");
    /* and not more at once than f->jobs */
    for (const char *name = "xyz"; *name; name++) {
        g_autofree char *path = g_strdup_printf("%s/%c", f->out, *name);
        g_assert_cmpint(g_unlink(path), ==, 0);
    }
    f->timeout_s = 5;
    runner_add_test(f, "a", MEET("x"));
    runner_add_test(f, "b", MEET("y"));
    runner_add_test(f, "c", MEET("z"));
    f->jobs = 2;
    g_assert_cmpint(runner_run(f), ==, 1);
    runner_expect(f, "timed out");
}

/* Running tests are stopped, waiting tests are not started. */
static void test_jobs_stopped(RunnerFixture *f, gconstpointer data)
{
    runner_add_test(f, "a", "import time\ntime.sleep(60)\n");
    runner_add_test(f, "b",
        "import os, signal, time\ntime.sleep(0.3)\n"
        "os.kill(os.getppid(), signal.SIGINT)\ntime.sleep(60)\n");
    runner_add_test(f, "c", "");
    f->jobs = 2;
    g_assert_cmpint(runner_run(f), ==, 130);
    runner_expect(f, "a  stopped");
    runner_expect(f, "b  stopped");
    runner_expect(f, "0 passed, 0 failed, 3 skipped");
}

/* If the test or the user asks for it, and for existing networks only. */
static void test_capture(RunnerFixture *f, gconstpointer data)
{
    static const struct {
        const char *word;
        bool is_captured, is_there;
    } cases[] = {{"no", false, false}, {"no", true, true}, {"yes", false, true}};
    g_autofree char *dir = g_build_filename(f->tests, "a", NULL);

    runner_add_test(f, "a", "pass\n");
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text =
            g_strdup_printf("[Test]\nCapture=%s\n[Machine gateway]\nNetworks=1 7\n", cases[i].word);

        runner_write_file(dir, "test.conf", text, -1);
        f->is_captured = cases[i].is_captured;
        g_assert_cmpint(runner_run(f), ==, 0);
        for (guint number = 1; number <= 8; number++) {
            g_autofree char *name = g_strdup_printf("network-%u.pcapng", number);
            g_autofree char *path = g_build_filename(f->out, "a", name, NULL);
            bool is_used = number == 1 || number == 7;

            g_assert_cmpint(
                g_file_test(path, G_FILE_TEST_EXISTS), ==, cases[i].is_there && is_used);
        }
    }
}

static double known_duration(RunnerFixture *f, const char *name)
{
    g_autofree char *dir = g_build_filename(f->tests, name, NULL);
    g_autoptr(SpTestConf) conf = sp_test_conf_load(dir, NULL);
    double seconds = -1;

    g_assert_true(sp_durations_get(f->durations, conf, &seconds));
    g_assert_cmpfloat(seconds, >, 0);
    return seconds;
}

/* The time of each of two checkpoints, and of the test itself, is counted once. */
static void test_durations(RunnerFixture *f, gconstpointer data)
{
    static const struct {
        const char *name, *conf;
    } tests[] = {{"booted", "[Checkpoint]\n[Machine gateway]\n"},
        {"updated", "[Checkpoint]\nFrom=booted\n"}, {"one", "[Test]\nFrom=updated\n"}};
    g_autofree char *path = g_build_filename(f->dir, "durations", NULL);
    g_autoptr(SpDurations) durations = sp_durations_load(path);
    gint64 begin = g_get_monotonic_time();
    double seconds, sum = 0;

    g_setenv("XDG_CACHE_HOME", f->dir, TRUE);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *dir = g_build_filename(f->tests, tests[i].name, NULL);
        runner_write_file(dir, "test.conf", tests[i].conf, -1);
        runner_write_file(dir, "script.py", i == 0 ? "gateway.start()\n" : "", -1);
    }
    f->durations = durations;
    g_assert_cmpint(runner_run(f), ==, 0);
    g_unsetenv("XDG_CACHE_HOME");
    seconds = (double)(g_get_monotonic_time() - begin) / G_TIME_SPAN_SECOND;
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        sum += known_duration(f, tests[i].name);
    g_assert_cmpfloat(sum, <=, seconds);
}

int main(int argc, char **argv)
{
    static const RunnerTest tests[] = {
        {"/runner/durations", test_durations},
        {"/runner/passed", test_passed},
        {"/runner/failed", test_failed},
        {"/runner/error", test_error},
        {"/runner/dying-worker", test_dying_worker},
        {"/runner/children", test_children},
        {"/runner/dying-after-result", test_dying_after_result},
        {"/runner/time-out", test_time_out},
        {"/runner/stubborn", test_stubborn},
        {"/runner/signals", test_signals},
        {"/runner/out-dir", test_out_dir},
        {"/runner/jobs", test_jobs},
        {"/runner/jobs-stopped", test_jobs_stopped},
        {"/runner/capture", test_capture},
    };

    return runner_main(argc, argv, tests, G_N_ELEMENTS(tests));
}
