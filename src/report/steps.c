/* SPDX-License-Identifier: MIT */

/* All steps of a test as a list, with what happened to its machines in between. */

#include "report/sections.h"

#include <string.h>

/* Only that many are shown from the beginning and the end; those that failed always are. */
#define LIST_HALF 250u
#define OUTPUT_MAX 2048u

/* The first line of a text; the rest is shown when it is opened. */
static char *find_first_line(const char *text)
{
    gsize length = strcspn(text, "\n");

    return g_strndup(text, length);
}

/* The failure of a step that contains a failed one says nothing new. */
static const char *get_failure_reason(const SpRecordStep *step)
{
    return step->failure && !g_str_equal(step->failure, "failed") ? step->failure : NULL;
}

static bool has_more(const SpRecordStep *step)
{
    return strchr(step->text, '\n') || get_failure_reason(step) || step->output || step->errors;
}

static void write_track(SpMarkup *markup, const SpRecordStep *step, double whole)
{
    double end = step->seconds >= 0 ? step->begin + step->seconds : whole;
    g_autoptr(GString) style = g_string_new(NULL);

    sp_append_percent(style, "left", step->begin, whole);
    sp_append_percent(style, "width", end - step->begin, whole);
    sp_markup_begin(markup, "span", "class", "track", "aria-hidden", "true", NULL);
    sp_markup_element(markup, "span", "", "class", sp_step_class(step), "style", style->str, NULL);
    sp_markup_end(markup);
}

static void write_what(SpMarkup *markup, const char *machine, const char *text, guint depth)
{
    g_autofree char *style = g_strdup_printf("--depth:%u", MIN(depth, 8));
    g_autofree char *line = find_first_line(text);

    sp_markup_begin(markup, "span", "class", "what", "style", style, NULL);
    if (machine) {
        sp_markup_element(markup, "b", machine, NULL);
        sp_markup_text(markup, " ");
    }
    sp_markup_text(markup, line);
    sp_markup_end(markup);
}

static void write_step_row(SpMarkup *markup, const SpRecordStep *step, double whole)
{
    g_autofree char *begin = sp_seconds_text(step->begin);
    g_autofree char *length = step->seconds >= 0 ? sp_seconds_text(step->seconds) : NULL;

    sp_markup_element(markup, "span", begin, "class", "at", NULL);
    write_what(markup, step->machine, step->text, step->depth);
    sp_markup_element(markup, "span", length ? length : "…", "class", "for", NULL);
    write_track(markup, step, whole);
}

static void write_step_output(SpMarkup *markup, const char *name, const char *text)
{
    if (!text || !*text)
        return;
    sp_markup_element(markup, "p", name, "class", "faint", NULL);
    if (strlen(text) > OUTPUT_MAX) {
        g_autofree char *end = g_utf8_make_valid(text + strlen(text) - OUTPUT_MAX, -1);
        g_autofree char *cut = g_strconcat("[... the beginning is in events.jsonl]\n", end, NULL);
        sp_markup_element(markup, "pre", cut, NULL);
    } else {
        sp_markup_element(markup, "pre", text, NULL);
    }
}

static void write_step(SpMarkup *markup, const SpRecordStep *step, double whole)
{
    g_autofree char *status = step->has_status ? g_strdup_printf("%d", step->status) : NULL;

    sp_markup_begin(markup, "li", "class", step->failure ? "failed" : NULL, NULL);
    if (!has_more(step)) {
        sp_markup_begin(markup, "div", "class", "row", NULL);
        write_step_row(markup, step, whole);
        sp_markup_end(markup);
    } else {
        sp_markup_begin(markup, "details", NULL);
        sp_markup_begin(markup, "summary", "class", "row", NULL);
        write_step_row(markup, step, whole);
        sp_markup_end(markup);
        if (strchr(step->text, '\n'))
            sp_markup_element(markup, "pre", step->text, NULL);
        write_step_output(markup, "failed:", get_failure_reason(step));
        write_step_output(markup, "exit status:", step->status != 0 ? status : NULL);
        write_step_output(markup, "stdout:", step->output);
        write_step_output(markup, "stderr:", step->errors);
        sp_markup_end(markup);
    }
    sp_markup_end(markup);
}

static void write_mark(SpMarkup *markup, const SpRecordMark *mark)
{
    g_autofree char *time = sp_seconds_text(mark->time);

    sp_markup_begin(markup, "li", "class", "event", NULL);
    sp_markup_begin(markup, "div", "class", "row", NULL);
    sp_markup_element(markup, "span", time, "class", "at", NULL);
    write_what(markup, mark->machine, mark->text, 0);
    sp_markup_end(markup);
    sp_markup_end(markup);
}

/* The marks up to @time, from *@next on. */
static void write_marks_until(
    SpMarkup *markup, const SpRecord *record, guint *next, double time, bool are_shown)
{
    for (; *next < record->marks->len; (*next)++) {
        const SpRecordMark *mark = g_ptr_array_index(record->marks, *next);

        if (mark->time > time)
            return;
        if (are_shown)
            write_mark(markup, mark);
    }
}

static void write_list(SpMarkup *markup, const SpRecord *record)
{
    double whole = sp_record_length(record);
    guint next = 0, left_out = 0;

    for (guint i = 0; i < record->steps->len; i++) {
        const SpRecordStep *step = g_ptr_array_index(record->steps, i);
        bool is_shown = i < LIST_HALF || i + LIST_HALF >= record->steps->len || step->failure;

        write_marks_until(markup, record, &next, step->begin, is_shown);
        if (is_shown)
            write_step(markup, step, whole);
        left_out += !is_shown;
        if (left_out > 0 && (is_shown || i + 1 == record->steps->len)) {
            sp_markup_begin(markup, "li", "class", "event", NULL);
            sp_markup_printf(markup, "%u earlier steps are only in events.jsonl", left_out);
            sp_markup_end(markup);
            left_out = 0;
        }
    }
    write_marks_until(markup, record, &next, whole + 1, true);
    if (record->left_out > 0) {
        sp_markup_begin(markup, "li", "class", "event", NULL);
        sp_markup_printf(markup, "%u more are only in events.jsonl", record->left_out);
        sp_markup_end(markup);
    }
}

void sp_section_steps(SpMarkup *markup, const SpRecord *record, SpPageBudget *budget)
{
    if (record->steps->len == 0 && record->marks->len == 0)
        return;
    sp_markup_begin(markup, "section", NULL);
    sp_markup_element(markup, "h3", "Steps", NULL);
    sp_markup_begin(markup, "details", NULL);
    sp_markup_begin(markup, "summary", NULL);
    sp_markup_printf(
        markup, "All %u steps, with the output of commands", record->steps->len + record->left_out);
    sp_markup_end(markup);
    sp_markup_begin(markup, "ol", "class", "steps", NULL);
    write_list(markup, record);
    sp_markup_end(markup);
    sp_markup_end(markup);
    sp_markup_end(markup);
}
