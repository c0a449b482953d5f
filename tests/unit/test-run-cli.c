/* SPDX-License-Identifier: MIT */

/* `slotproof run` as called: where it writes, how tests are named, what it refuses. No machine is
 * started. */

#include "runner-fixture.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void set_up(RunnerFixture *f, gconstpointer data)
{
    g_autofree char *cache = NULL;

    runner_set_up(f, data);
    cache = g_build_filename(f->dir, "cache", NULL);
    g_setenv("XDG_CACHE_HOME", cache, TRUE);
    f->timeout_s = 60;
    runner_add_test(f, "ok", "print('ran')\n");
}

static void limit_files(void *data)
{
    const struct rlimit limit = {GPOINTER_TO_UINT(data), GPOINTER_TO_UINT(data)};

    setrlimit(RLIMIT_NOFILE, &limit);
}

/* Run it in @cwd (NULL: f->dir); expect @status, and each of @words in its output. */
static void run(RunnerFixture *f, const char *cwd, guint files, const char *out, const char *test,
    int status, const char *const *words)
{
    const char *const argv[] = {SLOTPROOF, "run", "--rerun", "--tests", f->tests, "--images",
        f->images, "--out", out, test, NULL};
    g_autofree char *output = NULL, *errors = NULL, *all = NULL;
    g_autoptr(GError) error = NULL;
    int ended;

    g_spawn_sync(cwd ? cwd : f->dir, (char **)argv, NULL, G_SPAWN_DEFAULT,
        files ? limit_files : NULL, GUINT_TO_POINTER(files), &output, &errors, &ended, &error);
    g_assert_no_error(error);
    all = g_strconcat(output, errors, NULL);
    for (; *words; words++) {
        if (!strstr(all, *words))
            g_error("'%s' is missing in: %s", *words, all);
    }
    if (!WIFEXITED(ended) || WEXITSTATUS(ended) != status)
        g_error("expected status %d: %s", status, all);
}
#define RUN(f, cwd, files, out, test, status, ...)                                                 \
    run(f, cwd, files, out, test, status, (const char *const[]){__VA_ARGS__, NULL})

static void test_out(RunnerFixture *f, gconstpointer data)
{
    g_autofree char *file = g_build_filename(f->dir, "file", NULL);
    g_autofree char *below = g_build_filename(file, "out", NULL);

    RUN(f, NULL, 0, f->out, "ok", 0, "ran\n", "1 passed");
    runner_write_file(f->dir, "file", "", -1);
    RUN(f, NULL, 0, "", "ok", 2, "--out", "empty");
    RUN(f, NULL, 0, below, "ok", 2, below, "Not a directory");
    RUN(f, NULL, 0, file, "ok", 2, file, "Not a directory");
    RUN(f, NULL, 0, "/proc/nowhere", "ok", 2, "/proc/nowhere", "No such file");
}

