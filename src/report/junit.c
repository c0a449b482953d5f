/* SPDX-License-Identifier: MIT */
#include "report/junit.h"

#include <string.h>

#define CLASS "slotproof"

typedef struct {
    guint tests, failures, errors, skipped;
} Counts;

static bool is_subtest(const SpRecordStep *step)
{
    return g_strcmp0(step->kind, "subtest") == 0;
}

static void count_test(const SpRecord *record, Counts *counts)
{
    counts->tests++;
    counts->failures += record->kind == SP_RESULT_FAILED;
    counts->errors += record->kind == SP_RESULT_ERROR;
    counts->skipped += record->kind == SP_RESULT_SKIPPED;
    for (guint i = 0; i < record->steps->len; i++) {
        const SpRecordStep *step = g_ptr_array_index(record->steps, i);

        counts->tests += is_subtest(step);
        counts->failures += is_subtest(step) && step->failure;
        counts->skipped += is_subtest(step) && step->seconds < 0;
    }
}

/* Numbers as attributes: with a point, whatever the locale. */
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

static void write_test(SpMarkup *markup, const SpRecord *record)
{
    const char *report = record->report ? record->report : "";

    begin_case(markup, CLASS, record->name, record->seconds);
    if (record->kind == SP_RESULT_FAILED)
        write_fault(markup, "failure", "failed", report, report);
    else if (record->kind == SP_RESULT_ERROR)
        write_fault(markup, "error", "error", report, report);
    else if (record->kind == SP_RESULT_SKIPPED)
        write_fault(markup, "skipped", "stopped", record->dir ? "stopped by the user" : "not begun",
            report);
    sp_markup_end(markup);
}

static void write_subtest(SpMarkup *markup, const SpRecord *record, const SpRecordStep *step)
{
    begin_case(markup, record->name, step->text ? step->text : "", step->seconds);
    if (step->failure)
        write_fault(markup, "failure", "failed",
            record->failure.text ? record->failure.text : step->failure,
            "The report is that of the test.");
    else if (step->seconds < 0)
        write_fault(markup, "skipped", "stopped", "it did not come to its end", "");
    sp_markup_end(markup);
}

/* One that did not begin is told of with the time of the run. */
static void write_suite(SpMarkup *markup, const SpRecord *record, gint64 run_began_s)
{
    g_autoptr(GDateTime) time =
        g_date_time_new_from_unix_utc(record->began_s ? record->began_s : run_began_s);
    g_autofree char *stamp = time ? g_date_time_format(time, "%Y-%m-%dT%H:%M:%S") : NULL;
    g_autofree char *skipped = NULL;
    Counts counts = {0};

    count_test(record, &counts);
    begin_counted(markup, "testsuite", record->name, &counts, record->seconds);
    skipped = g_strdup_printf("%u", counts.skipped);
    sp_markup_attributes(
        markup, "skipped", skipped, "timestamp", stamp, "hostname", g_get_host_name(), NULL);
    write_test(markup, record);
    for (guint i = 0; i < record->steps->len; i++) {
        const SpRecordStep *step = g_ptr_array_index(record->steps, i);

        if (is_subtest(step))
            write_subtest(markup, record, step);
    }
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
