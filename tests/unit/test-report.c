/* SPDX-License-Identifier: MIT */

/* junit.xml and report.html: read back by parsers that are not ours. */

#include "report/junit.h"
#include "report/page.h"

#include <glib/gstdio.h>
#include <libxml/HTMLparser.h>
#include <libxml/xmlschemas.h>
#include <libxml/xmlschemastypes.h>
#include <libxml/xpath.h>
#include <string.h>

/* Ends elements, comments, sections and attributes, and steers terminals. */
#define HOSTILE                                                                                    \
    "</script></pre>]]>-->\"'&amp;<img src=x onerror=alert(1)>\x1b[31m\x01\xff\xef\xbf\xbf"
/* The same, as it is read. */
#define HARMLESS                                                                                   \
    "</script></pre>]]>-->\"'&amp;<img src=x "                                                     \
    "onerror=alert(1)>\\x1b[31m\\x01\xef\xbf\xbd\xef\xbf\xbd"
#define PNG "\x89PNG\r\n\x1a\nrest"

typedef struct {
    char *dir;
    GPtrArray *records;
    SpSummary summary;
} Fixture;

static void free_record(void *data)
{
    sp_record_free(data);
}

static void set_up(Fixture *f, gconstpointer data)
{
    f->dir = g_dir_make_tmp("slotproof-test-XXXXXX", NULL);
    f->records = g_ptr_array_new_with_free_func(free_record);
    f->summary = (SpSummary){.records = f->records, .began_s = 1700000000, .seconds = 61.5};
}

static void tear_down(Fixture *f, gconstpointer data)
{
    g_autoptr(GDir) dir = g_dir_open(f->dir, 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(f->dir, name, NULL);
        g_unlink(path);
    }
    g_rmdir(f->dir);
    g_free(f->dir);
    g_ptr_array_unref(f->records);
}

static SpRecord *add(Fixture *f, const char *name, SpResultKind kind, const char *report)
{
    const SpRecordResult result = {.name = name,
        .description = HOSTILE,
        .kind = kind,
        .report = report,
        .seconds = 2.5,
        .began_s = 1700000001};
    SpRecord *record = sp_record_of_result(&result);

    record->dir = g_strdup(f->dir);
    g_ptr_array_add(f->records, record);
    return record;
}

