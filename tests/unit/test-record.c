/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "report/record.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

/* A step within another, a command's result, marks, consoles, a failure, a result. */
static const char *const whole[] = {
    "{\"time\":0.5,\"event\":\"begin\",\"kind\":\"subtest\",\"text\":\"subtest: one\"}",
    "{\"time\":1,\"event\":\"mark\",\"machine\":\"m\",\"kind\":\"start\",\"text\":\"starting\"}",
    "{\"time\":1,\"event\":\"begin\",\"machine\":\"m\",\"kind\":\"command\",\"text\":\"ls\"}",
    "{\"time\":2,\"event\":\"console\",\"machine\":\"m\",\"text\":\"login:\"}",
    "{\"time\":3.5,\"event\":\"end\",\"seconds\":2.5,\"status\":7,\"output\":\"a\\nb\","
    "\"errors\":\"e\",\"text\":\"exit status 7\"}",
    "{\"time\":3.5,\"event\":\"message\",\"text\":\"passed over\"}",
    "{\"time\":4,\"event\":\"end\",\"text\":\"failed\"}",
    "{\"time\":4,\"event\":\"failure\",\"text\":\"1 != 2\",\"subtest\":\"one\",\"file\":\"x.py\","
    "\"line\":3,\"last_line\":4,\"first\":1,\"source\":\"a\\nb\\nc\\nd\"}",
    "{\"time\":5,\"event\":\"begin\",\"kind\":\"wait\",\"text\":\"for ever\"}",
    "{\"event\":\"result\",\"word\":\"failed\",\"text\":\"why\",\"seconds\":6.25,\"name\":\"t\","
    "\"description\":\"what\",\"began\":1700000000}",
};

static SpRecord *take_all(const char *const *lines, gsize n)
{
    SpRecord *record = sp_record_new("folder");

    for (gsize i = 0; i < n; i++)
        g_assert_true(sp_record_take(record, lines[i], strlen(lines[i])));
    return record;
}

static void assert_steps(const SpRecord *record)
{
    const SpRecordStep *step;

    g_assert_cmpuint(record->steps->len, ==, 3);
    step = g_ptr_array_index(record->steps, 0);
    g_assert_cmpstr(step->text, ==, "one");
    g_assert_cmpstr(step->failure, ==, "failed");
    g_assert_cmpfloat(step->seconds, ==, 3.5);
    g_assert_null(step->machine);
    g_assert_false(step->has_status);
    step = g_ptr_array_index(record->steps, 1);
    g_assert_cmpuint(step->depth, ==, 1);
    g_assert_cmpstr(step->machine, ==, "m");
    g_assert_cmpstr(step->output, ==, "a\nb");
    g_assert_cmpstr(step->errors, ==, "e");
    g_assert_true(step->has_status);
    g_assert_cmpint(step->status, ==, 7);
    step = g_ptr_array_index(record->steps, 2);
    g_assert_cmpfloat(step->seconds, <, 0);
}

static void test_whole(void)
{
    g_autoptr(SpRecord) record = take_all(whole, G_N_ELEMENTS(whole));
    const SpRecordMark *mark = g_ptr_array_index(record->marks, 0);
    const SpRecordConsole *console = g_ptr_array_index(record->consoles, 0);

    assert_steps(record);
    g_assert_cmpuint(record->marks->len, ==, 1);
    g_assert_cmpstr(mark->kind, ==, "start");
    g_assert_cmpfloat(mark->time, ==, 1);
    g_assert_cmpuint(record->consoles->len, ==, 1);
    g_assert_cmpstr(console->machine, ==, "m");
    g_assert_cmpstr(g_queue_peek_head((GQueue *)&console->lines), ==, "login:");
    g_assert_cmpstr(record->failure.text, ==, "1 != 2");
    g_assert_cmpstr(record->failure.subtest, ==, "one");
    g_assert_cmpuint(record->failure.line, ==, 3);
    g_assert_cmpuint(record->failure.last_line, ==, 4);
    g_assert_cmpstr(record->failure.source, ==, "a\nb\nc\nd");
    g_assert_cmpint(record->kind, ==, SP_RESULT_FAILED);
    g_assert_cmpstr(record->name, ==, "t");
    g_assert_cmpstr(record->description, ==, "what");
    g_assert_cmpstr(record->report, ==, "why");
    g_assert_cmpfloat(record->seconds, ==, 6.25);
    g_assert_cmpint(record->began_s, ==, 1700000000);
    g_assert_cmpfloat(record->end, ==, 5);
}

