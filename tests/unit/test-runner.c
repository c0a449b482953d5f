/* SPDX-License-Identifier: MIT */

/* Runs whole tests in workers, which are this program again, on machines that are fakes. */

#include "base/error.h"
#include "runner/discover.h"
#include "runner/out-dir.h"
#include "runner/report.h"
#include "runner/runner.h"
#include "runner/worker.h"

#include <fcntl.h>
#include <ftw.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
    char *dir;
    char *tests;
    char *images;
    char *out;
    char *output; /* what the last run printed */
    gint64 stop_ms;
    guint jobs;
    bool is_captured;
} Fixture;

static void write_file(const char *dir, const char *name, const char *text, gssize length)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);
    g_autofree char *folder = g_path_get_dirname(path);

    g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
    g_assert_true(g_file_set_contents(path, text, length, NULL));
}

static void set_up(Fixture *f, gconstpointer data)
{
    char sectors[1024] = {[510] = 0x55, [511] = (char)0xaa};

    f->dir = g_dir_make_tmp("slotproof-test-XXXXXX", NULL);
    g_assert_nonnull(f->dir);
    f->tests = g_build_filename(f->dir, "tests", NULL);
    f->images = g_build_filename(f->dir, "images", NULL);
    f->out = g_build_filename(f->dir, "out", NULL);
    write_file(
        f->images, "gateway/image.conf", "[Image]\nArchitecture=x86_64\nDisk=disk.img\n", -1);
    write_file(f->images, "gateway/disk.img", sectors, sizeof sectors);
    f->stop_ms = 20000;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    return remove(path);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    g_free(f->dir);
    g_free(f->tests);
    g_free(f->images);
    g_free(f->out);
    g_free(f->output);
}

static void add_test(Fixture *f, const char *name, const char *script)
{
    g_autofree char *dir = g_build_filename(f->tests, name, NULL);

    write_file(dir, "test.conf", "[Test]\nTimeout=2\n[Machine gateway]\n", -1);
    write_file(dir, "script.py", script, -1);
}

/* Run all tests; what is printed goes to f->output instead of among this program's own lines. */
static int run(Fixture *f)
{
    const SpRunOptions options = {
        .images = f->images,
        .out = f->out,
        .stop_ms = f->stop_ms,
        .jobs = f->jobs,
        .is_captured = f->is_captured,
    };
    g_autofree char *path = g_build_filename(f->dir, "output", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) tests = sp_tests_load(f->tests, NULL, &error);
    int saved, fd, status;

    g_assert_no_error(error);
    fflush(stdout);
    saved = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    g_assert_cmpint(dup2(fd, STDOUT_FILENO), ==, STDOUT_FILENO);
    status = sp_run_tests(tests, &sp_local_engine, &options);
    g_assert_cmpint(dup2(saved, STDOUT_FILENO), ==, STDOUT_FILENO);
    close(saved);
    close(fd);
    g_clear_pointer(&f->output, g_free);
    g_assert_true(g_file_get_contents(path, &f->output, NULL, NULL));
    return status;
}

static void expect(Fixture *f, const char *words)
{
    if (!strstr(f->output, words))
        g_error("'%s' is missing in: %s", words, f->output);
}

static void test_passed(Fixture *f, gconstpointer data)
{
    g_autofree char *log = g_build_filename(f->out, "a", "log.txt", NULL);

    add_test(f, "a", "with subtest('one'):\n    machine.succeed('echo x')\n");
    g_assert_cmpint(run(f), ==, 0);
    expect(f, "a  passed  (");
    g_assert_true(g_str_has_suffix(f->output, "\n1 passed, 0 failed, 0 skipped\n"));
    g_assert_true(g_file_test(log, G_FILE_TEST_EXISTS));
    g_assert_cmpint(run(f), ==, 0);
}

static void test_failed(Fixture *f, gconstpointer data)
{
    add_test(f, "a", "machine.succeed('complain bad')\n");
    add_test(f, "b", "pass\n");
    g_assert_cmpint(run(f), ==, 1);
    expect(f, "a  failed  (");
    expect(f, "  assertion failed: machine.succeed('complain bad')\n    at ");
    expect(f, "script.py:1\n");
    expect(f, "b  passed  (");
    g_assert_true(g_str_has_suffix(f->output, "\n1 passed, 1 failed, 0 skipped\n"));
}

