/* SPDX-License-Identifier: MIT */
#include "report/junit.h"

#include "base/text.h"
#include "report/subtests.h"

#include <string.h>

#define CLASS "slotproof"

typedef struct {
    guint tests, failures, errors, skipped;
} Counts;

/* The lines of a reason that fit in an overview. */
#define REASON_LINES 3u
#define REASON_MAX 1000u

/* Each failure is counted once: if a subtest has it, the test as a whole counts as not run. */
static void count_test(const SpRecord *record, Counts *counts)
{
    const SpRecordStep *at_fault = sp_subtest_at_fault(record);

    counts->tests++;
    counts->failures += record->kind == SP_RESULT_FAILED;
    counts->errors += record->kind == SP_RESULT_ERROR;
    counts->skipped += record->kind == SP_RESULT_SKIPPED || at_fault;
    for (guint i = 0; i < record->steps->len; i++) {
        const SpRecordStep *step = g_ptr_array_index(record->steps, i);
        SpSubtestState state = sp_subtest_state(record, at_fault, step);

        if (!sp_step_is_subtest(step))
            continue;
        counts->tests++;
        counts->skipped += state != SP_SUBTEST_PASSED && state != SP_SUBTEST_FAILED;
    }
}

/* Formats numbers with a decimal point, whatever the locale. */
static void number(char *buffer, gsize size, double value)
{
    g_ascii_formatd(buffer, (int)size, "%.3f", MAX(value, 0));
}

static void begin_counted(
    SpMarkup *markup, const char *element, const char *name, const Counts *counts, double seconds)
{
    char time[G_ASCII_DTOSTR_BUF_SIZE];
    g_autofree char *tests = g_strdup_printf("%u", counts->tests);
    g_autofree char *failures = g_strdup_printf("%u", counts->failures);
    g_autofree char *errors = g_strdup_printf("%u", counts->errors);

    number(time, sizeof time, seconds);
    sp_markup_begin(markup, element, "name", name, "tests", tests, "failures", failures, "errors",
        errors, "time", time, NULL);
}

static void begin_case(SpMarkup *markup, const char *class, const char *name, double seconds)
{
    char time[G_ASCII_DTOSTR_BUF_SIZE];

    number(time, sizeof time, seconds);
    sp_markup_begin(markup, "testcase", "classname", class, "name", name, "time", time, NULL);
}

static void write_fault(
    SpMarkup *markup, const char *element, const char *type, const char *message, const char *text)
{
    g_autofree char *line = g_strndup(message, strcspn(message, "\n"));

    sp_markup_element(markup, element, text, "message", line, "type", type, NULL);
}

/* Why it failed, on one line: what was expected and what was seen, without the script's line. */
static char *summarize_reason(const SpRecord *record)
{
    const char *text = record->reason         ? record->reason
                       : record->failure.text ? record->failure.text
                       : record->report       ? record->report
                                              : "";
    guint max = record->reason || !record->failure.text ? 1 : REASON_LINES;
    g_auto(GStrv) lines = g_strsplit(text, "\n", (int)max + 1);
    g_autoptr(GString) reason = g_string_new(NULL);

    for (guint i = 0; i < max && lines[i] && *lines[i]; i++)
        g_string_append_printf(reason, "%s%s", i > 0 ? "; " : "", g_strstrip(lines[i]));
    return sp_text_excerpt(reason->str, reason->len, REASON_MAX);
}

/* Reports that it did not run to its end: @why, and because of @what if that is not NULL. */
static void write_skipped(SpMarkup *markup, const char *why, const char *what)
{
    g_autofree char *message = g_strconcat(why, what, NULL);

    write_fault(markup, "skipped", "stopped", message, "");
}

static void write_test_suite(SpMarkup *markup, const SpRecord *record, const SpRecordStep *at_fault)
{
    const char *report = record->report ? record->report : "";
    g_autofree char *reason = summarize_reason(record);

    begin_case(markup, CLASS, record->name, record->seconds);
    if (at_fault)
        write_skipped(markup, "a subtest of it failed: ", at_fault->text);
    else if (record->kind == SP_RESULT_FAILED)
        write_fault(markup, "failure", "failed", reason, report);
    else if (record->kind == SP_RESULT_ERROR)
        write_fault(markup, "error", "error", reason, report);
    else if (record->kind == SP_RESULT_SKIPPED)
        write_fault(markup, "skipped", "stopped",
            record->dir ? "stopped by the user" : "not started", report);
    sp_markup_end(markup);
}

