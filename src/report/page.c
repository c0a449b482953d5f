/* SPDX-License-Identifier: MIT */
#include "report/page.h"

#include "report/sections.h"
#include "report/style.h"

#include <math.h>

#define SCREENSHOTS_MAX (16u * 1024 * 1024)

typedef void (*SectionFunc)(SpMarkup *markup, const SpRecord *record, SpPageBudget *budget);

/* In the order of the page. */
static const SectionFunc sections[] = {
    sp_section_failure,
    sp_section_time_line,
    sp_section_power_cuts,
    sp_section_subtests,
    sp_section_screens,
    sp_section_messages,
    sp_section_consoles,
    sp_section_steps,
    sp_section_files,
};

static void write_badge(SpMarkup *markup, SpResultKind kind)
{
    g_autofree char *class = g_strdup_printf("badge %s", sp_result_word(kind));

    sp_markup_element(markup, "span", sp_result_word(kind), "class", class, NULL);
}

static void count_subtests(const SpRecord *record, guint *ret_all, guint *ret_passed)
{
    *ret_all = *ret_passed = 0;
    for (guint i = 0; i < record->steps->len; i++) {
        const SpRecordStep *step = g_ptr_array_index(record->steps, i);

        if (!g_str_equal(step->kind, "subtest"))
            continue;
        (*ret_all)++;
        *ret_passed += !step->failure && step->seconds >= 0;
    }
}

static bool has_begun(const SpRecord *record)
{
    return record->dir || record->is_kept;
}

static void write_result_cell(SpMarkup *markup, const SpRecord *record)
{
    write_badge(markup, record->kind);
}

static void write_test_cell(SpMarkup *markup, const SpRecord *record)
{
    if (*record->description)
        sp_markup_element(markup, "span", record->description, "class", "description", NULL);
    if (record->is_kept) {
        g_autofree char *kept = sp_record_kept_text(record);
        sp_markup_element(markup, "span", kept, "class", "description", NULL);
    }
}

static void write_subtests_cell(SpMarkup *markup, const SpRecord *record)
{
    guint all, passed;

    count_subtests(record, &all, &passed);
    if (all > 0)
        sp_markup_printf(markup, "%u of %u", passed, all);
}

static void write_time_cell(SpMarkup *markup, const SpRecord *record)
{
    g_autofree char *time = sp_seconds_text(record->seconds);

    if (has_begun(record))
        sp_markup_printf(markup, "%s", time);
}

/* The columns of the table of tests. */
static const struct {
    const char *heading;
    const char *class;  /* may be NULL */
    bool is_row_header; /* its cells begin with a link to the test's part */
    void (*write)(SpMarkup *markup, const SpRecord *record);
} columns[] = {
    {"Result", NULL, false, write_result_cell},
    {"Test", NULL, true, write_test_cell},
    {"Subtests", "number", false, write_subtests_cell},
    {"Time", "number", false, write_time_cell},
};

static void write_test_row(SpMarkup *markup, const SpRecord *record, const char *target)
{
    sp_markup_begin(markup, "tr", NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(columns); i++) {
        sp_markup_begin(markup, columns[i].is_row_header ? "th" : "td", "scope",
            columns[i].is_row_header ? "row" : NULL, "class", columns[i].class, NULL);
        if (columns[i].is_row_header)
            sp_markup_element(markup, "a", record->name, "href", target, NULL);
        columns[i].write(markup, record);
        sp_markup_end(markup);
    }
    sp_markup_end(markup);
}

static void write_table(SpMarkup *markup, const GPtrArray *records)
{
    sp_markup_begin(markup, "table", "class", "tests", NULL);
    sp_markup_element(markup, "caption", "The tests", "class", "unseen", NULL);
    sp_markup_begin(markup, "thead", NULL);
    sp_markup_begin(markup, "tr", NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(columns); i++)
        sp_markup_element(
            markup, "th", columns[i].heading, "scope", "col", "class", columns[i].class, NULL);
    sp_markup_end(markup);
    sp_markup_end(markup);
    sp_markup_begin(markup, "tbody", NULL);
    for (guint i = 0; i < records->len; i++) {
        g_autofree char *target = g_strdup_printf("#test-%u", i + 1);
        write_test_row(markup, g_ptr_array_index(records, i), target);
    }
    sp_markup_end(markup);
    sp_markup_end(markup);
}

/* "1 failed, 3 passed" */
static char *describe_results(const SpSummary *summary)
{
    static const SpResultKind kinds[] = {
        SP_RESULT_FAILED, SP_RESULT_ERROR, SP_RESULT_PASSED, SP_RESULT_SKIPPED};
    GString *text = g_string_new(NULL);

    for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
        guint n = sp_summary_count(summary, kinds[i]);
        const char *word = kinds[i] == SP_RESULT_ERROR ? "in error" : sp_result_word(kinds[i]);

        if (n > 0)
            g_string_append_printf(text, "%s%u %s", text->len > 0 ? ", " : "", n, word);
    }
    return g_string_free(text->len > 0 ? text : g_string_append(text, "no tests"), FALSE);
}