static void test_error(Fixture *f, gconstpointer data)
{
    g_autofree char *disk = g_build_filename(f->images, "gateway", "disk.img", NULL);

    add_test(f, "a", "def oops(:\n");
    add_test(f, "b", "machine.succeed('exit 1')\n");
    g_assert_cmpint(run(f), ==, 2);
    expect(f, "a  error  (");
    expect(f, "script.py:1: invalid syntax");
    g_assert_true(g_str_has_suffix(f->output, "\n0 passed, 2 failed, 0 skipped\n"));
    g_unlink(disk);
    g_assert_cmpint(run(f), ==, 2);
    expect(f, "disk.img' is missing");
}

static void test_dying_worker(Fixture *f, gconstpointer data)
{
    add_test(f, "a", "log('last words')\nmachine.succeed('die')\n");
    g_assert_cmpint(run(f), ==, 1);
    expect(f, "a  failed  (");
    expect(f, "was killed by signal 9");
    expect(f, "last words");
    add_test(f, "a", "import os\nos._exit(0)\n");
    g_assert_cmpint(run(f), ==, 1);
    expect(f, "ended with status 0 without a result");
}

/* The process of the host whose number a test has left in its folder is gone. */
static void assert_gone(Fixture *f, const char *test)
{
    g_autofree char *path = g_build_filename(f->out, test, "pid", NULL);
    g_autofree char *text = NULL;
    struct pollfd end = {.events = POLLIN};
    pid_t pid;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    pid = (pid_t)g_ascii_strtoll(text, NULL, 10);
    end.fd = pidfd_open(pid, 0); /* ours to reap, as whose parent ended before */
    g_assert_cmpint(end.fd, >=, 0);
    g_assert_cmpint(poll(&end, 1, 10000), ==, 1);
    g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
    close(end.fd);
}

/* What a script starts on the host does not outlive the test, whatever becomes of the worker. */
static void test_children(Fixture *f, gconstpointer data)
{
#define START                                                                                      \
    "import signal, subprocess\n"                                                                  \
    "child = subprocess.Popen(['sleep', '60'])\n"                                                  \
    "open(machine.out_dir + '/pid', 'w').write(str(child.pid))\n"
    static const char *const names[] = {"a", "b", "c"};

    prctl(PR_SET_CHILD_SUBREAPER, 1);
    f->stop_ms = 200;
    add_test(f, "a", START);
    add_test(f, "b", START "machine.succeed('die')\n");
    add_test(
        f, "c", START "signal.signal(signal.SIGINT, signal.SIG_IGN)\nmachine.succeed('hang')\n");
    g_assert_cmpint(run(f), ==, 1);
    expect(f, "1 passed, 2 failed, 0 skipped");
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
        assert_gone(f, names[i]);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
#undef START
}

/* What is told before the end does not count if the end is a bad one. */
static void test_dying_after_result(Fixture *f, gconstpointer data)
{
    add_test(f, "a",
        "import os\nprint('last words')\n"
        "os.write(3, b'{\"event\":\"result\",\"word\":\"passed\",\"text\":\"\",\"number\":1}\\n')\n"
        "os._exit(7)\n");
    g_assert_cmpint(run(f), ==, 1);
    expect(f, "a  failed  (");
    expect(f, "ended with status 7 after it had passed");
    expect(f, "last words");
}

static void test_time_out(Fixture *f, gconstpointer data)
{
    add_test(f, "a", "machine.succeed('hang')\n");
    g_assert_cmpint(run(f), ==, 1);
    expect(f, "a  failed  (");
    expect(f, "timed out after 2 s (Timeout=2)");
    expect(f, "interrupted: machine.succeed('hang')");
}