static void write_subtest_case(SpMarkup *markup, const SpRecord *record,
    const SpRecordStep *at_fault, const SpRecordStep *step, const char *name)
{
    g_autofree char *reason = summarize_reason(record);

    begin_case(markup, record->name, name, step->seconds);
    switch (sp_subtest_state(record, at_fault, step)) {
    case SP_SUBTEST_PASSED:
        break;
    case SP_SUBTEST_FAILED:
        write_fault(markup, "failure", "failed", reason, record->report ? record->report : reason);
        break;
    case SP_SUBTEST_LEFT:
        write_skipped(markup, "a subtest of it failed: ", at_fault->text);
        break;
    case SP_SUBTEST_CAUGHT:
        write_skipped(markup, "it failed, which the script caught: see the log", NULL);
        break;
    case SP_SUBTEST_STOPPED:
        write_skipped(markup, "it did not end", NULL);
        break;
    }
    sp_markup_end(markup);
}

/* Makes names unique, as readers merge cases of one name. @names counts the uses of each. */
static char *make_distinct(GHashTable *names, const char *name)
{
    char *distinct = g_strdup(name);
    guint n = 1;

    while (g_hash_table_contains(names, distinct)) {
        n = MAX(GPOINTER_TO_UINT(g_hash_table_lookup(names, name)), n) + 1;
        g_hash_table_insert(names, g_strdup(name), GUINT_TO_POINTER(n));
        g_free(distinct);
        distinct = g_strdup_printf("%s (%u)", name, n);
    }
    g_hash_table_insert(names, g_strdup(distinct), GUINT_TO_POINTER(1));
    return distinct;
}

static void write_subtests(SpMarkup *markup, const SpRecord *record, const SpRecordStep *at_fault)
{
    g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    for (guint i = 0; i < record->steps->len; i++) {
        const SpRecordStep *step = g_ptr_array_index(record->steps, i);
        g_autofree char *name = NULL;

        if (!sp_step_is_subtest(step))
            continue;
        name = make_distinct(names, step->text ? step->text : "");
        write_subtest_case(markup, record, at_fault, step, name);
    }
}

/* As a property of the suite, where the schema allows it. */
static void write_kept_property(SpMarkup *markup, const char *stamp)
{
    g_autofree char *value = g_strdup_printf("run on %sZ", stamp);

    sp_markup_begin(markup, "properties", NULL);
    sp_markup_begin(markup, "property", "name", "kept", "value", value, NULL);
    sp_markup_end(markup);
    sp_markup_end(markup);
}

/* A test that did not begin is reported with the time of the run. */
static void write_suite(SpMarkup *markup, const SpRecord *record, gint64 run_began_s)
{
    g_autoptr(GDateTime) time =
        g_date_time_new_from_unix_utc(record->began_s ? record->began_s : run_began_s);
    g_autofree char *stamp = time ? g_date_time_format(time, "%Y-%m-%dT%H:%M:%S") : NULL;
    g_autofree char *skipped = NULL;
    const SpRecordStep *at_fault = sp_subtest_at_fault(record);
    Counts counts = {0};

    count_test(record, &counts);
    begin_counted(markup, "testsuite", record->name, &counts, record->seconds);
    skipped = g_strdup_printf("%u", counts.skipped);
    sp_markup_attributes(
        markup, "skipped", skipped, "timestamp", stamp, "hostname", g_get_host_name(), NULL);
    if (record->is_kept)
        write_kept_property(markup, stamp);
    write_test_suite(markup, record, at_fault);
    write_subtests(markup, record, at_fault);
    sp_markup_end(markup);
}

SpMarkup *sp_junit_make(const SpSummary *summary)
{
    SpMarkup *markup = sp_markup_new_xml();
    Counts counts = {0};

    for (guint i = 0; i < summary->records->len; i++)
        count_test(g_ptr_array_index(summary->records, i), &counts);
    begin_counted(markup, "testsuites", CLASS, &counts, summary->seconds);
    for (guint i = 0; i < summary->records->len; i++)
        write_suite(markup, g_ptr_array_index(summary->records, i), summary->began_s);
    sp_markup_end(markup);
    return markup;
}
