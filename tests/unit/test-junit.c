/* SPDX-License-Identifier: MIT */

/* What junit.xml counts, and under which names: it agrees with the exit status. */

#include "report/junit.h"
#include "report/page.h"

#include <libxml/HTMLparser.h>
#include <libxml/xpath.h>
#include <string.h>

typedef struct {
    GPtrArray *records;
    SpSummary summary;
} Fixture;

static void free_record(void *data)
{
    sp_record_free(data);
}

static void set_up(Fixture *f, gconstpointer data)
{
    f->records = g_ptr_array_new_with_free_func(free_record);
    f->summary = (SpSummary){.records = f->records};
}

static void tear_down(Fixture *f, gconstpointer data)
{
    g_ptr_array_unref(f->records);
}

static SpRecord *add(Fixture *f, SpResultKind kind, const char *report, const char *reason)
{
    const SpRecordResult result = {
        .name = "a", .description = "", .kind = kind, .report = report, .reason = reason};
    SpRecord *record = sp_record_of_result(&result);

    record->dir = g_strdup("/nowhere");
    g_ptr_array_add(f->records, record);
    return record;
}

static void take(SpRecord *record, const char *line)
{
    g_assert_true(sp_record_take(record, line, strlen(line)));
}

static void begin(SpRecord *record, double time, const char *name)
{
    g_autofree char *line = g_strdup_printf(
        "{\"time\":%f,\"event\":\"begin\",\"kind\":\"subtest\",\"text\":\"subtest: %s\"}", time,
        name);

    take(record, line);
}

static void end(SpRecord *record, double time, bool is_good)
{
    g_autofree char *line = g_strdup_printf(
        "{\"time\":%f,\"event\":\"end\"%s}", time, is_good ? "" : ",\"text\":\"failed\"");

    take(record, line);
}

static void expect_in(xmlDoc *doc, const char *path, const char *expected)
{
    xmlXPathContext *context = xmlXPathNewContext(doc);
    xmlXPathObject *found = xmlXPathEvalExpression(BAD_CAST path, context);
    g_autoptr(GString) text = g_string_new(NULL);

    g_assert_nonnull(found);
    for (int i = 0; found->nodesetval && i < found->nodesetval->nodeNr; i++) {
        xmlChar *content = xmlNodeGetContent(found->nodesetval->nodeTab[i]);
        g_string_append_printf(text, "%s\n", (char *)content);
        xmlFree(content);
    }
    xmlXPathFreeObject(found);
    xmlXPathFreeContext(context);
    g_assert_cmpstr(text->str, ==, expected);
}

static void expect(Fixture *f, const char *path, const char *expected)
{
    g_autoptr(SpMarkup) markup = sp_junit_make(&f->summary);
    gsize length;
    const char *text = sp_markup_finish(markup, &length);
    xmlDoc *doc = xmlReadMemory(text, (int)length, "junit.xml", NULL, XML_PARSE_NONET);

    g_assert_nonnull(doc);
    expect_in(doc, path, expected);
    xmlFreeDoc(doc);
}

/* A failure that the script caught is none, as for the exit status. */
static void test_caught(Fixture *f, gconstpointer data)
{
    SpRecord *record = add(f, SP_RESULT_PASSED, NULL, NULL);

    begin(record, 1, "swallowed");
    end(record, 2, false);
    expect(f, "//@failures", "0\n0\n");
    expect(f, "//failure", "");
    expect(f, "//testsuite/@skipped", "1\n");
    expect(f, "//testcase[@name='swallowed']/skipped/@message",
        "it failed, which the script caught: see the log\n");
    /* neither is it one of a test that failed for something else */
    record->kind = SP_RESULT_FAILED;
    take(record, "{\"time\":3,\"event\":\"failure\",\"text\":\"AssertionError: later\"}");
    expect(f, "//@failures", "1\n1\n");
    expect(f, "//testcase[failure]/@name", "a\n");
}

/* One failed assertion is one failure: of the innermost subtest, with all that is known. */
static void test_once(Fixture *f, gconstpointer data)
{
    SpRecord *record =
        add(f, SP_RESULT_FAILED, "assertion failed: t.assertEqual(1, 2)\n  at x:1\n", NULL);

    begin(record, 1, "inner");
    end(record, 1.5, false);
    begin(record, 2, "outer");
    begin(record, 2.5, "inner");
    end(record, 3, false);
    end(record, 3, false);
    take(record,
        "{\"time\":3,\"event\":\"failure\",\"subtest\":\"inner\",\"headline\":\"assertion\","
        "\"text\":\"AssertionError: command\\n  expected: 1\\nseen: 2\\nstderr: x\"}");
    expect(f, "//@failures", "1\n1\n");
    expect(f, "//testsuite/@tests | //testsuite/@skipped", "4\n3\n");
    expect(f, "//testcase[failure]/@name", "inner (2)\n");
    expect(f, "//failure/@message", "AssertionError: command; expected: 1; seen: 2\n");
    expect(f, "//failure", "assertion failed: t.assertEqual(1, 2)\n  at x:1\n\n");
    expect(f, "//testcase[@name='a' or @name='outer']/skipped/@message",
        "a subtest of it failed: inner\na subtest of it failed: inner\n");
}