/* One that does not let itself be interrupted is killed. */
static void test_stubborn(Fixture *f, gconstpointer data)
{
    f->stop_ms = 200;
    add_test(f, "a",
        "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "machine.succeed('hang')\n");
    g_assert_cmpint(run(f), ==, 1);
    expect(f, "timed out after 2 s");
    expect(f, "was killed by signal 9");
}

static void test_signals(Fixture *f, gconstpointer data)
{
    add_test(f, "a", "import os\nos.kill(os.getppid(), 2)\nretry(lambda last: False)\n");
    add_test(f, "b", "pass\n");
    g_assert_cmpint(run(f), ==, 130);
    expect(f, "a  stopped  (");
    expect(f, "KeyboardInterrupt");
    g_assert_null(strstr(f->output, "b  "));
    g_assert_true(g_str_has_suffix(f->output, "\n0 passed, 0 failed, 2 skipped\n"));
    add_test(f, "a", "import os\nos.kill(os.getppid(), 15)\nretry(lambda last: False)\n");
    g_assert_cmpint(run(f), ==, 143);
}

static void test_out_dir(Fixture *f, gconstpointer data)
{
    g_autofree char *outside = g_build_filename(f->dir, "outside", "file", NULL);
    g_autofree char *link = g_build_filename(f->out, "a", "link", NULL);
    g_autofree char *old = g_build_filename(f->out, "a", "old", "deep", NULL);
    g_autofree char *target = g_path_get_dirname(outside);

    write_file(f->out, "a/mine", "x", -1);
    add_test(f, "a", "pass\n");
    g_assert_cmpint(run(f), ==, 2);
    expect(f, "holds files that are not slotproof's");
    g_assert_true(g_file_test(f->out, G_FILE_TEST_IS_DIR));

    g_autofree char *mine = g_build_filename(f->out, "a", "mine", NULL);
    g_assert_cmpint(g_unlink(mine), ==, 0);
    g_assert_cmpint(run(f), ==, 0);
    write_file(f->out, "a/old/deep", "x", -1);
    write_file(f->dir, "outside/file", "x", -1);
    g_assert_cmpint(symlink(target, link), ==, 0);
    g_assert_cmpint(run(f), ==, 0);
    g_assert_false(g_file_test(old, G_FILE_TEST_EXISTS));
    g_assert_true(g_file_test(outside, G_FILE_TEST_EXISTS));
}

/* Waits until the other two run as well. */
#define MEET(name)                                                                                 \
    "import os, time\nopen(machine.out_dir + '/../" name "', 'w')\n"                               \
    "while not all(os.path.exists(f'{machine.out_dir}/../{n}') for n in 'xyz'):\n"                 \
    "    time.sleep(0.01)\n"

static void test_jobs(Fixture *f, gconstpointer data)
{
    add_test(f, "a", MEET("x"));
    add_test(f, "b", MEET("y") "assert False, 'this one'\n");
    add_test(f, "c", MEET("z"));
    add_test(f, "d", "");
    f->jobs = 3;
    g_assert_cmpint(run(f), ==, 1);
    expect(f, "a  passed");
    expect(f, "b  failed");
    expect(f, "this one");
    expect(f, "c  passed");
    expect(f, "d  passed");
    expect(f, "3 passed, 1 failed, 0 skipped");
    /* and no more of them than that */
    for (const char *name = "xyz"; *name; name++) {
        g_autofree char *path = g_strdup_printf("%s/%c", f->out, *name);
        g_assert_cmpint(g_unlink(path), ==, 0);
    }
    f->jobs = 2;
    g_assert_cmpint(run(f), ==, 1);
    expect(f, "timed out");
}

/* Those that run are stopped, those that wait are not begun. */
static void test_jobs_stopped(Fixture *f, gconstpointer data)
{
    add_test(f, "a", "import time\ntime.sleep(60)\n");
    add_test(f, "b",
        "import os, signal, time\ntime.sleep(0.3)\n"
        "os.kill(os.getppid(), signal.SIGINT)\ntime.sleep(60)\n");
    add_test(f, "c", "");
    f->jobs = 2;
    g_assert_cmpint(run(f), ==, 130);
    expect(f, "a  stopped");
    expect(f, "b  stopped");
    expect(f, "0 passed, 0 failed, 3 skipped");
}

/* Where the test or the user asks for it, and for the networks that there are. */
static void test_capture(Fixture *f, gconstpointer data)
{
    static const char *const conf = "[Test]\nCapture=%s\n[Machine gateway]\nNetworks=1 7\n";
    static const struct {
        const char *word;
        bool is_captured, is_there;
    } cases[] = {{"no", false, false}, {"no", true, true}, {"yes", false, true}};
    g_autofree char *dir = g_build_filename(f->tests, "a", NULL);

    add_test(f, "a", "pass\n");
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = g_strdup_printf(conf, cases[i].word);

        write_file(dir, "test.conf", text, -1);
        f->is_captured = cases[i].is_captured;
        g_assert_cmpint(run(f), ==, 0);
        for (guint number = 1; number <= 8; number++) {
            g_autofree char *name = g_strdup_printf("network-%u.pcapng", number);
            g_autofree char *path = g_build_filename(f->out, "a", name, NULL);
            bool is_used = number == 1 || number == 7;

            g_assert_cmpint(
                g_file_test(path, G_FILE_TEST_EXISTS), ==, cases[i].is_there && is_used);
        }
    }
}