static void test_garbage(void)
{
    static const char *const lines[] = {
        "",
        "null",
        "{}",
        "[]",
        "{\"event\":3}",
        "{\"event\":\"begin\"}",
        "{\"event\":\"begin\",\"time\":-1}",
        "{\"event\":\"begin\",\"time\":\"1\"}",
        "{\"event\":\"begin\",\"time\":1,\"text\":[]}",
        "{\"event\":\"end\",\"time\":1",
        "{\"event\":\"mark\",\"time\":1,\"machine\":\"\xff\"}",
    };
    /* what they lack is not there */
    static const char *const poor[] = {
        "{\"event\":\"end\",\"time\":1}",
        "{\"event\":\"mark\",\"time\":1,\"machine\":\"m\",\"kind\":\"start\"}",
        "{\"event\":\"mark\",\"time\":1,\"kind\":\"start\",\"text\":\"\"}",
        "{\"event\":\"console\",\"time\":1,\"machine\":\"m\"}",
        "{\"event\":\"console\",\"time\":1,\"text\":\"x\"}",
        "{\"event\":\"begin\",\"time\":1e300}",
        "{\"event\":\"end\",\"time\":0,\"status\":1e300}",
        "{\"event\":\"failure\",\"time\":1,\"line\":-5,\"first\":1e300}",
        "{\"event\":\"result\",\"word\":\"other\",\"seconds\":-1,\"began\":-1}",
        "{\"event\":\"full\"}",
        "{\"event\":\"of another version\",\"time\":1}",
    };
    g_autoptr(SpRecord) record = take_all(poor, G_N_ELEMENTS(poor));
    const SpRecordStep *step = g_ptr_array_index(record->steps, 0);

    for (gsize i = 0; i < G_N_ELEMENTS(lines); i++)
        g_assert_false(sp_record_take(record, lines[i], strlen(lines[i])));
    g_assert_cmpuint(record->steps->len, ==, 1);
    g_assert_cmpstr(step->text, ==, "");
    g_assert_cmpstr(step->kind, ==, "");
    g_assert_cmpfloat(step->seconds, ==, 0);
    g_assert_false(step->has_status);
    g_assert_cmpuint(record->marks->len, ==, 0);
    g_assert_null(record->failure.text);
    g_assert_cmpuint(record->failure.line, ==, 0);
    g_assert_cmpint(record->kind, ==, SP_RESULT_SKIPPED);
    g_assert_cmpfloat(record->seconds, ==, 0);
    g_assert_cmpint(record->began_s, ==, 0);
    g_assert_cmpstr(record->name, ==, "folder");
}

static void test_cut(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(whole); i++) {
        for (gsize length = 0; length < strlen(whole[i]); length++) {
            g_autoptr(SpRecord) record = sp_record_new("t");
            g_assert_false(sp_record_take(record, whole[i], length));
        }
    }
}

