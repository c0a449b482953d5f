/* SPDX-License-Identifier: MIT */

/* `slotproof run` of tests that have passed before: which run again, and what is printed. No
 * machine is started. */

#include "runner-fixture.h"
#include "store/result-store.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Each test appends a letter to a file when it runs. */
#define SCRIPT "open('%s', 'a').write('%s')\n"

typedef struct {
    RunnerFixture runner;
    char *ran;
    char *results;
} Fixture;

static void add_test(Fixture *f, const char *name, const char *more)
{
    g_autofree char *begin = g_strdup_printf(SCRIPT, f->ran, name);
    g_autofree char *script = g_strconcat(begin, more, NULL);

    runner_add_test(&f->runner, name, script);
}

static void set_up(Fixture *f, gconstpointer data)
{
    g_autofree char *cache = NULL;

    runner_set_up(&f->runner, data);
    cache = g_build_filename(f->runner.dir, "cache", NULL);
    f->ran = g_build_filename(f->runner.dir, "ran", NULL);
    f->results = g_build_filename(cache, "slotproof", "results", NULL);
    g_setenv("XDG_CACHE_HOME", cache, TRUE);
    add_test(f, "a", "with subtest('part'):\n    pass\n");
    add_test(f, "b", "");
}

static void tear_down(Fixture *f, gconstpointer data)
{
    runner_tear_down(&f->runner, data);
    g_free(f->ran);
    g_free(f->results);
}

/* Run @program with @options; the sorted letters of the tests that ran are @ran, and each of @words
 * is in the output. */
static char *run_program(
    Fixture *f, const char *program, const char *options, const char *ran, const char *const *words)
{
    g_autofree char *line =
        g_strdup_printf("'%s' run -j 1 --tests '%s' --images '%s' --out '%s' %s", program,
            f->runner.tests, f->runner.images, f->runner.out, options);
    g_autofree char *output = NULL, *errors = NULL, *letters = NULL;
    g_autoptr(GError) error = NULL;
    char *all;
    int status;

    g_unlink(f->ran);
    g_assert_true(g_spawn_command_line_sync(line, &output, &errors, &status, &error));
    g_assert_no_error(error);
    all = g_strconcat(output, errors, NULL);
    if (!g_file_get_contents(f->ran, &letters, NULL, NULL))
        letters = g_strdup("");
    if (strlen(letters) == 2 && letters[0] > letters[1])
        g_strreverse(letters);
    if (!g_str_equal(letters, ran))
        g_error("'%s' was run, not '%s': %s", letters, ran, all);
    for (; *words; words++) {
        if (!strstr(all, *words))
            g_error("'%s' is missing in: %s", *words, all);
    }
    return all;
}
#define RUN(f, options, ran, ...)                                                                  \
    g_free(run_program(f, SLOTPROOF, options, ran, (const char *const[]){__VA_ARGS__, NULL}))

static char *read_file(Fixture *f, const char *name)
{
    g_autofree char *path = g_build_filename(f->runner.out, name, NULL);
    char *text = NULL;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return text;
}

static void test_unchanged(Fixture *f, gconstpointer data)
{
    g_autofree char *junit = NULL, *page = NULL;

    RUN(f, "", "ab", "2 passed");
    RUN(f, "", "", "a  passed  (kept, run on 2", "2 of 2 were kept", "--rerun",
        "2 passed, 0 failed, 0 skipped");
    junit = read_file(f, "junit.xml");
    g_assert_nonnull(strstr(junit, "<property name=\"kept\" value=\"run on 2"));
    g_assert_nonnull(strstr(junit, "<testcase classname=\"a\" name=\"part\""));
    page = read_file(f, "report.html");
    g_assert_nonnull(strstr(page, "kept, run on 2"));
    RUN(f, "a", "", "1 of 1 were kept");
    RUN(f, "--rerun", "ab", "2 passed");
    RUN(f, "--keep-disks -v", "", "2 of 2 were kept");
    /* a user who asks for a recording wants one, and a script may notice it */
    RUN(f, "--capture", "ab", "2 passed");
    RUN(f, "--cold", "ab", "2 passed");
    RUN(f, "--cold", "", "2 of 2 were kept");
    add_test(f, "b", "# another byte\n");
    RUN(f, "", "b", "1 of 2 were kept");
}

static void test_capture(Fixture *f, gconstpointer data)
{
    RUN(f, "--capture", "ab", "2 passed");
    RUN(f, "", "ab", "2 passed");
}

static void test_failed(Fixture *f, gconstpointer data)
{
    add_test(f, "b", "t.fail('no')\n");
    RUN(f, "", "ab", "1 passed, 1 failed");
    RUN(f, "", "b", "a  passed  (kept", "1 passed, 1 failed");
    add_test(f, "b", "import os\nos.kill(os.getppid(), 15)\nimport time\ntime.sleep(60)\n");
    RUN(f, "", "b", "b  stopped", "1 passed, 0 failed, 1 skipped");
    RUN(f, "", "b", "b  stopped", "1 passed, 0 failed, 1 skipped");
}

