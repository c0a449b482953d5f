/* SPDX-License-Identifier: MIT */

/* What a run leaves in its directory. */

#include "runner-fixture.h"

#include <glib/gstdio.h>
#include <string.h>

/* The steps, their output, and the result. */
static void test_record(RunnerFixture *f, gconstpointer data)
{
    g_autoptr(SpRecord) good = NULL;
    g_autoptr(SpRecord) bad = NULL;
    const SpRecordStep *step;

    runner_add_test(f, "good", "with subtest('one'):\n    machine.succeed('echo x')\n");
    runner_add_test(
        f, "bad", "machine.start()\nmachine.execute('big 70000')\nmachine.succeed('exit 3')\n");
    g_assert_cmpint(runner_run(f), ==, 1);
    good = runner_load_record(f, "good");
    g_assert_cmpint(good->kind, ==, SP_RESULT_PASSED);
    g_assert_cmpstr(good->name, ==, "good");
    g_assert_cmpint(ABS(good->began_s - g_get_real_time() / G_USEC_PER_SEC), <, 60);
    g_assert_cmpuint(good->steps->len, ==, 2);
    step = g_ptr_array_index(good->steps, 1);
    g_assert_cmpstr(step->kind, ==, "command");
    g_assert_cmpstr(step->machine, ==, "gateway");
    g_assert_cmpstr(step->output, ==, "x\n");
    g_assert_cmpint(step->status, ==, 0);
    bad = runner_load_record(f, "bad");
    g_assert_cmpint(bad->kind, ==, SP_RESULT_FAILED);
    g_assert_nonnull(strstr(bad->report, "seen:     exit status 3"));
    g_assert_true(g_str_has_suffix(bad->failure.file, "bad/script.py"));
    g_assert_cmpuint(bad->failure.line, ==, 3);
    g_assert_cmpstr(bad->failure.source, ==,
        "machine.start()\nmachine.execute('big 70000')\nmachine.succeed('exit 3')");
    step = g_ptr_array_index(bad->steps, 1);
    g_assert_nonnull(strstr(step->output, "bytes left out"));
    step = g_ptr_array_index(bad->steps, 2);
    g_assert_cmpint(step->status, ==, 3);
    g_assert_cmpstr(step->failure, ==, "exit status 3");
}

/* Screens and journals of a failed test's machines are saved, if they are on. */
static void test_post_mortem(RunnerFixture *f, gconstpointer data)
{
    g_autofree char *journal = NULL;
    g_autofree char *disk = NULL;
    g_autoptr(SpRecord) record = NULL;
    const SpRecordMark *mark;

    runner_add_test(f, "good", "machine.start()\n");
    runner_add_test(f, "off", "assert False\n");
    runner_add_test(f, "on", "machine.start()\nassert False\n");
    g_assert_cmpint(runner_run(f), ==, 1);
    journal = runner_contents(f, "on/gateway.journal");
    g_assert_cmpstr(journal, ==, "the journal\n");
    g_assert_true(runner_has_file(f, "on/gateway.screen.png"));
    g_assert_false(runner_has_file(f, "on/gateway.qcow2"));
    g_assert_false(runner_has_file(f, "off/gateway.journal"));
    g_assert_false(runner_has_file(f, "off/gateway.screen.png"));
    g_assert_false(runner_has_file(f, "good/gateway.journal"));
    g_assert_false(runner_has_file(f, "good/gateway.screen.png"));
    record = runner_load_record(f, "on");
    g_assert_cmpuint(record->marks->len, ==, 1);
    mark = g_ptr_array_index(record->marks, 0);
    g_assert_cmpstr(mark->kind, ==, "screenshot");
    g_assert_cmpstr(mark->text, ==, "gateway.screen.png");
    f->keeps_disks = true;
    g_assert_cmpint(runner_run(f), ==, 1);
    disk = runner_contents(f, "on/gateway.qcow2");
    g_assert_cmpstr(disk, ==, "disk");
    g_assert_false(runner_has_file(f, "good/gateway.qcow2"));
}

