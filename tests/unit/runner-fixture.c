/* SPDX-License-Identifier: MIT */
#include "runner-fixture.h"

#include "runner/runner.h"
#include "suite/discover.h"
#include "worker/worker.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void runner_write_file(const char *dir, const char *name, const char *text, gssize length)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);
    g_autofree char *folder = g_path_get_dirname(path);

    g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
    g_assert_true(g_file_set_contents(path, text, length, NULL));
}

void runner_set_up(RunnerFixture *f, gconstpointer data)
{
    char sectors[1024] = {[0] = 0x01, [510] = 0x55, [511] = (char)0xaa};

    f->dir = g_dir_make_tmp("slotproof-test-XXXXXX", NULL);
    g_assert_nonnull(f->dir);
    f->tests = g_build_filename(f->dir, "tests", NULL);
    f->images = g_build_filename(f->dir, "images", NULL);
    f->out = g_build_filename(f->dir, "out", NULL);
    runner_write_file(
        f->images, "gateway/image.conf", "[Image]\nArchitecture=x86_64\nDisk=disk.img\n", -1);
    runner_write_file(f->images, "gateway/disk.img", sectors, sizeof sectors);
    f->stop_ms = 20000;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    return remove(path);
}

void runner_tear_down(RunnerFixture *f, gconstpointer data)
{
    nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    g_free(f->dir);
    g_free(f->tests);
    g_free(f->images);
    g_free(f->out);
    g_free(f->output);
}

void runner_add_test(RunnerFixture *f, const char *name, const char *script)
{
    g_autofree char *dir = g_build_filename(f->tests, name, NULL);
    g_autofree char *conf = g_strdup_printf(
        "[Test]\nTimeout=%u\n[Machine gateway]\n", f->timeout_s ? f->timeout_s : 60);

    runner_write_file(dir, "test.conf", conf, -1);
    runner_write_file(dir, "script.py", script, -1);
}

int runner_run(RunnerFixture *f)
{
    const SpRunOptions options = {
        .worker =
            {
                .images = f->images,
                .is_captured = f->is_captured,
                .keeps_disks = f->keeps_disks,
                .shows_consoles = f->is_verbose,
            },
        .out = f->out,
        .stop_ms = f->stop_ms,
        .jobs = f->jobs,
    };
    SpRunContext context = {
        .engine = f->engine ? f->engine : &sp_local_engine,
        .durations = f->durations,
    };
    g_autofree char *path = g_build_filename(f->dir, "output", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) tests = sp_tests_load(f->tests, NULL, NULL, &error);
    int fd, status;

    g_assert_no_error(error);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    context.progress = sp_progress_new(fd, STDERR_FILENO, false);
    status = sp_run_tests(tests, &options, &context);
    sp_progress_free(context.progress);
    close(fd);
    g_clear_pointer(&f->output, g_free);
    g_assert_true(g_file_get_contents(path, &f->output, NULL, NULL));
    return status;
}

void runner_expect(RunnerFixture *f, const char *words)
{
    if (!strstr(f->output, words))
        g_error("'%s' is missing in: %s", words, f->output);
}

char *runner_contents(RunnerFixture *f, const char *name)
{
    g_autofree char *path = g_build_filename(f->out, name, NULL);
    char *text = NULL;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return text;
}

bool runner_has_file(RunnerFixture *f, const char *name)
{
    g_autofree char *path = g_build_filename(f->out, name, NULL);

    return g_file_test(path, G_FILE_TEST_EXISTS);
}

SpRecord *runner_load_record(RunnerFixture *f, const char *name)
{
    g_autofree char *dir = g_build_filename(f->out, name, NULL);
    g_autoptr(GError) error = NULL;
    SpRecord *record = sp_record_load(dir, &error);

    g_assert_no_error(error);
    return record;
}

/* The worker's exit status; negative if this process is not one. */
static int run_worker(int argc, char **argv)
{
    SpWorkerOptions options;
    g_autoptr(GError) error = NULL;

    if (argc < 2 || !g_str_equal(argv[1], "_worker"))
        return -1;
    if (!sp_worker_options_parse((const char *const *)argv + 2, &options, &error))
        g_error("%s", error->message);
    return sp_worker_main(&options);
}

int runner_main(int argc, char **argv, const RunnerTest *tests, gsize n_tests)
{
    int status = run_worker(argc, argv);

    if (status >= 0)
        return status;
    g_test_init(&argc, &argv, NULL);
    /* an accelerator whose time factor is 1 */
    g_setenv("SLOTPROOF_QEMU", "/bin/true", TRUE);
    g_setenv("SLOTPROOF_ACCEL", "kvm", TRUE);
    for (gsize i = 0; i < n_tests; i++)
        g_test_add(
            tests[i].path, RunnerFixture, NULL, runner_set_up, tests[i].test, runner_tear_down);
    return g_test_run();
}