/* A pass that a later run of the very same test has contradicted is forgotten. */
static void test_failed_later(Fixture *f, gconstpointer data)
{
    static const char *const options[] = {"--rerun a", "--capture a"};
    g_autofree char *flag = g_build_filename(f->runner.dir, "flag", NULL);
    g_autofree char *more = g_strdup_printf("import os\nassert not os.path.exists('%s')\n", flag);

    add_test(f, "a", more);
    for (gsize i = 0; i < G_N_ELEMENTS(options); i++) {
        g_unlink(flag);
        RUN(f, "a", "a", "1 passed");
        RUN(f, "a", "", "1 of 1 were kept");
        g_assert_true(g_file_set_contents(flag, "", 0, NULL));
        RUN(f, options[i], "a", "1 failed");
        RUN(f, "a", "a", "1 failed");
    }
}

/* The same in another environment. */
static void test_failed_powercut(Fixture *f, gconstpointer data)
{
    g_autofree char *line = g_strdup_printf("'%s' powercut --tests '%s' --images '%s' --out '%s'",
        SLOTPROOF, f->runner.tests, f->runner.images, f->runner.out);
    g_autofree char *dir = g_build_filename(f->runner.tests, "power-cut-states", NULL);
    g_autofree char *output = NULL;
    int status;

    add_test(f, "power-cut-states", "import os\nassert not 'SLOTPROOF_POWERCUT' in os.environ\n");
    runner_write_file(
        dir, "test.conf", "[Test]\nTimeout=60\nTags=powercut\n[Machine gateway]\n", -1);
    RUN(f, "power-cut-states", "power-cut-states", "1 passed");
    RUN(f, "power-cut-states", "", "1 of 1 were kept");
    g_assert_true(g_spawn_command_line_sync(line, &output, NULL, &status, NULL));
    g_assert_cmpint(WEXITSTATUS(status), ==, 1);
    RUN(f, "power-cut-states", "power-cut-states", "1 passed");
}

/* No key covers the contents of such a machine. */
static void test_foreign_machines(Fixture *f, gconstpointer data)
{
    static const struct {
        const char *name, *file;
    } cases[] = {{"image", ""}, {"disk", "/disk.img"}};
    g_autofree char *dir = g_build_filename(f->runner.images, "gateway", NULL);

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *more =
            g_strdup_printf("create_machine('m', %s='%s%s')\n", cases[i].name, dir, cases[i].file);
        add_test(f, "a", more);
        RUN(f, "a", "a", "1 passed");
        RUN(f, "a", "a", "1 passed");
    }
    add_test(f, "a", "create_machine('m', image='gateway')\n");
    RUN(f, "a", "a", "1 passed");
    RUN(f, "a", "", "1 of 1 were kept");
}

/* A test that changed while it ran proves nothing about either version. */
static void test_changed_meanwhile(Fixture *f, gconstpointer data)
{
    for (guint i = 0; i < 2; i++) {
        add_test(f, "b", "open(__file__, 'a').write('# more\\n')\n");
        RUN(f, "b", "b", "1 passed");
    }
}

/* The program's own bytes count too; bytes appended to it change nothing else. */
static void test_driver(Fixture *f, gconstpointer data)
{
    g_autofree char *other = g_build_filename(f->runner.dir, "slotproof", NULL);
    g_autofree char *program = NULL;
    const char *const words[] = {"2 passed", NULL};
    gsize length;

    RUN(f, "", "ab", "2 passed");
    g_assert_true(g_file_get_contents(SLOTPROOF, &program, &length, NULL));
    g_assert_true(g_file_set_contents(other, program, (gssize)length, NULL));
    g_assert_cmpint(g_chmod(other, 0755), ==, 0);
    g_free(run_program(f, other, "", "", words));
    g_assert_true(g_file_set_contents(other, program, (gssize)length + 1, NULL));
    g_assert_cmpint(g_chmod(other, 0755), ==, 0);
    g_free(run_program(f, other, "", "ab", words));
    RUN(f, "", "", "2 of 2 were kept");
}

static char *find_result(Fixture *f)
{
    g_autoptr(GDir) dir = g_dir_open(f->results, 0, NULL);
    char *path = g_build_filename(f->results, g_dir_read_name(dir), NULL);

    g_assert_null(g_dir_read_name(dir));
    return path;
}

