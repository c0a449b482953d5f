/* SPDX-License-Identifier: MIT */

/* What 'slotproof powercut --report' left in a test's directory: the disk's writes in their order,
 * a lane for each partition, with what boots after a power cut at each. */

#include "powercut/findings-file.h"
#include "report/sections.h"

#include <string.h>

#define FILE_MAX (16u * 1024 * 1024)
#define ENTRIES_MAX 100000u
#define BARS_MAX 3000u
#define LANES_MAX 24u
#define CLASSES_MAX 100u
#define FAILURES_MAX 10u
#define OUTCOMES 4u /* colours */

typedef struct {
    SpMarkup *markup;
    const SpFindingsFile *file;
    guint count; /* of entries */
    guint bars;  /* that may still be drawn */
} Chart;

static const SpFoundEntry *get_entry(const Chart *chart, guint i)
{
    return &g_array_index(chart->file->entries, SpFoundEntry, i);
}

/* Of a power cut after @i entries; all zeros if there is none. */
static SpFoundCut get_cut(const Chart *chart, guint i)
{
    return i < chart->file->cuts->len ? g_array_index(chart->file->cuts, SpFoundCut, i)
                                      : (SpFoundCut){.class = -1};
}

/* --- the chart -------------------------------------------------------------------------------- */

static void write_piece(
    Chart *chart, const char *class, const char *text, const char *title, guint first, guint end)
{
    g_autoptr(GString) style = g_string_new(NULL);
    double whole = chart->count + 1.0;

    if (chart->bars == 0)
        return;
    chart->bars--;
    sp_append_percent(style, "left", first, whole);
    sp_append_percent(style, "width", end - first, whole);
    sp_markup_element(
        chart->markup, "span", text, "class", class, "style", style->str, "title", title, NULL);
}

static void begin_lane(SpMarkup *markup, const char *name)
{
    sp_markup_begin(markup, "div", "class", "lane", NULL);
    sp_markup_element(markup, "span", name, "class", "name", "title", name, NULL);
    sp_markup_begin(markup, "div", "class", "track", NULL);
}

static void end_lane(SpMarkup *markup)
{
    sp_markup_end(markup);
    sp_markup_end(markup);
}

/* The lane of entry @i; NULL if it is not drawn. */
static const char *lane_of(const Chart *chart, guint i)
{
    const SpFoundEntry *entry = get_entry(chart, i);

    if (!entry->kind || !entry->partition || g_str_equal(entry->kind, "mark"))
        return NULL;
    if (g_str_equal(entry->kind, "flush"))
        return "flushes";
    return *entry->partition ? entry->partition : "no partition";
}

static GPtrArray *find_lanes(const Chart *chart)
{
    GPtrArray *lanes = g_ptr_array_new();

    for (guint i = 0; i < chart->count && lanes->len < LANES_MAX; i++) {
        const char *lane = lane_of(chart, i);

        if (lane && !g_ptr_array_find_with_equal_func(lanes, lane, g_str_equal, NULL))
            g_ptr_array_add(lanes, (void *)lane);
    }
    return lanes;
}

static void write_entries(Chart *chart, const char *lane, guint first, guint end)
{
    g_autofree char *size = NULL, *title = NULL;
    guint64 bytes = 0;

    for (guint i = first; i < end; i++)
        bytes += (guint64)CLAMP(get_entry(chart, i)->length, 0, G_MAXINT32);
    size = g_format_size_full(bytes, G_FORMAT_SIZE_IEC_UNITS);
    if (g_str_equal(lane, "flushes"))
        title = g_strdup_printf("entry %u: flush", first);
    else if (end == first + 1)
        title = g_strdup_printf("entry %u: %s, %s at byte %" G_GINT64_FORMAT, first,
            get_entry(chart, first)->kind, size, get_entry(chart, first)->offset);
    else
        title = g_strdup_printf("entries %u to %u: %s", first, end - 1, size);
    write_piece(
        chart, g_str_equal(lane, "flushes") ? "bar other" : "bar command", "", title, first, end);
}

/* Entries that follow one another are one bar. */
static void write_lane(Chart *chart, const char *lane)
{
    begin_lane(chart->markup, lane);
    for (guint i = 0; i < chart->count; i++) {
        guint first = i;

        while (i < chart->count && g_strcmp0(lane_of(chart, i), lane) == 0)
            i++;
        if (i > first)
            write_entries(chart, lane, first, i);
    }
    end_lane(chart->markup);
}

static guint colour_of(GPtrArray *outcomes, const char *outcome)
{
    guint index;

    if (g_ptr_array_find_with_equal_func(outcomes, outcome, g_str_equal, &index))
        return index % OUTCOMES;
    g_ptr_array_add(outcomes, g_strdup(outcome));
    return (outcomes->len - 1) % OUTCOMES;
}

static void write_outcome(
    Chart *chart, GPtrArray *outcomes, const char *outcome, guint first, guint end)
{
    g_autofree char *class = g_strdup_printf("bar outcome-%u", colour_of(outcomes, outcome));
    g_autofree char *title =
        g_strdup_printf("%s: power cuts after %u to %u entries", outcome, first, end - 1);

    write_piece(chart, class, outcome, title, first, end);
}

static void write_failed_cuts(Chart *chart)
{
    for (guint i = 0; i <= chart->count; i++) {
        SpFoundCut cut = get_cut(chart, i);
        g_autofree char *title = NULL;

        if (cut.failed <= 0)
            continue;
        title = g_strdup_printf("%" G_GINT64_FORMAT " of %" G_GINT64_FORMAT
                                " states with a power cut at entry %u fail",
            cut.failed, cut.states, i);
        write_piece(chart, "bar failed", "✗", title, i, i + 1);
    }
}