/* The reason, not the line of the script. */
static void test_message(Fixture *f, gconstpointer data)
{
    SpRecord *record = add(
        f, SP_RESULT_FAILED, "assertion failed: t.assertEqual(1, 2)\nAssertionError: 1 != 2", NULL);

    take(record, "{\"time\":1,\"event\":\"failure\",\"text\":\"AssertionError: 1 != 2\"}");
    expect(f, "//failure/@message", "AssertionError: 1 != 2\n");
    record->reason = g_strdup("timed out after 2 s (Timeout=2)");
    expect(f, "//failure/@message", "timed out after 2 s (Timeout=2)\n");
    add(f, SP_RESULT_FAILED, "ended with status 3\nlast words", NULL);
    expect(f, "//testsuite[2]//failure/@message", "ended with status 3\n");
}

static void test_stopped(Fixture *f, gconstpointer data)
{
    SpRecord *record = add(f, SP_RESULT_SKIPPED, "interrupted: retry()", NULL);

    begin(record, 1, "in it");
    end(record, 2, false);
    take(record,
        "{\"time\":2,\"event\":\"failure\",\"subtest\":\"in it\",\"text\":\"KeyboardInterrupt\"}");
    expect(f, "//@failures", "0\n0\n");
    expect(f, "//testsuite/@skipped", "2\n");
}

static void test_names(Fixture *f, gconstpointer data)
{
    static const char *const names[] = {"x", "x (2)", "x", "x", "y", "x (2)"};
    SpRecord *record = add(f, SP_RESULT_PASSED, NULL, NULL);

    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        begin(record, (double)i, names[i]);
        end(record, (double)i, true);
    }
    expect(f, "//testcase[@classname='a']/@name", "x\nx (2)\nx (3)\nx (4)\ny\nx (2) (2)\n");
}

/* However many subtests there are, one that failed is told of, and that quickly. */
static void test_many(Fixture *f, gconstpointer data)
{
    SpRecord *record = add(f, SP_RESULT_FAILED, "report", NULL);
    g_autoptr(SpMarkup) page = NULL;
    gsize length;

    for (guint i = 0; i < 30000; i++) {
        begin(record, i, "same");
        end(record, i, true);
    }
    begin(record, 30000, "last");
    end(record, 30000, false);
    begin(record, 30001, "open");
    take(record, "{\"time\":30001,\"event\":\"failure\",\"subtest\":\"last\",\"text\":\"reason\"}");
    g_assert_cmpuint(record->left_out, ==, 10001);
    expect(f, "//@failures", "1\n1\n");
    expect(f, "//testcase[failure]/@name", "last\n");
    page = sp_page_make(&f->summary);
    g_assert_nonnull(strstr(sp_markup_finish(page, &length), "<th scope=\"row\">last</th>"));
}

/* All exceptions are in the page, and what the script could not know. */
/* One that was not run now passed when it was run, and says so; also where its files are gone. */
static void test_kept(Fixture *f, gconstpointer data)
{
    SpRecord *record = add(f, SP_RESULT_PASSED, NULL, NULL);
    g_autoptr(SpMarkup) markup = NULL;
    gsize length;
    const char *page;

    record->is_kept = true;
    record->began_s = 1764256637; /* 2025-11-27 15:17:17 UTC */
    record->seconds = 41.25;
    g_clear_pointer(&record->dir, g_free);
    begin(record, 1, "part");
    end(record, 3, true);
    take(record, "{\"time\":2,\"event\":\"mark\",\"kind\":\"screenshot\",\"machine\":\"m\","
                 "\"text\":\"gone.png\"}");
    expect(
        f, "//testsuite/properties/property[@name='kept']/@value", "run on 2025-11-27T15:17:17Z\n");
    expect(f, "//testsuite/@timestamp", "2025-11-27T15:17:17\n");
    expect(f, "//testcase/@time", "41.250\n2.000\n");
    expect(f, "//@failures | //@errors | //@skipped", "0\n0\n0\n0\n0\n");
    markup = sp_page_make(&f->summary);
    page = sp_markup_finish(markup, &length);
    g_assert_nonnull(g_strstr_len(page, (gssize)length, "kept, run on 2025-11-27"));
    g_assert_null(g_strstr_len(page, (gssize)length, "not started"));
    record->is_kept = false;
    expect(f, "//property", "");
}

static void test_page(Fixture *f, gconstpointer data)
{
    SpRecord *record = add(f, SP_RESULT_FAILED, "report", "timed out");
    g_autoptr(SpMarkup) page = NULL;
    const char *text;
    gsize length;

    take(record,
        "{\"time\":1,\"event\":\"failure\",\"headline\":\"assertion failed: this\","
        "\"text\":\"the reason\",\"chain\":\"the reason\\n\\nthe cleanup\",\"file\":\"s.py\","
        "\"line\":2,\"last_line\":2,\"first\":1,\"source\":\"a\\nb\"}");
    page = sp_page_make(&f->summary);
    text = sp_markup_finish(page, &length);
    g_assert_nonnull(strstr(text, "assertion failed: this</p>"));
    g_assert_nonnull(strstr(text, "the cleanup</pre>"));
    g_assert_nonnull(strstr(text, "timed out</p>"));
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*test)(Fixture *f, gconstpointer data);
    } tests[] = {
        {"/junit/caught", test_caught},
        {"/junit/once", test_once},
        {"/junit/message", test_message},
        {"/junit/stopped", test_stopped},
        {"/junit/names", test_names},
        {"/junit/many", test_many},
        {"/junit/kept", test_kept},
        {"/junit/page", test_page},
    };

    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, Fixture, NULL, set_up, tests[i].test, tear_down);
    return g_test_run();
}
