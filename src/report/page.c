/* SPDX-License-Identifier: MIT */
#include "report/page.h"

#include "report/sections.h"
#include "report/style.h"

#include <math.h>

#define PICTURES_MAX (16u * 1024 * 1024)

typedef void (*SectionFunc)(SpMarkup *markup, const SpRecord *record, SpPageRoom *room);

/* In the order in which they are read. */
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

bool sp_record_is_bad(const SpRecord *record)
{
    return record->kind == SP_RESULT_FAILED || record->kind == SP_RESULT_ERROR;
}

char *sp_seconds_text(double seconds)
{
    if (seconds < 1)
        return g_strdup_printf("%.2f s", MAX(seconds, 0));
    if (seconds < 60)
        return g_strdup_printf("%.1f s", seconds);
    return g_strdup_printf("%.0f min %02d s", floor(seconds / 60), (int)fmod(seconds, 60));
}

double sp_record_length(const SpRecord *record)
{
    return MAX(record->end, 0.001);
}

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

static void write_row(SpMarkup *markup, const SpRecord *record, const char *target)
{
    g_autofree char *time = sp_seconds_text(record->seconds);
    guint all, passed;

    count_subtests(record, &all, &passed);
    sp_markup_begin(markup, "tr", NULL);
    sp_markup_begin(markup, "td", NULL);
    write_badge(markup, record->kind);
    sp_markup_end(markup);
    sp_markup_begin(markup, "th", "scope", "row", NULL);
    sp_markup_element(markup, "a", record->name, "href", target, NULL);
    if (*record->description)
        sp_markup_element(markup, "span", record->description, "class", "description", NULL);
    if (record->is_kept) {
        g_autofree char *kept = sp_record_kept_text(record);
        sp_markup_element(markup, "span", kept, "class", "description", NULL);
    }
    sp_markup_end(markup);
    sp_markup_begin(markup, "td", "class", "number", NULL);
    if (all > 0)
        sp_markup_printf(markup, "%u of %u", passed, all);
    sp_markup_end(markup);
    sp_markup_element(markup, "td", has_begun(record) ? time : "", "class", "number", NULL);
    sp_markup_end(markup);
}

static void write_table(SpMarkup *markup, const GPtrArray *records)
{
    static const char *const heads[] = {"Result", "Test", "Subtests", "Time"};

    sp_markup_begin(markup, "table", "class", "tests", NULL);
    sp_markup_element(markup, "caption", "The tests", "class", "unseen", NULL);
    sp_markup_begin(markup, "thead", NULL);
    sp_markup_begin(markup, "tr", NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(heads); i++)
        sp_markup_element(
            markup, "th", heads[i], "scope", "col", "class", i > 1 ? "number" : NULL, NULL);
    sp_markup_end(markup);
    sp_markup_end(markup);
    sp_markup_begin(markup, "tbody", NULL);
    for (guint i = 0; i < records->len; i++) {
        g_autofree char *target = g_strdup_printf("#test-%u", i + 1);
        write_row(markup, g_ptr_array_index(records, i), target);
    }
    sp_markup_end(markup);
    sp_markup_end(markup);
}

/* "1 failed, 3 passed" */
static char *describe(const SpSummary *summary)
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
    /* a second lock besides the escaping */
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

static void write_kept(SpMarkup *markup, const SpRecord *record)
{
    g_autofree char *kept = sp_record_kept_text(record);

    sp_markup_begin(markup, "p", "class", "faint", NULL);
    sp_markup_printf(markup, "%s: nothing that decides it has changed since.%s", kept,
        record->dir ? "" : " The files that it wrote then are not in this directory.");
    sp_markup_end(markup);
}

static void write_test(SpMarkup *markup, const SpRecord *record, const char *id, SpPageRoom *room)
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
        write_kept(markup, record);
    for (gsize i = 0; has_begun(record) && i < G_N_ELEMENTS(sections); i++)
        sections[i](markup, record, room);
    if (!has_begun(record) && record->report)
        sp_section_failure(markup, record, room);
    else if (!has_begun(record))
        sp_markup_element(markup, "p", "It was not begun.", NULL);
    sp_markup_end(markup);
}

/* What failed is looked at first; otherwise as they ended. */
static int compare(const void *a, const void *b)
{
    return sp_record_is_bad(*(SpRecord *const *)b) - sp_record_is_bad(*(SpRecord *const *)a);
}

SpMarkup *sp_page_make(const SpSummary *summary)
{
    SpMarkup *markup = sp_markup_new_html();
    g_autoptr(GPtrArray) records = g_ptr_array_new();
    g_autofree char *verdict = describe(summary);
    SpPageRoom room = {.pictures = PICTURES_MAX};

    sp_markup_begin(markup, "html", "lang", "en", NULL);
    write_head(markup, verdict);
    sp_markup_begin(markup, "body", NULL);
    write_header(markup, summary, verdict);
    sp_markup_begin(markup, "main", NULL);
    for (guint i = 0; i < summary->records->len; i++)
        g_ptr_array_add(records, g_ptr_array_index(summary->records, i));
    g_ptr_array_sort(records, compare); /* which is stable */
    write_table(markup, records);
    for (guint i = 0; i < records->len; i++) {
        g_autofree char *id = g_strdup_printf("test-%u", i + 1);
        write_test(markup, g_ptr_array_index(records, i), id, &room);
    }
    return markup;
}
