/* SPDX-License-Identifier: MIT */

/* Where the output of scripts and of programs on the host goes, and what becomes of too much. */

#include "runner-fixture.h"

#include <glib/gstdio.h>
#include <string.h>

/* Expect each of @parts in @text, in this order. */
static void expect_in(const char *text, const char *const *parts)
{
    const char *at = text;

    for (; *parts; parts++) {
        const char *found = strstr(at, *parts);
        if (!found)
            g_error("'%s' is missing in: %.4000s", *parts, text);
        at = found + strlen(*parts);
    }
}
#define EXPECT_IN(text, ...) expect_in(text, (const char *const[]){__VA_ARGS__, NULL})

#define RUN "import os, subprocess, sys\n"

static void test_programs(RunnerFixture *f, gconstpointer data)
{
    g_autofree char *log = NULL, *events = NULL, *page = NULL;

    runner_add_test(f, "a",
        RUN "print('before')\n"
            "subprocess.run(['sh', '-c', 'echo to stdout; echo to stderr >&2; printf "
            "\"a\\\\0b\\n\"'])\n"
            "print('between')\nos.write(1, b'written\\r\\n\\xff\\x1b[2J\\n')\n"
            "with subtest('in it'):\n    subprocess.run(['echo', 'deeper'], stdout=sys.stdout)\n"
            "print('after')\nos.write(2, b'no newline')\n");
    g_assert_cmpint(runner_run(f), ==, 0);
    log = runner_contents(f, "a/log.txt");
    EXPECT_IN(log, "  before\n", "  to stdout\n", "  to stderr\n", "  a\\x00b\n", "  between\n",
        "  written\n", "  \xef\xbf\xbd\\x1b[2J\n", "  subtest: in it\n", "    deeper\n",
        "  after\n", "  no newline\n");
    events = runner_contents(f, "a/events.jsonl");
    EXPECT_IN(events, "\"text\":\"to stdout\"", "\"text\":\"no newline\"");
    page = runner_contents(f, "report.html");
    EXPECT_IN(page, "before\nto stdout\nto stderr\na\\x00b\nbetween\nwritten\n");
    /* it is not shown unless -v is given */
    g_assert_null(strstr(f->output, "to stdout"));
}

static void test_verbose(RunnerFixture *f, gconstpointer data)
{
    f->is_verbose = true;
    runner_add_test(f, "a", RUN "print('mine')\nsubprocess.run(['echo', 'from a program'])\n");
    runner_add_test(f, "b", "");
    g_assert_cmpint(runner_run(f), ==, 0);
    EXPECT_IN(f->output, "  mine\n", "  from a program\n");
    g_assert_null(strstr(f->output, "a:     "));
    g_assert_null(strstr(strstr(f->output, "mine") + 4, "mine"));
    f->jobs = 2;
    g_assert_cmpint(runner_run(f), ==, 0);
    EXPECT_IN(f->output, "\na:     ", "  from a program\n");
}

/* Programs do not wait for the script to return to us. */
static void test_much(RunnerFixture *f, gconstpointer data)
{
    g_autofree char *log = NULL;

    runner_add_test(f, "a",
        RUN
        "subprocess.run(['sh', '-c', 'head -c 10000000 /dev/zero | tr \"\\\\0\" x | fold -w 999'], "
        "check=True)\nlog('the end')\n");
    g_assert_cmpint(runner_run(f), ==, 0);
    log = runner_contents(f, "a/log.txt");
    g_assert_cmpuint(strlen(log), >, 10000000);
    EXPECT_IN(log, "xxx", "the end\n");
}

static void test_flood(RunnerFixture *f, gconstpointer data)
{
    g_autofree char *log = NULL;

    runner_add_test(f, "a",
        RUN
        "subprocess.run('yes $(printf 0123456789%.0s $(seq 50)) | head -c 25000000', "
        "shell=True)\nlog('the end')\nos.write(2, b'last words\\n')\nassert False, 'this one'\n");
    g_assert_cmpint(runner_run(f), ==, 1);
    log = runner_contents(f, "a/log.txt");
    g_assert_cmpuint(strlen(log), <, 20000000);
    EXPECT_IN(log, "0123456789", "[further printed lines are left out]\n", "the end\n",
        "AssertionError: this one");
    g_assert_cmpuint(strlen(f->output), <, 65536);
}

/* Output written just before the worker dies is not lost. */
static void test_last_words(RunnerFixture *f, gconstpointer data)
{
    static const char *const ends[] = {
        "os.kill(os.getpid(), 9)\n", "os.abort()\n", "os._exit(0)\n", "machine.succeed('die')\n"};

    for (gsize i = 0; i < G_N_ELEMENTS(ends); i++) {
        g_autofree char *script = g_strconcat(
            RUN "os.write(2, b'x' * 60000 + b'\\nfree(): invalid\\nlast')\n", ends[i], NULL);
        g_autofree char *log = NULL, *events = NULL;

        runner_add_test(f, "a", script);
        g_assert_cmpint(runner_run(f), ==, 1);
        EXPECT_IN(f->output, "without a result", "Its last words:", "free(): invalid\n", "last");
        log = runner_contents(f, "a/log.txt");
        EXPECT_IN(log, "free(): invalid\n", "  last\n");
        events = runner_contents(f, "a/events.jsonl");
        EXPECT_IN(
            events, "\"text\":\"free(): invalid\"", "\"text\":\"last\"", "\"event\":\"result\"");
    }
}