static void test_report(void)
{
    g_autofree char *line = sp_report_format(SP_REPORT_SUBTEST, "failed", "a \"b\"\n\xff", 1.5);
    gsize length = strlen(line);
    SpReport report = {0};

    g_assert_cmpint(line[length - 1], ==, '\n');
    g_assert_null(memchr(line, '\n', length - 1));
    g_assert_true(sp_report_parse(line, length - 1, &report, NULL));
    g_assert_cmpint(report.kind, ==, SP_REPORT_SUBTEST);
    g_assert_cmpstr(report.word, ==, "failed");
    g_assert_cmpstr(report.text, ==, "a \"b\"\n\xef\xbf\xbd");
    g_assert_cmpfloat(report.number, ==, 1.5);
    sp_report_clear(&report);
    for (gsize cut = 0; cut < length - 1; cut++) {
        g_autoptr(GError) error = NULL;
        g_assert_false(sp_report_parse(line, cut, &report, &error));
        g_assert_error(error, SP_ERROR, SP_ERROR_PROTOCOL);
    }
}

static void test_report_garbage(void)
{
    static const char *const lines[] = {
        "[]",
        "3",
        "null",
        "{}",
        "{\"event\":\"begin\"}",
        "{\"event\":3,\"word\":\"\",\"text\":\"\",\"number\":1}",
        "{\"event\":\"other\",\"word\":\"\",\"text\":\"\",\"number\":1}",
        "{\"event\":\"begin\",\"word\":[],\"text\":\"\",\"number\":1}",
        "{\"event\":\"begin\",\"word\":\"\",\"text\":null,\"number\":1}",
        "{\"event\":\"begin\",\"word\":\"\",\"text\":\"\",\"number\":-1}",
        "{\"event\":\"begin\",\"word\":\"\",\"text\":\"\",\"number\":[]}",
        "\xff",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_autoptr(GError) error = NULL;
        SpReport report = {0};
        g_assert_false(sp_report_parse(lines[i], strlen(lines[i]), &report, &error));
        g_assert_error(error, SP_ERROR, SP_ERROR_PROTOCOL);
    }
}

/* However deep a script that writes to the report nests, nobody descends so far. */
static void test_report_depth(void)
{
    static const char *const begins[] = {"", "{\"event\":", "/*\"*/", "{'\"':"};
    g_autofree char *deep = g_strnfill(1000000, '[');

    for (gsize i = 0; i < G_N_ELEMENTS(begins); i++) {
        g_autofree char *line = g_strconcat(begins[i], deep, NULL);
        g_autoptr(GError) error = NULL;
        SpReport report = {0};
        g_assert_false(sp_report_parse(line, strlen(line), &report, &error));
        g_assert_error(error, SP_ERROR, SP_ERROR_PROTOCOL);
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*test)(Fixture *f, gconstpointer data);
    } tests[] = {
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

    if (argc >= 5 && g_str_equal(argv[1], "_worker"))
        return sp_worker_main(argv[2], argv[3], argv[4], (const char *const *)argv + 5);
    g_test_init(&argc, &argv, NULL);
    /* no QEMU is started, and this one's time factor is 1 */
    g_setenv("SLOTPROOF_QEMU", "/bin/true", TRUE);
    g_setenv("SLOTPROOF_ACCEL", "kvm", TRUE);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, Fixture, NULL, set_up, tests[i].test, tear_down);
    g_test_add_func("/runner/report", test_report);
    g_test_add_func("/runner/report-garbage", test_report_garbage);
    g_test_add_func("/runner/report-depth", test_report_depth);
    return g_test_run();
}