/* Make the only result @days old. */
static void make_older(Fixture *f, gint64 days)
{
    g_autofree char *path = find_result(f);
    g_autofree char *text = NULL, *began = NULL, *digest = NULL, *whole = NULL;
    g_autoptr(GString) body = NULL;
    const char *at;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    body = g_string_new(strchr(text, '\n') + 1);
    at = strstr(body->str, "\"began\":");
    g_assert_nonnull(at);
    at += strlen("\"began\":");
    began =
        g_strdup_printf("%" G_GINT64_FORMAT, g_get_real_time() / G_USEC_PER_SEC - days * 24 * 3600);
    memcpy(body->str + (at - body->str), began, strlen(began));
    digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, body->str, (gssize)body->len);
    whole = g_strdup_printf("slotproof result 1 %s\n%s", digest, body->str);
    g_assert_true(g_file_set_contents(path, whole, -1, NULL));
}

static void test_age(Fixture *f, gconstpointer data)
{
    RUN(f, "a", "a", "1 passed");
    make_older(f, 29);
    RUN(f, "a", "", "1 of 1 were kept");
    make_older(f, 31);
    RUN(f, "a", "a", "1 passed");
    RUN(f, "a", "", "1 of 1 were kept");
    make_older(f, -2);
    RUN(f, "a", "a", "1 passed");
}

/* Reported once; the test runs again, and then there is a good result. */
static void test_bad_files(Fixture *f, gconstpointer data)
{
    static const struct {
        gssize length; /* negative: as much is cut off */
        const char *text, *said;
    } cases[] = {
        {-1, "", "is cut off or was changed"},
        {85, "", "is cut off or was changed"},
        {0, "", "is not a result that slotproof has kept"},
        {16, "mine", "is not a result that slotproof has kept"},
        {1000, "slotproof result 2", "is a result of another version"},
        {1000, "slotproof result 11", "is a result of another version"},
    };

    RUN(f, "a", "a", "1 passed");
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = find_result(f);
        g_autofree char *text = NULL, *all = NULL;
        const char *const words[] = {path, cases[i].said, "run again", NULL};
        gsize length;

        g_assert_true(g_file_get_contents(path, &text, &length, NULL));
        memcpy(text, cases[i].text, MIN(strlen(cases[i].text), length));
        if (cases[i].length < (gssize)length)
            length =
                (gsize)(cases[i].length < 0 ? (gssize)length + cases[i].length : cases[i].length);
        g_assert_true(g_file_set_contents(path, text, (gssize)length, NULL));
        all = run_program(f, SLOTPROOF, "a", "a", words);
        g_assert_null(strstr(strstr(all, cases[i].said) + 1, cases[i].said));
        RUN(f, "a", "", "1 of 1 were kept");
    }
}

/* A result that can't be kept is not a failure. */
static void test_in_the_way(Fixture *f, gconstpointer data)
{
    g_autofree char *path = NULL;

    RUN(f, "a", "a", "1 passed");
    path = find_result(f);
    g_assert_cmpint(g_unlink(path), ==, 0);
    g_assert_cmpint(g_mkdir(path, 0700), ==, 0);
    RUN(f, "a", "a", "can't be read: the test is run again", "can't be written",
        "1 passed, 0 failed");
    g_assert_cmpint(g_rmdir(path), ==, 0);
    g_assert_cmpint(g_rmdir(f->results), ==, 0);
    g_assert_true(g_file_set_contents(f->results, "", 0, NULL));
    RUN(f, "a", "a", "can't be written", "1 passed, 0 failed");
}

static void test_evicted(Fixture *f, gconstpointer data)
{
    g_setenv("SLOTPROOF_CACHE_MIB", "0", TRUE);
    RUN(f, "", "ab", "2 passed");
    g_unsetenv("SLOTPROOF_CACHE_MIB");
    RUN(f, "", "ab", "2 passed");
    RUN(f, "", "", "2 of 2 were kept");
}

/* What a test has written stays, whether or not the kept result is of that run. */
static void test_output(Fixture *f, gconstpointer data)
{
    g_autofree char *former = NULL, *now = NULL, *page = NULL;

    RUN(f, "a", "a", "1 passed");
    add_test(f, "a", "t.fail('with another script')\n");
    RUN(f, "a", "a", "1 failed");
    former = read_file(f, "a/log.txt");
    g_assert_nonnull(strstr(former, "with another script"));
    add_test(f, "a", "with subtest('part'):\n    pass\n");
    RUN(f, "a", "", "1 of 1 were kept");
    now = read_file(f, "a/log.txt");
    g_assert_cmpstr(now, ==, former);
    page = read_file(f, "report.html");
    g_assert_nonnull(strstr(page, "are not in this directory"));
    g_assert_null(strstr(page, "./a/log.txt"));
    g_assert_null(strstr(page, "with another script"));
}