/* What boots after a cut at each entry; a state that is the same as another counts as the one
 * before it. */
static void write_outcomes(Chart *chart)
{
    g_autoptr(GPtrArray) outcomes = g_ptr_array_new_with_free_func(g_free);
    const char *outcome = NULL;
    guint first = 0;

    begin_lane(chart->markup, "power cut here");
    for (guint i = 0; i <= chart->count; i++) {
        gint64 class = get_cut(chart, i).class;
        const char *now =
            class >= 0 ? g_array_index(chart->file->classes, SpFoundClass, class).boots : outcome;

        if (outcome && g_strcmp0(now, outcome) != 0) {
            write_outcome(chart, outcomes, outcome, first, i);
            first = i;
        }
        outcome = now;
    }
    if (outcome)
        write_outcome(chart, outcomes, outcome, first, chart->count + 1);
    end_lane(chart->markup);
    if (chart->file->failed > 0) {
        begin_lane(chart->markup, "failed");
        write_failed_cuts(chart);
        end_lane(chart->markup);
    }
}

static void write_chart(Chart *chart)
{
    g_autoptr(GPtrArray) lanes = find_lanes(chart);
    g_autofree char *words = g_strdup_printf("The writes to the disk in their order, %u entries in "
                                             "%u lanes, and what boots after a power cut at each. "
                                             "The tables below have all of it.",
        chart->count, lanes->len);

    sp_markup_begin(
        chart->markup, "div", "class", "time-line", "role", "img", "aria-label", words, NULL);
    write_outcomes(chart);
    for (guint i = 0; i < lanes->len; i++)
        write_lane(chart, g_ptr_array_index(lanes, i));
    sp_markup_end(chart->markup);
    sp_markup_element(chart->markup, "p",
        "From left to right: each write and flush of the installation, in their order. A lane "
        "shows "
        "what was written to its partition, the first one what boots if power fails there.",
        "class", "legend", NULL);
    if (chart->bars == 0)
        sp_markup_element(chart->markup, "p", "There is more than is drawn here.", NULL);
}

/* --- the tables --------------------------------------------------------------------------------
 */

/* How the states of the class fared that were booted. */
static char *describe_boots(const SpFoundClass *class)
{
    if (class->booted == 0)
        return g_strdup("");
    return class->failed > 0 ? g_strdup_printf("%u booted, %u failed", class->booted, class->failed)
                             : g_strdup_printf("%u booted", class->booted);
}

static void write_classes(const Chart *chart)
{
    GArray *classes = chart->file->classes;

    sp_markup_begin(chart->markup, "table", NULL);
    for (guint i = 0; i < MIN(classes->len, CLASSES_MAX); i++) {
        const SpFoundClass *class = &g_array_index(classes, SpFoundClass, i);
        g_autofree char *boots = describe_boots(class);

        sp_markup_begin(chart->markup, "tr", NULL);
        sp_markup_begin(chart->markup, "td", "class", "number", NULL);
        sp_markup_printf(chart->markup, "%" G_GINT64_FORMAT, class->states);
        sp_markup_end(chart->markup);
        sp_markup_element(chart->markup, "td", class->facts, NULL);
        sp_markup_element(chart->markup, "td", boots, NULL);
        sp_markup_end(chart->markup);
    }
    sp_markup_end(chart->markup);
}

static void write_failure(SpMarkup *markup, const SpFoundFailure *failure)
{
    const char *const parts[] = {failure->writes, failure->disk, failure->machine};

    sp_markup_begin(markup, "p", "class", "headline", NULL);
    sp_markup_printf(markup, "state %s: %s", failure->state, failure->reason);
    sp_markup_end(markup);
    for (gsize i = 0; i < G_N_ELEMENTS(parts); i++) {
        if (parts[i])
            sp_markup_element(markup, "pre", parts[i], NULL);
    }
}

static void write_numbers(const Chart *chart)
{
    const SpFindingsFile *file = chart->file;

    sp_markup_begin(chart->markup, "p", NULL);
    sp_markup_printf(chart->markup,
        "%" G_GINT64_FORMAT " states seen, %" G_GINT64_FORMAT " distinct, %" G_GINT64_FORMAT
        " checked, %u booted, %" G_GINT64_FORMAT " failed.",
        file->seen, file->distinct, file->checked, file->booted, file->failed);
    sp_markup_end(chart->markup);
    if (!file->truncated)
        return;
    sp_markup_begin(chart->markup, "p", "class", "headline", NULL);
    sp_markup_printf(chart->markup, "Not all was checked: %s", file->truncated);
    sp_markup_end(chart->markup);
}

void sp_section_power_cuts(SpMarkup *markup, const SpRecord *record, SpPageBudget *budget)
{
    gsize length;
    g_autofree char *text = sp_section_read_file(record->dir, SP_FINDINGS_FILE, FILE_MAX, &length);
    g_autoptr(SpFindingsFile) file = text ? sp_findings_file_parse(text, length) : NULL;
    Chart chart = {.markup = markup, .file = file, .bars = BARS_MAX};

    if (!file)
        return;
    chart.count = MIN(file->entries->len, ENTRIES_MAX);
    sp_markup_begin(markup, "section", NULL);
    sp_markup_element(markup, "h3", "Power cuts", NULL);
    write_numbers(&chart);
    for (guint i = 0; i < MIN(file->failures->len, FAILURES_MAX); i++)
        write_failure(markup, &g_array_index(file->failures, SpFoundFailure, i));
    if (chart.count > 0)
        write_chart(&chart);
    write_classes(&chart);
    sp_markup_end(markup);
}