/* Only one run at a time uses an output directory or a test's; the other process is named. */
static void test_lock(RunnerFixture *f, gconstpointer data)
{
    g_autofree char *dir = g_build_filename(f->out, "ok", NULL);
    g_autofree char *kept = g_build_filename(dir, "kept", NULL);
    g_autofree char *process = g_strdup_printf("process %d", getpid());
    int fd;

    RUN(f, NULL, 0, f->out, "ok", 0, "1 passed");
    g_assert_true(g_file_set_contents(kept, "", 0, NULL));
    fd = open(f->out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    g_assert_cmpint(flock(fd, LOCK_EX | LOCK_NB), ==, 0);
    RUN(f, NULL, 0, f->out, "ok", 2, f->out, "in use", process, "--out");
    close(fd);
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    g_assert_cmpint(flock(fd, LOCK_EX | LOCK_NB), ==, 0);
    RUN(f, NULL, 0, f->out, "ok", 2, dir, "in use", process);
    g_assert_true(g_file_test(kept, G_FILE_TEST_EXISTS));
    close(fd);
    RUN(f, NULL, 0, f->out, "ok", 0, "1 passed");
}

/* Of two at once, one runs. */
static void test_two_runs(RunnerFixture *f, gconstpointer data)
{
    g_autofree char *go = g_build_filename(f->dir, "go", NULL);
    g_autofree char *there = g_build_filename(f->dir, "there", NULL);
    g_autofree char *script =
        g_strdup_printf("open('%s', 'w').close()\nopen('%s').read()\n", there, go);
    const char *const argv[] = {SLOTPROOF, "run", "--rerun", "--tests", f->tests, "--images",
        f->images, "--out", f->out, "slow", NULL};
    g_autofree char *process = NULL;
    GPid pid;
    int status, fd;

    g_assert_cmpint(mkfifo(there, 0600), ==, 0);
    g_assert_cmpint(mkfifo(go, 0600), ==, 0);
    runner_add_test(f, "slow", script);
    g_assert_true(g_spawn_async(f->dir, (char **)argv, NULL,
        G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL, &pid, NULL));
    process = g_strdup_printf("process %d", pid);
    fd = open(there, O_RDONLY | O_CLOEXEC); /* until the script opens it too */
    g_assert_cmpint(fd, >=, 0);
    close(fd);
    RUN(f, NULL, 0, f->out, "ok", 2, f->out, "in use", process);
    fd = open(go, O_WRONLY | O_CLOEXEC);
    g_assert_cmpint(fd, >=, 0);
    close(fd);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_cmpint(status, ==, 0);
    RUN(f, NULL, 0, f->out, "ok", 0, "1 passed");
}

static void test_paths(RunnerFixture *f, gconstpointer data)
{
    g_autofree char *absolute = g_build_filename(f->tests, "ok", NULL);
    g_autofree char *other = g_build_filename(f->dir, "other", "ok2", NULL);
    g_autofree char *link = g_build_filename(f->dir, "link", NULL);

    RUN(f, NULL, 0, f->out, "ok/", 0, "1 passed");
    RUN(f, NULL, 0, f->out, "tests/ok", 0, "1 passed");
    RUN(f, NULL, 0, f->out, "tests/ok//", 0, "1 passed");
    RUN(f, NULL, 0, f->out, "./tests/../tests/ok/", 0, "1 passed");
    RUN(f, f->tests, 0, f->out, "./ok", 0, "1 passed");
    RUN(f, absolute, 0, f->out, ".", 0, "1 passed");
    RUN(f, NULL, 0, f->out, absolute, 0, "1 passed");
    g_assert_cmpint(symlink(f->tests, link), ==, 0);
    RUN(f, NULL, 0, f->out, "link/ok", 0, "1 passed");
    runner_write_file(other, "test.conf", "[Machine gateway]\n", -1);
    runner_write_file(other, "script.py", "", -1);
    RUN(f, NULL, 0, f->out, "other/ok2", 2, "no test 'other/ok2'", "--tests");
    RUN(f, NULL, 0, f->out, "tests", 2, "no test 'tests'");
    RUN(f, NULL, 0, f->out, "", 2, "no test ''");
    RUN(f, NULL, 0, f->out, "/", 2, "no test '/'");
}

static void test_few_files(RunnerFixture *f, gconstpointer data)
{
    RUN(f, NULL, 64, f->out, "ok", 2, "64", "ulimit -n", "256");
    RUN(f, NULL, 20, f->out, "ok", 2, "20", "ulimit -n", "256");
    RUN(f, NULL, 256, f->out, "ok", 0, "1 passed");
}

static void test_simulate(RunnerFixture *f, gconstpointer data)
{
    RUN(f, NULL, 0, f->out, "--simulate=2", 2, "not known", "run them first");
    RUN(f, NULL, 0, f->out, "ok", 0, "1 passed");
    RUN(f, NULL, 0, f->out, "--simulate=2,32", 0, "1 tests", "2 processors", "32 processors",
        "GiB");
    RUN(f, NULL, 0, f->out, "--simulate=", 2, "--simulate=:", "from 1 to");
    RUN(f, NULL, 0, f->out, "--simulate=0", 2, "from 1 to");
    RUN(f, NULL, 0, f->out, "--simulate=2,,3", 2, "from 1 to");
    RUN(f, NULL, 0, f->out, "--simulate=4000000000", 2, "from 1 to");
    RUN(f, NULL, 0, f->out, "--simulate=-1", 2, "from 1 to");
    RUN(f, NULL, 0, f->out, "--tag=none", 2, "no test", "'none'");
    RUN(f, NULL, 0, f->out, "o?", 0, "1 passed");
    RUN(f, NULL, 0, f->out, "p?", 2, "matches 'p?'", "expected one of ok");
}

/* What is printed can't be written: to a full disk, or to a reader that is gone. */
static void test_lost_output(RunnerFixture *f, gconstpointer data)
{
    static const struct {
        const char *to;
        int status;
        const char *errors;
    } cases[] = {
        {">/dev/full", 2, "stdout can't be written: No space left on device"},
        /* closed long before the test has ended */
        {"| :; exit ${PIPESTATUS[0]}", 0, ""},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *line =
            g_strdup_printf("'%s' run --rerun --tests '%s' --images '%s' --out '%s' ok %s",
                SLOTPROOF, f->tests, f->images, f->out, cases[i].to);
        const char *const argv[] = {"bash", "-c", line, NULL};
        g_autofree char *errors = NULL;
        g_autoptr(GError) error = NULL;
        int ended;

        g_spawn_sync(f->dir, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, &errors,
            &ended, &error);
        g_assert_no_error(error);
        g_assert_true(WIFEXITED(ended));
        g_assert_cmpint(WEXITSTATUS(ended), ==, cases[i].status);
        g_assert_nonnull(strstr(errors, cases[i].errors));
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*test)(RunnerFixture *f, gconstpointer data);
    } tests[] = {
        {"/run-cli/out", test_out},
        {"/run-cli/lock", test_lock},
        {"/run-cli/two-runs", test_two_runs},
        {"/run-cli/paths", test_paths},
        {"/run-cli/few-files", test_few_files},
        {"/run-cli/simulate", test_simulate},
        {"/run-cli/lost-output", test_lost_output},
    };

    g_test_init(&argc, &argv, NULL);
    g_setenv("SLOTPROOF_QEMU", "/bin/true", TRUE);
    g_setenv("SLOTPROOF_ACCEL", "kvm", TRUE);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, RunnerFixture, NULL, set_up, tests[i].test, runner_tear_down);
    return g_test_run();
}
