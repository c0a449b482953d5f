/* SPDX-License-Identifier: MIT */
#include "report/sections.h"

#include "report/subtests.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX 200u
#define SUBTESTS_MAX 1000u

/* The lines of the script, with those that failed marked. */
static void write_source(SpMarkup *markup, const SpRecordFailure *failure)
{
    g_auto(GStrv) lines = g_strsplit(failure->source, "\n", -1);

    sp_markup_begin(markup, "pre", "class", "source", NULL);
    for (guint i = 0; lines[i]; i++) {
        guint number = failure->first + i;
        bool is_here = number >= failure->line && number <= failure->last_line;

        sp_markup_begin(markup, is_here ? "mark" : "span", "class", "line", NULL);
        sp_markup_begin(markup, "span", "class", "number", NULL);
        sp_markup_printf(markup, "%5u ", number);
        sp_markup_end(markup);
        sp_markup_printf(markup, "%s\n", lines[i]);
        sp_markup_end(markup);
    }
    sp_markup_end(markup);
}

static void write_place(SpMarkup *markup, const SpRecordFailure *failure)
{
    sp_markup_begin(markup, "p", "class", "place", NULL);
    sp_markup_begin(markup, "code", NULL);
    sp_markup_printf(markup, "%s:%u", failure->file, failure->line);
    sp_markup_end(markup);
    if (failure->subtest)
        sp_markup_printf(markup, ", in subtest “%s”", failure->subtest);
    sp_markup_end(markup);
}

/* The report up to the location, possibly several lines. */
static char *get_headline(const char *report)
{
    const char *place = strstr(report, "\n  at ");

    return g_strndup(report, place ? (gsize)(place - report) : strcspn(report, "\n"));
}

void sp_section_failure(SpMarkup *markup, const SpRecord *record, SpPageBudget *budget)
{
    const SpRecordFailure *failure = &record->failure;
    bool is_known = failure->text && failure->file && failure->source;
    g_autofree char *headline = NULL;

    if (!record->report)
        return;
    sp_markup_begin(markup, "section", "class", sp_record_is_bad(record) ? "fault" : NULL, NULL);
    sp_markup_element(
        markup, "h3", sp_record_is_bad(record) ? "What failed" : "Where it was", NULL);
    if (is_known) {
        headline = failure->headline ? g_strdup(failure->headline) : get_headline(record->report);
        if (record->reason)
            sp_markup_element(markup, "p", record->reason, NULL);
        sp_markup_element(markup, "p", headline, "class", "headline", NULL);
        write_place(markup, failure);
        write_source(markup, failure);
        sp_markup_element(markup, "pre", failure->text, NULL);
        if (failure->chain) {
            sp_markup_element(
                markup, "p", "It is one of several exceptions, in order:", "class", "faint", NULL);
            sp_markup_element(markup, "pre", failure->chain, NULL);
        }
        sp_markup_begin(markup, "details", NULL);
        sp_markup_element(markup, "summary", "The failure as it was printed", NULL);
        sp_markup_element(markup, "pre", record->report, NULL);
        sp_markup_end(markup);
    } else {
        sp_markup_element(markup, "pre", record->report, NULL);
    }
    sp_markup_end(markup);
}

static void write_subtest_row(SpMarkup *markup, const SpRecord *record, const SpRecordStep *step)
{
    static const struct {
        const char *word, *class;
    } badges[] = {
        [SP_SUBTEST_PASSED] = {"passed", "badge passed"},
        [SP_SUBTEST_FAILED] = {"failed", "badge failed"},
        [SP_SUBTEST_LEFT] = {"failed", "badge failed"},
        [SP_SUBTEST_CAUGHT] = {"failed, caught", "badge stopped"},
        [SP_SUBTEST_STOPPED] = {"stopped", "badge stopped"},
    };
    SpSubtestState state = sp_subtest_state(record, sp_subtest_at_fault(record), step);
    const char *word = badges[state].word, *class = badges[state].class;
    g_autofree char *time = step->seconds >= 0 ? sp_seconds_text(step->seconds) : NULL;

    sp_markup_begin(markup, "tr", NULL);
    sp_markup_begin(markup, "td", NULL);
    sp_markup_element(markup, "span", word, "class", class, NULL);
    sp_markup_end(markup);
    sp_markup_element(markup, "th", step->text, "scope", "row", NULL);
    sp_markup_element(markup, "td", time ? time : "", "class", "number", NULL);
    sp_markup_end(markup);
}