static void take(SpRecord *record, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void take(SpRecord *record, const char *format, ...)
{
    g_autofree char *line = NULL;
    va_list args;

    va_start(args, format);
    line = g_strdup_vprintf(format, args);
    va_end(args);
    g_assert_true(sp_record_take(record, line, strlen(line)));
}

/* A subtest that passed, and one that failed with a command in it, on a machine that rebooted. */
static void add_events(SpRecord *record)
{
    take(record,
        "{\"time\":0,\"event\":\"mark\",\"machine\":\"m\",\"kind\":\"start\",\"text\":\"s\"}");
    take(record,
        "{\"time\":1,\"event\":\"mark\",\"machine\":\"m\",\"kind\":\"agent\",\"text\":\"a\"}");
    take(record, "{\"time\":1,\"event\":\"begin\",\"kind\":\"subtest\",\"text\":\"subtest: one\"}");
    take(record, "{\"time\":1.5,\"event\":\"end\"}");
    take(record,
        "{\"time\":1.5,\"event\":\"begin\",\"kind\":\"subtest\",\"text\":\"subtest: two\"}");
    take(record, "{\"time\":1.5,\"event\":\"begin\",\"machine\":\"m\",\"kind\":\"command\","
                 "\"text\":\"ls\"}");
    take(record, "{\"time\":2,\"event\":\"end\",\"text\":\"exit status 1\",\"status\":1,"
                 "\"output\":\"written\"}");
    take(record, "{\"time\":2,\"event\":\"end\",\"text\":\"failed\"}");
    take(record, "{\"time\":2,\"event\":\"mark\",\"machine\":\"m\",\"kind\":\"power-cut\","
                 "\"text\":\"power is cut\"}");
    take(record, "{\"time\":2,\"event\":\"console\",\"machine\":\"m\",\"text\":\"last words\"}");
    take(record, "{\"time\":2,\"event\":\"failure\",\"text\":\"1 != "
                 "2\",\"subtest\":\"two\",\"file\":\"s.py\",\"line\":2,"
                 "\"last_line\":2,\"first\":1,\"source\":\"a\\n  broken\\nc\"}");
    record->end = 2.5;
}

/* All that @path finds, as text, with a newline behind each. */
static char *find(xmlDoc *doc, const char *path)
{
    xmlXPathContext *context = xmlXPathNewContext(doc);
    xmlXPathObject *found = xmlXPathEvalExpression(BAD_CAST path, context);
    GString *text = g_string_new(NULL);

    g_assert_nonnull(found);
    for (int i = 0; found->nodesetval && i < found->nodesetval->nodeNr; i++) {
        xmlChar *content = xmlNodeGetContent(found->nodesetval->nodeTab[i]);
        g_string_append_printf(text, "%s\n", (char *)content);
        xmlFree(content);
    }
    xmlXPathFreeObject(found);
    xmlXPathFreeContext(context);
    return g_string_free(text, FALSE);
}

static void expect(xmlDoc *doc, const char *path, const char *expected)
{
    g_autofree char *found = find(doc, path);

    if (!g_str_equal(found, expected))
        g_error("%s: expected '%s', found '%s'", path, expected, found);
}

static void assert_valid(xmlDoc *doc)
{
    xmlSchemaParserCtxt *parser = xmlSchemaNewParserCtxt(SOURCE_ROOT "/tests/unit/junit.xsd");
    xmlSchema *schema = xmlSchemaParse(parser);
    xmlSchemaValidCtxt *valid = xmlSchemaNewValidCtxt(schema);

    g_assert_nonnull(schema);
    g_assert_cmpint(xmlSchemaValidateDoc(valid, doc), ==, 0);
    xmlSchemaFreeValidCtxt(valid);
    xmlSchemaFree(schema);
    xmlSchemaFreeParserCtxt(parser);
}

static xmlDoc *parse_junit(Fixture *f)
{
    g_autoptr(SpMarkup) markup = sp_junit_make(&f->summary);
    gsize length;
    const char *text = sp_markup_finish(markup, &length);
    xmlDoc *doc = xmlReadMemory(text, (int)length, "junit.xml", NULL, XML_PARSE_NONET);

    g_assert_nonnull(doc);
    assert_valid(doc);
    return doc;
}

static void test_junit(Fixture *f, gconstpointer data)
{
    const SpRecordResult skipped = {.name = "later", .description = "", .kind = SP_RESULT_SKIPPED};
    xmlDoc *doc;

    add(f, "good", SP_RESULT_PASSED, NULL);
    add_events(add(f, HOSTILE, SP_RESULT_FAILED, HOSTILE "\nsecond line"));
    add(f, "broken", SP_RESULT_ERROR, "no such file");
    g_ptr_array_add(f->records, sp_record_of_result(&skipped));
    doc = parse_junit(f);
    expect(doc, "/testsuites/@tests", "6\n");
    expect(doc, "/testsuites/@failures", "1\n");
    expect(doc, "/testsuites/@errors", "1\n");
    expect(doc, "/testsuites/@time", "61.500\n");
    expect(doc, "//testsuite/@name", "good\n" HARMLESS "\nbroken\nlater\n");
    expect(doc, "//testsuite[2]/testcase/@name", HARMLESS "\none\ntwo\n");
    expect(doc, "//testsuite[2]/@tests | //testsuite[2]/@failures", "3\n1\n");
    expect(doc, "//testcase[@name='two']/failure", HARMLESS "\nsecond line\n");
    expect(doc, "//testsuite[2]/testcase[1]/skipped/@message", "a subtest of it failed: two\n");
    expect(doc, "//testcase[@name='two']/failure/@message", "1 != 2\n");
    expect(doc, "//testcase[@name='one']/*", "");
    expect(doc, "//testcase[@name='one']/@time", "0.500\n");
    expect(doc, "//testcase[@name='broken']/error", "no such file\n");
    expect(doc, "//testcase[@name='later']/skipped/@message", "not started\n");
    expect(doc, "//testsuite[4]/@timestamp", "2023-11-14T22:13:20\n");
    xmlFreeDoc(doc);
}

static void test_junit_empty(Fixture *f, gconstpointer data)
{
    xmlDoc *doc = parse_junit(f);

    expect(doc, "/testsuites/@tests", "0\n");
    xmlFreeDoc(doc);
}

static xmlDoc *parse_page(Fixture *f)
{
    g_autoptr(SpMarkup) markup = sp_page_make(&f->summary);
    gsize length;
    const char *text = sp_markup_finish(markup, &length);
    xmlDoc *doc = htmlReadMemory(text, (int)length, "report.html", "UTF-8",
        HTML_PARSE_NONET | HTML_PARSE_NOWARNING | HTML_PARSE_NOERROR);

    g_assert_true(g_str_has_prefix(text, "<!DOCTYPE html>"));
    g_assert_true(g_utf8_validate(text, (gssize)length, NULL));
    g_assert_nonnull(doc);
    return doc;
}

/* However hostile what is shown: no element, attribute or address is in the page that is not ours.
 */
static void assert_harmless(xmlDoc *doc)
{
    expect(doc, "//script | //*[@onerror] | //iframe | //link | //base | //form", "");
    expect(doc, "//a/@href[not(starts-with(., '#') or starts-with(., './'))]", "");
    expect(doc, "//img/@src[not(starts-with(., 'data:image/png;base64,'))]", "");
    expect(doc, "//meta[@http-equiv='Content-Security-Policy']/@content",
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:\n");
}

static void test_page(Fixture *f, gconstpointer data)
{
    xmlDoc *doc;

    add(f, "good", SP_RESULT_PASSED, NULL);
    add_events(add(f, "bad", SP_RESULT_FAILED, "assertion failed: broken\n  at s.py:2\nmore"));
    doc = parse_page(f);
    assert_harmless(doc);
    expect(doc, "//title", "slotproof: 1 failed, 1 passed\n");
    expect(doc, "//h1", "1 failed, 1 passed\n");
    /* the one that failed stands first */
    expect(doc, "//table[@class='tests']/tbody/tr/th/a", "bad\ngood\n");
    expect(doc, "//table[@class='tests']//span[starts-with(@class,'badge')]", "failed\npassed\n");
    expect(doc, "//table[@class='tests']/tbody/tr/td[@class='number']", "1 of 2\n2.5 s\n\n2.5 s\n");
    expect(doc, "//article[1]//mark", "    2   broken\n\n");
    expect(doc, "//p[@class='headline']", "assertion failed: broken\n");
    expect(doc, "//table[@class='subtests']//th", "one\ntwo\n");
    expect(doc, "//ol[@class='steps']//pre[contains(., 'written')]", "written\n");
    expect(doc, "//pre[@class='console']", "last words\n\n");
    expect(doc, "//div[@role='img']/@aria-label",
        "Time line of 2.5 s with 3 steps, 1 start(s), 1 power cut(s). The list of steps below has "
        "everything.\n");
    xmlFreeDoc(doc);
}

/* At its place, and as long as it was, of 2.5 seconds. */
static void test_time_line(Fixture *f, gconstpointer data)
{
    SpRecord *record = add(f, "bad", SP_RESULT_FAILED, "x");
    xmlDoc *doc;

    add_events(record);
    take(record,
        "{\"time\":2,\"event\":\"mark\",\"machine\":\"m\",\"kind\":\"start\",\"text\":\"s\"}");
    take(record,
        "{\"time\":2.25,\"event\":\"mark\",\"machine\":\"m\",\"kind\":\"reset\",\"text\":\"r\"}");
    doc = parse_page(f);
    expect(doc, "//div[@role='img']//span[@class='state booting']/@style",
        "left:0.000%;width:40.000%;\nleft:80.000%;width:10.000%;\nleft:90.000%;width:10.000%;\n");
    expect(
        doc, "//div[@role='img']//span[@class='state up']/@style", "left:40.000%;width:40.000%;\n");
    expect(doc, "//div[@role='img']//span[@class='mark power-cut']/@style", "left:80.000%;\n");
    expect(doc, "//div[@role='img']//span[@class='mark reset']/@style", "left:90.000%;\n");
    expect(doc, "//div[@role='img']//span[@class='bar subtest']/@style",
        "left:40.000%;width:20.000%;\n");
    expect(doc, "//div[@class='track machine']/span[@class='bar failed']/@style",
        "left:60.000%;width:20.000%;\n");
    xmlFreeDoc(doc);
}

static void test_page_hostile(Fixture *f, gconstpointer data)
{
    SpRecord *record = add(f, HOSTILE, SP_RESULT_FAILED, HOSTILE);
    g_autofree char *escaped = g_strescape(HARMLESS, "\xef\xbf\xbd");
    static const char *const names[] = {"text", "machine", "output", "file", "source", "subtest"};
    g_autoptr(GString) members = g_string_new("");
    xmlDoc *doc;

    for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
        g_string_append_printf(members, ",\"%s\":\"%s\"", names[i], escaped);
    take(record, "{\"time\":0,\"event\":\"mark\",\"kind\":\"screenshot\"%s}", members->str);
    take(record, "{\"time\":0,\"event\":\"mark\",\"kind\":\"power-cut\"%s}", members->str);
    take(record, "{\"time\":0,\"event\":\"begin\",\"kind\":\"%s\"%s}", escaped, members->str);
    take(record, "{\"time\":0,\"event\":\"begin\",\"kind\":\"subtest\"%s}", members->str);
    take(record, "{\"time\":1,\"event\":\"end\"%s}", members->str);
    take(record, "{\"time\":1,\"event\":\"end\"%s}", members->str);
    take(record, "{\"time\":1,\"event\":\"failure\",\"line\":1,\"first\":1%s}", members->str);
    take(record, "{\"time\":1,\"event\":\"console\"%s}", members->str);
    doc = parse_page(f);
    assert_harmless(doc);
    expect(doc, "//table[@class='tests']//th/a", HARMLESS "\n");
    expect(doc, "//pre[@class='console']", HARMLESS "\n\n");
    xmlFreeDoc(doc);
}

static void put(Fixture *f, const char *name, const char *text, gssize length)
{
    g_autofree char *path = g_build_filename(f->dir, name, NULL);

    g_assert_true(g_file_set_contents(path, text, length, NULL));
}

/* Only pictures of the directory itself, each once, and not without end. */
static void test_screens(Fixture *f, gconstpointer data)
{
    static const char *const names[] = {
        "boot.png", "none.png", "text.png", "../boot.png", "large.png", ".hidden.png", "boot.png"};
    SpRecord *record = add(f, "t", SP_RESULT_PASSED, NULL);
    g_autofree char *large = g_malloc0(1024 * 1024);
    xmlDoc *doc;

    put(f, "boot.png", PNG, sizeof PNG - 1);
    put(f, ".hidden.png", PNG, sizeof PNG - 1);
    put(f, "text.png", "secret", -1);
    memcpy(large, PNG, sizeof PNG);
    put(f, "large.png", large, 1024 * 1024);
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
        take(record,
            "{\"time\":%u,\"event\":\"mark\",\"machine\":\"m\",\"kind\":\"screenshot\",\"text\":\"%"
            "s\"}",
            (guint)i, names[i]);
    doc = parse_page(f);
    assert_harmless(doc);
    expect(doc, "//img/@src", "data:image/png;base64,iVBORw0KGgpyZXN0\n");
    expect(doc, "//img/@alt", "The screen of m at 6.0 s\n");
    expect(doc, "//figcaption/b", "none.png\ntext.png\nlarge.png\nboot.png\n");
    expect(doc, "//ul[@class='files']/li/a", "boot.png\nlarge.png\ntext.png\n");
    xmlFreeDoc(doc);
}

#define POWER_CUTS                                                                                 \
    "{\"seen\":9,\"distinct\":7,\"checked\":7,\"failed\":2,"                                       \
    "\"truncated\":{\"reason\":\"the log is <cut> off\"},"                                         \
    "\"classes\":[{\"facts\":{\"boots\":\"A\",\"boot-b\":\"old\"},\"examples\":[\"p0\"],"          \
    "\"states\":5},"                                                                               \
    "{\"facts\":{\"boots\":\"B\",\"boot-b\":\"new\"},\"examples\":[\"p4\"],\"states\":2}],"        \
    "\"entries\":[[\"write\",\"state\",0,512],[\"flush\",\"\",0,0],[\"write\",\"boot<b>\",4096,"   \
    "1024],"                                                                                       \
    "[\"write\",\"boot<b>\",8192,1024],[\"mark\",\"\",0,0],[\"write\",\"\",1,512]],"               \
    "\"cuts\":[[1,0,0],[1,0,null],[1,0,0],[1,2,0],[1,0,1],[1,0,null],[1,0,1]],"                    \
    "\"failures\":[{\"state\":\"p3\",\"entry\":3,\"reason\":\"</p>torn\",\"writes\":\"> 3\","      \
    "\"disk\":\"make --state p3\",\"machine\":\"make --debug\"},{\"state\":\"p4\"},7],"            \
    "\"boots\":[{\"state\":\"p0\",\"class\":0,\"reason\":null},"                                   \
    "{\"state\":\"p4\",\"class\":1,\"reason\":\"it hangs\"}]}"

/* Writes by partition, with what boots after a power cut at each, and how to see a failure. */
static void test_power_cuts(Fixture *f, gconstpointer data)
{
    xmlDoc *doc;

    add(f, "t", SP_RESULT_PASSED, NULL);
    put(f, "powercut.json", POWER_CUTS, -1);
    doc = parse_page(f);
    assert_harmless(doc);
    expect(doc, "//section[h3='Power cuts']/p[1]",
        "9 states seen, 7 distinct, 7 checked, 2 booted, 2 failed.\n");
    expect(doc, "//div[@class='lane']/span[@class='name']",
        "power cut here\nfailed\nstate\nflushes\nboot<b>\nno partition\n");
    expect(doc, "//span[contains(@class, 'outcome')]", "boots=A\nboots=B\n");
    expect(doc, "//span[contains(@class, 'outcome')]/@style",
        "left:0.000%;width:57.143%;\nleft:57.143%;width:42.857%;\n");
    expect(doc, "//span[@class='bar failed']/@title",
        "2 of 1 states with a power cut at entry 3 fail\n");
    expect(doc, "//span[@class='bar command']/@title",
        "entry 0: write, 512 bytes at byte 0\nentries 2 to 3: 2.0\xc2\xa0KiB\n"
        "entry 5: write, 512 bytes at byte 1\n");
    expect(doc, "//p[@class='headline']",
        "Not all was checked: the log is <cut> off\nstate p3: </p>torn\n");
    expect(
        doc, "//section[h3='Power cuts']/table//td[2]", "boots=A boot-b=old\nboots=B boot-b=new\n");
    expect(doc, "//section[h3='Power cuts']/pre", "> 3\nmake --state p3\nmake --debug\n");
    expect(doc, "//section[h3='Power cuts']/table//td[3]", "1 booted\n1 booted, 1 failed\n");
    xmlFreeDoc(doc);
}

/* What is none is passed over, and none of it ends the program. */
static void test_power_cuts_hostile(Fixture *f, gconstpointer data)
{
    static const char *const texts[] = {"", "[]", "null", "{", "{\"entries\":{}}",
        "{\"entries\":[null,7,[],[1,2],[\"write\"],[\"write\",7],[\"write\",\"x\",\"y\",-1]],"
        "\"cuts\":[null,[],[\"a\"],[1,-1,99],[1,9223372036854775807,-9]],\"classes\":[null,{},[],{"
        "\"facts\":[]},{\"facts\":{\"boots\":7}}],"
        "\"truncated\":[],\"failed\":\"many\",\"failures\":{\"a\":1},\"boots\":[null,[1],{"
        "\"class\":[]},{\"class\":-1},{\"class\":99},{\"class\":4}]}"};
    g_autoptr(GString) deep = g_string_new("{\"entries\":");
    xmlDoc *doc;

    for (guint i = 0; i < 1000000; i++)
        g_string_append_c(deep, '[');
    add(f, "t", SP_RESULT_PASSED, NULL);
    for (gsize i = 0; i <= G_N_ELEMENTS(texts); i++) {
        put(f, "powercut.json", i < G_N_ELEMENTS(texts) ? texts[i] : deep->str, -1);
        doc = parse_page(f);
        assert_harmless(doc);
        xmlFreeDoc(doc);
    }
}

/* Of many steps the begin, the end, and those that failed. */
static void test_many_steps(Fixture *f, gconstpointer data)
{
    SpRecord *record = add(f, "t", SP_RESULT_PASSED, NULL);
    g_autofree char *found = NULL;
    xmlDoc *doc;

    for (guint i = 0; i < 3000; i++) {
        take(record,
            "{\"time\":%u,\"event\":\"begin\",\"kind\":\"command\",\"text\":\"number %u\"}", i, i);
        take(record, "{\"time\":%u,\"event\":\"end\"%s}", i, i == 1500 ? ",\"text\":\"no\"" : "");
    }
    doc = parse_page(f);
    found = find(doc, "//ol[@class='steps']");
    g_assert_nonnull(strstr(found, "number 0"));
    g_assert_nonnull(strstr(found, "number 1500"));
    g_assert_nonnull(strstr(found, "number 2999"));
    g_assert_null(strstr(found, "number 1499"));
    expect(doc, "//li[@class='event']",
        "1250 earlier steps are only in events.jsonl\n"
        "1249 earlier steps are only in events.jsonl\n");
    xmlFreeDoc(doc);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*test)(Fixture *f, gconstpointer data);
    } tests[] = {
        {"/report/junit", test_junit},
        {"/report/junit-empty", test_junit_empty},
        {"/report/page", test_page},
        {"/report/time-line", test_time_line},
        {"/report/page-hostile", test_page_hostile},
        {"/report/screens", test_screens},
        {"/report/power-cuts", test_power_cuts},
        {"/report/power-cuts-hostile", test_power_cuts_hostile},
        {"/report/many-steps", test_many_steps},
    };
    int status;

    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, Fixture, NULL, set_up, tests[i].test, tear_down);
    status = g_test_run();
    xmlSchemaCleanupTypes();
    xmlCleanupParser();
    return status;
}