/* A program that stays and holds the pipe does not delay the end; nor does one that keeps writing
 * after it left our process group. */
static void test_background(RunnerFixture *f, gconstpointer data)
{
    gint64 begin = g_get_monotonic_time();

    runner_add_test(f, "a",
        RUN
        "subprocess.Popen(['sh', '-c', 'echo started; exec sleep 60'], start_new_session=True)\n"
        "p = subprocess.Popen(['timeout', '60', 'yes'], start_new_session=True)\n");
    g_assert_cmpint(runner_run(f), ==, 0);
    g_assert_cmpint(g_get_monotonic_time() - begin, <, 45 * G_TIME_SPAN_SECOND);
}

/* As with the NixOS test driver: on stdout, without -v. */
static void test_prints(RunnerFixture *f, gconstpointer data)
{
    runner_add_test(f, "a",
        "print('first'); print('two\\nlines'); print('x\\x1b[2J\\udce9\\0')\n"
        "log('not this')\nprint('no newline', end='')\n");
    g_assert_cmpint(runner_run(f), ==, 0);
    EXPECT_IN(f->output, "first\ntwo\nlines\nx\\x1b[2J\\udce9\\x00\nno newline\n", "a  passed");
    g_assert_null(strstr(f->output, "not this"));
    runner_add_test(f, "b", "print('of b')\n");
    f->jobs = 2;
    g_assert_cmpint(runner_run(f), ==, 0);
    EXPECT_IN(f->output, "b: of b\n");
    EXPECT_IN(f->output, "a: first\n", "a: two\n", "a: lines\n");
}

static void test_print_flood(RunnerFixture *f, gconstpointer data)
{
    runner_add_test(f, "a", "for i in range(300):\n    print('x' * 10000)\nprint('the end')\n");
    g_assert_cmpint(runner_run(f), ==, 0);
    g_assert_cmpuint(strlen(f->output), <, 1200000);
    EXPECT_IN(f->output, "xxx\n[what it prints", "log.txt", "a  passed");
}

/* Whatever the length, there is a result, and the terminal shows a readable part. */
static void test_huge_failure(RunnerFixture *f, gconstpointer data)
{
    g_autofree char *junit = NULL, *page = NULL;

    runner_add_test(f, "a", "t.assertIn('needle', 'x' * 17000000)\n");
    runner_add_test(f, "b",
        "with subtest('s' * 17000000):\n    pass\nfor i in range(500):\n"
        "    with subtest('many'):\n        pass\nwith subtest('t' * 17000000):\n    assert 0, "
        "'reason'\n");
    runner_add_test(f, "c", "raise Exception('\\x01' * 20000000)\n");
    g_assert_cmpint(runner_run(f), ==, 1);
    EXPECT_IN(f->output, "a  failed", "'needle' not found in 'xxx", "bytes left out", "b  failed",
        "AssertionError: reason", "c  failed", "0 passed, 3 failed, 0 skipped");
    g_assert_cmpuint(strlen(f->output), <, 200000);
    junit = runner_contents(f, "junit.xml");
    EXPECT_IN(junit, "'needle' not found", "many (500)", "AssertionError: reason");
    page = runner_contents(f, "report.html");
    EXPECT_IN(page, "'needle' not found");
    g_assert_cmpuint(strlen(page), <, 4000000);
}

/* The first failure is shown everywhere, even if cleaning up fails as well. */
static void test_cleanup_fails(RunnerFixture *f, gconstpointer data)
{
    static const char *const names[] = {"a/log.txt", "a/events.jsonl", "junit.xml", "report.html"};

    runner_add_test(f, "a",
        "try:\n    t.assertEqual('slot A', 'slot B')\nfinally:\n    raise ValueError('cleanup')\n");
    g_assert_cmpint(runner_run(f), ==, 1);
    EXPECT_IN(f->output, "'slot A' != 'slot B'", "ValueError: cleanup");
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *text = runner_contents(f, names[i]);

        EXPECT_IN(text, "'slot A' != 'slot B'", "ValueError: cleanup");
    }
}

int main(int argc, char **argv)
{
    static const RunnerTest tests[] = {
        {"/runner-output/programs", test_programs},
        {"/runner-output/verbose", test_verbose},
        {"/runner-output/much", test_much},
        {"/runner-output/flood", test_flood},
        {"/runner-output/last-words", test_last_words},
        {"/runner-output/background", test_background},
        {"/runner-output/prints", test_prints},
        {"/runner-output/print-flood", test_print_flood},
        {"/runner-output/huge-failure", test_huge_failure},
        {"/runner-output/cleanup-fails", test_cleanup_fails},
    };

    return runner_main(argc, argv, tests, G_N_ELEMENTS(tests));
}