/* The same if the test timed out, but not if the user stopped it. */
static void test_interrupted(RunnerFixture *f, gconstpointer data)
{
    f->timeout_s = 5;
    runner_add_test(f, "late", "machine.start()\nmachine.succeed('hang')\n");
    g_assert_cmpint(runner_run(f), ==, 1);
    runner_expect(f, "timed out after 5 s");
    f->timeout_s = 0;
    g_assert_true(runner_has_file(f, "late/gateway.journal"));
    runner_add_test(f, "late",
        "import os\nmachine.start()\nos.kill(os.getppid(), 2)\nretry(lambda last: False)\n");
    g_assert_cmpint(runner_run(f), ==, 130);
    runner_expect(f, "late  stopped");
    g_assert_false(runner_has_file(f, "late/gateway.journal"));
}

/* A user can stop a test while a hung guest is asked for its journal: it has failed by then. */
static void test_frozen(RunnerFixture *f, gconstpointer data)
{
    g_autofree char *log = NULL;

    runner_add_test(f, "a",
        "import os, subprocess\nmachine.start()\nmachine.succeed('freeze')\n"
        "subprocess.Popen(['sh', '-c', 'while ! [ -e \"$0/gateway.screen.png\" ]; do sleep 0.05; "
        "'\n"
        "                  'done; sleep 0.2; kill -INT $1', machine.out_dir, str(os.getpid())])\n"
        "assert False, 'frozen'\n");
    g_assert_cmpint(runner_run(f), ==, 1);
    runner_expect(f, "AssertionError: frozen");
    log = runner_contents(f, "a/log.txt");
    g_assert_nonnull(strstr(log, "no journal: interrupted"));
}

/* The reports of a stopped run include tests that were not started. */
static void test_reports(RunnerFixture *f, gconstpointer data)
{
    g_autofree char *junit = NULL;
    g_autofree char *page = NULL;

    runner_add_test(f, "a", "pass\n");
    runner_add_test(f, "b", "import os\nos.kill(os.getppid(), 2)\nretry(lambda last: False)\n");
    runner_add_test(f, "c", "pass\n");
    g_assert_cmpint(runner_run(f), ==, 130);
    junit = runner_contents(f, "junit.xml");
    g_assert_nonnull(strstr(junit, "<testcase classname=\"slotproof\" name=\"a\""));
    g_assert_nonnull(strstr(junit, "message=\"stopped by the user\""));
    g_assert_nonnull(strstr(junit, "message=\"not started\""));
    page = runner_contents(f, "report.html");
    g_assert_nonnull(strstr(page, "<h1 class=\"good\">1 passed, 2 stopped</h1>"));
    runner_expect(f, "/report.html\n1 passed, 0 failed, 2 skipped\n");
}

/* A directory that is not ours is reported and left alone. A run that can't write its reports
 * fails. */
static void test_no_reports(RunnerFixture *f, gconstpointer data)
{
    g_autofree char *page = NULL;
    g_autofree char *path = g_build_filename(f->out, "report.html", NULL);
    g_autofree char *mine = g_build_filename(f->out, "a", "mine", NULL);

    runner_add_test(f, "a", "pass\n");
    runner_write_file(f->out, "a/mine", "x", -1);
    g_assert_cmpint(runner_run(f), ==, 2);
    g_assert_false(runner_has_file(f, "a/events.jsonl"));
    page = runner_contents(f, "report.html");
    g_assert_nonnull(strstr(page, "holds files that are not slotproof"));
    runner_add_test(f, "b", "pass\n");
    g_assert_cmpint(g_unlink(path), ==, 0);
    runner_write_file(f->out, "report.html/x", "", -1);
    g_assert_cmpint(g_unlink(mine), ==, 0);
    g_assert_cmpint(runner_run(f), ==, 2);
    runner_expect(f, "2 passed, 0 failed, 0 skipped");
}

int main(int argc, char **argv)
{
    static const RunnerTest tests[] = {
        {"/records/record", test_record},
        {"/records/post-mortem", test_post_mortem},
        {"/records/interrupted", test_interrupted},
        {"/records/frozen", test_frozen},
        {"/records/reports", test_reports},
        {"/records/no-reports", test_no_reports},
    };

    return runner_main(argc, argv, tests, G_N_ELEMENTS(tests));
}