/* Steps, machines and lines that are too many are counted or left out; ends find their begin. */
static void test_limits(void)
{
    static const char begin[] = "{\"event\":\"begin\",\"time\":1,\"text\":\"x\"}";
    static const char end[] = "{\"event\":\"end\",\"time\":1}";
    g_autoptr(SpRecord) record = sp_record_new("t");
    const SpRecordConsole *console;
    const SpRecordStep *step;

    for (guint i = 0; i < 100; i++)
        sp_record_take(record, begin, strlen(begin));
    g_assert_cmpuint(record->steps->len + record->left_out, ==, 100);
    for (guint i = 0; i < 100; i++)
        sp_record_take(record, end, strlen(end));
    for (guint i = 0; i < SP_RECORD_STEPS_MAX + 5; i++) {
        sp_record_take(record, begin, strlen(begin));
        sp_record_take(record, end, strlen(end));
    }
    g_assert_cmpuint(record->steps->len, ==, SP_RECORD_STEPS_MAX);
    g_assert_cmpuint(record->left_out, ==, 105);
    for (guint i = 0; i < record->steps->len; i++) {
        step = g_ptr_array_index(record->steps, i);
        g_assert_cmpfloat(step->seconds, ==, 0);
    }
    for (guint i = 0; i < 200; i++) {
        g_autofree char *line = g_strdup_printf(
            "{\"event\":\"console\",\"time\":1,\"machine\":\"m%u\",\"text\":\"%u\"}", i % 100, i);
        sp_record_take(record, line, strlen(line));
    }
    g_assert_cmpuint(record->consoles->len, ==, SP_RECORD_MACHINES_MAX);
    for (guint i = 0; i < 50; i++) {
        g_autofree char *line = g_strdup_printf(
            "{\"event\":\"console\",\"time\":1,\"machine\":\"m0\",\"text\":\"%u\"}", i);
        sp_record_take(record, line, strlen(line));
    }
    console = g_ptr_array_index(record->consoles, 0);
    g_assert_cmpuint(console->lines.length, ==, SP_RECORD_CONSOLE_LINES);
    g_assert_cmpstr(g_queue_peek_tail((GQueue *)&console->lines), ==, "49");
}

/* Written by two: what a worker that was killed left of its last line does not matter. */
static void test_files(void)
{
    g_autofree char *dir = g_dir_make_tmp("slotproof-test-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "events.jsonl", NULL);
    g_autofree char *base = g_path_get_basename(dir);
    const SpRecordResult result = {.name = "t\xff",
        .description = "d",
        .kind = SP_RESULT_PASSED,
        .seconds = 1.5,
        .began_s = 7};
    g_autoptr(GError) error = NULL;
    g_autoptr(SpRecord) record = NULL;

    g_assert_null(sp_record_load(dir, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_HOST);
    g_assert_nonnull(strstr(error->message, path));
    g_clear_error(&error);
    g_assert_true(g_file_set_contents(
        path, "{\"event\":\"begin\",\"time\":1,\"text\":\"x\"}\n{\"event\":\"en", -1, NULL));
    record = sp_record_load(dir, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(record->name, ==, base);
    g_assert_cmpint(record->kind, ==, SP_RESULT_SKIPPED);
    g_clear_pointer(&record, sp_record_free);
    g_assert_true(sp_record_append(dir, &result, &error));
    record = sp_record_load(dir, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(record->steps->len, ==, 1);
    g_assert_cmpstr(record->name, ==, "t\xef\xbf\xbd");
    g_assert_cmpint(record->kind, ==, SP_RESULT_PASSED);
    g_assert_null(record->report);
    g_assert_cmpfloat(record->end, ==, 1.5);
    /* nothing is followed or waited for */
    g_unlink(path);
    g_assert_cmpint(symlink("/dev/zero", path), ==, 0);
    g_assert_null(sp_record_load(dir, NULL));
    g_assert_false(sp_record_append(dir, &result, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_HOST);
    g_unlink(path);
    g_rmdir(dir);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/record/whole", test_whole);
    g_test_add_func("/record/garbage", test_garbage);
    g_test_add_func("/record/cut", test_cut);
    g_test_add_func("/record/limits", test_limits);
    g_test_add_func("/record/files", test_files);
    return g_test_run();
}