void sp_section_subtests(SpMarkup *markup, const SpRecord *record, SpPageBudget *budget)
{
    guint count = 0;

    for (guint i = 0; i < record->steps->len; i++) {
        const SpRecordStep *step = g_ptr_array_index(record->steps, i);

        /* those that failed are always shown */
        if (!sp_step_is_subtest(step) || (count >= SUBTESTS_MAX && !step->failure))
            continue;
        if (count++ == 0) {
            sp_markup_begin(markup, "section", NULL);
            sp_markup_element(markup, "h3", "Subtests", NULL);
            sp_markup_begin(markup, "table", "class", "subtests", NULL);
            sp_markup_element(markup, "caption", "The subtests", "class", "unseen", NULL);
            sp_markup_begin(markup, "tbody", NULL);
        }
        write_subtest_row(markup, record, step);
    }
    if (count == 0)
        return;
    sp_markup_end(markup);
    sp_markup_end(markup);
    sp_markup_end(markup);
}

void sp_section_messages(SpMarkup *markup, const SpRecord *record, SpPageBudget *budget)
{
    if (record->messages.length == 0)
        return;
    sp_markup_begin(markup, "section", NULL);
    sp_markup_element(markup, "h3", "Messages", NULL);
    sp_markup_begin(markup, "details", NULL);
    sp_markup_element(markup, "summary", "The last of what was printed and logged", NULL);
    sp_markup_begin(markup, "pre", "class", "messages", NULL);
    for (const GList *l = record->messages.head; l; l = l->next)
        sp_markup_printf(markup, "%s\n", (const char *)l->data);
    sp_markup_end(markup);
    sp_markup_end(markup);
    sp_markup_end(markup);
}

static void write_console(SpMarkup *markup, const SpRecordConsole *console, bool is_open)
{
    sp_markup_begin(markup, "details", "open", is_open ? "" : NULL, NULL);
    sp_markup_begin(markup, "summary", NULL);
    sp_markup_printf(markup, "The last lines of the console of %s", console->machine);
    sp_markup_end(markup);
    sp_markup_begin(markup, "pre", "class", "console", NULL);
    for (const GList *l = console->lines.head; l; l = l->next)
        sp_markup_printf(markup, "%s\n", (const char *)l->data);
    sp_markup_end(markup);
    sp_markup_end(markup);
}

void sp_section_consoles(SpMarkup *markup, const SpRecord *record, SpPageBudget *budget)
{
    bool has_begun = false;

    for (guint i = 0; i < record->consoles->len; i++) {
        const SpRecordConsole *console = g_ptr_array_index(record->consoles, i);

        if (console->lines.length == 0)
            continue;
        if (!has_begun) {
            sp_markup_begin(markup, "section", NULL);
            sp_markup_element(markup, "h3", "Consoles", NULL);
        }
        has_begun = true;
        write_console(markup, console, sp_record_is_bad(record));
    }
    if (has_begun)
        sp_markup_end(markup);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of the directory's entries, sorted, without hidden ones, such as our markers. */
static GPtrArray *list_files(const char *dir)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    GDir *open_dir = dir ? g_dir_open(dir, 0, NULL) : NULL;
    const char *name;

    while (open_dir && names->len < FILES_MAX && (name = g_dir_read_name(open_dir))) {
        if (*name != '.')
            g_ptr_array_add(names, g_strdup(name));
    }
    g_ptr_array_sort(names, compare_names);
    if (open_dir)
        g_dir_close(open_dir);
    return names;
}

static void write_file_link(SpMarkup *markup, const char *dir, const char *name)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);
    g_autofree char *base = g_path_get_basename(dir);
    /* relative: "./" in front keeps a name from being taken for a scheme */
    g_autofree char *escaped_base = g_uri_escape_string(base, NULL, FALSE);
    g_autofree char *escaped = g_uri_escape_string(name, NULL, FALSE);
    g_autofree char *link = g_strdup_printf("./%s/%s", escaped_base, escaped);
    g_autofree char *size = NULL;
    struct stat st;

    if (lstat(path, &st) < 0)
        return;
    if (S_ISREG(st.st_mode))
        size = g_format_size((guint64)st.st_size);
    sp_markup_begin(markup, "li", NULL);
    sp_markup_element(markup, "a", name, "href", link, NULL);
    if (size)
        sp_markup_element(markup, "span", size, "class", "faint", NULL);
    sp_markup_end(markup);
}

void sp_section_files(SpMarkup *markup, const SpRecord *record, SpPageBudget *budget)
{
    g_autoptr(GPtrArray) names = list_files(record->dir);

    if (names->len == 0)
        return;
    sp_markup_begin(markup, "section", NULL);
    sp_markup_element(markup, "h3", "Files", NULL);
    sp_markup_begin(markup, "ul", "class", "files", NULL);
    for (guint i = 0; i < names->len; i++)
        write_file_link(markup, record->dir, g_ptr_array_index(names, i));
    sp_markup_end(markup);
    sp_markup_end(markup);
}