static void write_head(SpMarkup *markup, const char *verdict)
{
    g_autofree char *title = g_strconcat("slotproof: ", verdict, NULL);

    sp_markup_begin(markup, "head", NULL);
    sp_markup_element(markup, "meta", "", "charset", "utf-8", NULL);
    /* a second line of defence besides escaping */
    sp_markup_element(markup, "meta", "", "http-equiv", "Content-Security-Policy", "content",
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:", NULL);
    sp_markup_element(markup, "meta", "", "name", "viewport", "content",
        "width=device-width, initial-scale=1", NULL);
    sp_markup_element(markup, "meta", "", "name", "color-scheme", "content", "light dark", NULL);
    sp_markup_element(markup, "title", title, NULL);
    sp_markup_style(markup, (const char *)sp_report_style, sp_report_style_size);
    sp_markup_end(markup);
}

static void write_header(SpMarkup *markup, const SpSummary *summary, const char *verdict)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(summary->began_s);
    g_autofree char *day = time ? g_date_time_format(time, "%e %B %Y, %H:%M") : NULL;
    g_autofree char *machine_day = time ? g_date_time_format_iso8601(time) : NULL;
    g_autofree char *length = sp_seconds_text(summary->seconds);
    bool is_bad = sp_summary_count(summary, SP_RESULT_FAILED) > 0 ||
                  sp_summary_count(summary, SP_RESULT_ERROR) > 0;

    sp_markup_begin(markup, "header", NULL);
    sp_markup_element(markup, "p", "slotproof", "class", "program", NULL);
    sp_markup_element(markup, "h1", verdict, "class", is_bad ? "bad" : "good", NULL);
    sp_markup_begin(markup, "p", "class", "faint", NULL);
    if (summary->began_s > 0 && day) {
        sp_markup_element(markup, "time", g_strchug(day), "datetime", machine_day, NULL);
        sp_markup_printf(markup, " on %s, %s", g_get_host_name(), length);
    }
    sp_markup_end(markup);
    sp_markup_end(markup);
}

static void write_kept_note(SpMarkup *markup, const SpRecord *record)
{
    g_autofree char *kept = sp_record_kept_text(record);

    sp_markup_begin(markup, "p", "class", "faint", NULL);
    sp_markup_printf(markup, "%s: nothing that affects the result has changed since.%s", kept,
        record->dir ? "" : " The files that it wrote then are not in this directory.");
    sp_markup_end(markup);
}

static void write_test_part(
    SpMarkup *markup, const SpRecord *record, const char *id, SpPageBudget *budget)
{
    g_autofree char *heading = g_strconcat(id, "-name", NULL);

    sp_markup_begin(markup, "article", "id", id, "aria-labelledby", heading, NULL);
    sp_markup_begin(markup, "h2", "id", heading, NULL);
    sp_markup_text(markup, record->name);
    sp_markup_text(markup, " ");
    write_badge(markup, record->kind);
    sp_markup_end(markup);
    if (*record->description)
        sp_markup_element(markup, "p", record->description, "class", "faint", NULL);
    if (record->is_kept)
        write_kept_note(markup, record);
    for (gsize i = 0; has_begun(record) && i < G_N_ELEMENTS(sections); i++)
        sections[i](markup, record, budget);
    if (!has_begun(record) && record->report)
        sp_section_failure(markup, record, budget);
    else if (!has_begun(record))
        sp_markup_element(markup, "p", "Not started.", NULL);
    sp_markup_end(markup);
}

/* Failures first, otherwise in the order in which the tests ended. */
static int compare_records(const void *a, const void *b)
{
    return sp_record_is_bad(*(SpRecord *const *)b) - sp_record_is_bad(*(SpRecord *const *)a);
}

SpMarkup *sp_page_make(const SpSummary *summary)
{
    SpMarkup *markup = sp_markup_new_html();
    g_autoptr(GPtrArray) records = g_ptr_array_new();
    g_autofree char *verdict = describe_results(summary);
    SpPageBudget budget = {.screenshots = SCREENSHOTS_MAX};

    sp_markup_begin(markup, "html", "lang", "en", NULL);
    write_head(markup, verdict);
    sp_markup_begin(markup, "body", NULL);
    write_header(markup, summary, verdict);
    sp_markup_begin(markup, "main", NULL);
    for (guint i = 0; i < summary->records->len; i++)
        g_ptr_array_add(records, g_ptr_array_index(summary->records, i));
    g_ptr_array_sort(records, compare_records); /* a stable sort */
    write_table(markup, records);
    for (guint i = 0; i < records->len; i++) {
        g_autofree char *id = g_strdup_printf("test-%u", i + 1);
        write_test_part(markup, g_ptr_array_index(records, i), id, &budget);
    }
    return markup;
}