/* A report written later says what the run said. */
static void expect_report(Fixture *f, const char *word, bool is_there)
{
    g_autofree char *line = g_strdup_printf("'%s' report --out '%s'", SLOTPROOF, f->runner.out);
    g_autofree char *output = NULL, *junit = NULL;
    int ended;

    g_assert_true(g_spawn_command_line_sync(line, &output, NULL, &ended, NULL));
    g_assert_cmpint(ended, ==, 0);
    junit = read_file(f, "junit.xml");
    if (!strstr(junit, word) == is_there)
        g_error("'%s' is %s in: %s", word, is_there ? "missing" : "still", junit);
}

static void test_report(Fixture *f, gconstpointer data)
{
    const char *const argv[] = {"rm", "-r", f->runner.out, NULL};

    RUN(f, "a", "a", "1 passed");
    add_test(f, "a", "t.fail('with another script')\n");
    RUN(f, "a", "a", "1 failed");
    expect_report(f, "with another script", true);
    add_test(f, "a", "with subtest('part'):\n    pass\n");
    RUN(f, "a", "", "1 of 1 were kept");
    expect_report(f, "name=\"kept\"", true);
    expect_report(f, "with another script", false);
    RUN(f, "--rerun a", "a", "1 passed");
    expect_report(f, "name=\"kept\"", false);
    g_assert_true(g_spawn_sync(
        NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL));
    RUN(f, "a", "", "1 of 1 were kept");
    expect_report(f, "name=\"kept\"", true);
    RUN(f, "--rerun a", "a", "1 passed");
}

static void expect_cache(const char *word, int status, const char *const *said)
{
    g_autofree char *line = g_strdup_printf("'%s' cache %s", SLOTPROOF, word);
    g_autofree char *output = NULL;
    int ended;

    g_assert_true(g_spawn_command_line_sync(line, &output, NULL, &ended, NULL));
    g_assert_cmpint(WEXITSTATUS(ended), ==, status);
    for (; *said; said++) {
        if (!strstr(output, *said))
            g_error("'%s' is missing in: %s", *said, output);
    }
}

static void test_cache(Fixture *f, gconstpointer data)
{
    const char *const listed[] = {"  a  ", "run 2", "1 results", f->results, NULL};
    const char *const good[] = {"  a  ", "ok", NULL};
    const char *const bad[] = {"is cut off", NULL};
    const char *const none[] = {"0 results", NULL};
    const char *const nothing[] = {NULL};
    const struct timespec old[] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    g_autofree char *path = NULL;
    struct stat st;

    RUN(f, "a", "a", "1 passed");
    expect_cache("list", 0, listed);
    path = find_result(f);
    /* looking does not count as use */
    g_assert_cmpint(utimensat(AT_FDCWD, path, old, 0), ==, 0);
    expect_cache("verify", 0, good);
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_mtim.tv_sec, ==, old[1].tv_sec);
    g_assert_cmpint(truncate(path, 300), ==, 0);
    expect_cache("verify", 1, bad);
    expect_cache("clear", 0, nothing);
    expect_cache("list", 0, none);
    RUN(f, "a", "a", "1 passed");
}

static void test_remove(Fixture *f, gconstpointer data)
{
    static const char key[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    g_autofree char *path = g_build_filename(f->results, key, NULL);

    /* another process was faster */
    g_assert_cmpint(sp_result_kind.remove(f->results, key), ==, 0);
    g_assert_cmpint(g_mkdir_with_parents(path, 0700), ==, 0);
    g_assert_cmpint(sp_result_kind.remove(f->results, key), ==, -EISDIR);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*test)(Fixture *f, gconstpointer data);
    } tests[] = {
        {"/kept-results/unchanged", test_unchanged},
        {"/kept-results/capture", test_capture},
        {"/kept-results/failed", test_failed},
        {"/kept-results/failed-later", test_failed_later},
        {"/kept-results/failed-powercut", test_failed_powercut},
        {"/kept-results/foreign-machines", test_foreign_machines},
        {"/kept-results/changed-meanwhile", test_changed_meanwhile},
        {"/kept-results/driver", test_driver},
        {"/kept-results/age", test_age},
        {"/kept-results/bad-files", test_bad_files},
        {"/kept-results/in-the-way", test_in_the_way},
        {"/kept-results/evicted", test_evicted},
        {"/kept-results/output", test_output},
        {"/kept-results/report", test_report},
        {"/kept-results/cache", test_cache},
        {"/kept-results/remove", test_remove},
    };

    g_test_init(&argc, &argv, NULL);
    g_setenv("SLOTPROOF_QEMU", "/bin/true", TRUE);
    g_setenv("SLOTPROOF_ACCEL", "kvm", TRUE);
    g_unsetenv("SLOTPROOF_CACHE_MIB");
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, Fixture, NULL, set_up, tests[i].test, tear_down);
    return g_test_run();
}
