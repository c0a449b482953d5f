/* SPDX-License-Identifier: MIT */

/* What 'slotproof powercut --report' left in a test's folder (its form: powercut/findings.h): the
 * disk's writes in their order, a lane a partition, with the outcome of a power cut after each. */

#include "report/sections.h"

#include <json-glib/json-glib.h>
#include <string.h>

#define FILE_NAME "powercut.json"
#define FILE_MAX (16u * 1024 * 1024)
#define DEPTH_MAX 8u /* json-glib takes a stack frame for each */
#define ENTRIES_MAX 100000u
#define BARS_MAX 3000u
#define LANES_MAX 24u
#define CLASSES_MAX 100u
#define FAILURES_MAX 10u
#define OUTCOMES 4u /* colours */

typedef struct {
    SpMarkup *markup;
    JsonObject *root;
    JsonArray *entries, *cuts, *classes, *failures, *boots; /* each may be NULL */
    guint count;                                            /* of entries */
    guint bars;                                             /* that may still be drawn */
} Chart;

/* --- the file ----------------------------------------------------------------------------------
 */

/* Brackets outside of strings. */
static bool is_flat(const char *text, gsize length)
{
    guint depth = 0;
    bool is_string = false;

    for (gsize i = 0; i < length; i++) {
        if (is_string && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            is_string = !is_string;
        else if (!is_string && strchr("[{", text[i]) && text[i] != '\0' && ++depth > DEPTH_MAX)
            return false;
        else if (!is_string && strchr("]}", text[i]) && text[i] != '\0' && depth > 0)
            depth--;
    }
    return true;
}

static JsonParser *load(const char *dir)
{
    gsize length;
    g_autofree char *text = sp_section_read_file(dir, FILE_NAME, FILE_MAX, &length);
    g_autoptr(JsonParser) parser = json_parser_new();

    if (!text || !is_flat(text, length) ||
        !json_parser_load_from_data(parser, text, (gssize)length, NULL) ||
        !json_parser_get_root(parser) || !JSON_NODE_HOLDS_OBJECT(json_parser_get_root(parser)))
        return NULL;
    return g_steal_pointer(&parser);
}

static JsonArray *array_member(JsonObject *object, const char *name)
{
    JsonNode *node = json_object_get_member(object, name);

    return node && JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node) : NULL;
}

static guint length_of(JsonArray *array)
{
    return array ? json_array_get_length(array) : 0;
}

static JsonObject *object_at(JsonArray *array, guint index)
{
    JsonNode *node = json_array_get_element(array, index);

    return JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

/* The element @index of the array at @row of @array; NULL where there is none. */
static JsonNode *cell(JsonArray *array, guint row, guint index)
{
    JsonNode *node = row < length_of(array) ? json_array_get_element(array, row) : NULL;
    JsonArray *cells = node && JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node) : NULL;

    return index < length_of(cells) ? json_array_get_element(cells, index) : NULL;
}

static gint64 number_of(JsonNode *node, gint64 fallback)
{
    return node && JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_INT64
               ? json_node_get_int(node)
               : fallback;
}

static const char *text_of(JsonNode *node)
{
    return node && JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING
               ? json_node_get_string(node)
               : NULL;
}

static const char *text_member(JsonObject *object, const char *name)
{
    return object ? text_of(json_object_get_member(object, name)) : NULL;
}

static gint64 number_member(JsonObject *object, const char *name)
{
    return number_of(json_object_get_member(object, name), 0);
}

/* --- the chart ---------------------------------------------------------------------------------
 */

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

/* Where entry @i belongs; NULL for nowhere. */
static const char *lane_of(const Chart *chart, guint i)
{
    const char *kind = text_of(cell(chart->entries, i, 0));
    const char *partition = text_of(cell(chart->entries, i, 1));

    if (!kind || !partition || g_str_equal(kind, "mark"))
        return NULL;
    if (g_str_equal(kind, "flush"))
        return "flushes";
    return *partition ? partition : "no partition";
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
        bytes += (guint64)CLAMP(number_of(cell(chart->entries, i, 3), 0), 0, G_MAXINT32);
    size = g_format_size_full(bytes, G_FORMAT_SIZE_IEC_UNITS);
    if (g_str_equal(lane, "flushes"))
        title = g_strdup_printf("entry %u: flush", first);
    else if (end == first + 1)
        title = g_strdup_printf("entry %u: %s, %s at byte %" G_GINT64_FORMAT, first,
            text_of(cell(chart->entries, first, 0)), size,
            number_of(cell(chart->entries, first, 2), 0));
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

/* The first words of a class say what boots. */
static char *outcome_of(const Chart *chart, gint64 class)
{
    JsonObject *object = class >= 0 && class < length_of(chart->classes)
                             ? object_at(chart->classes, (guint) class)
                             : NULL;
    const char *text = text_member(object, "description");

    return text ? g_strndup(text, strcspn(text, ";")) : g_strdup("?");
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
        gint64 states = number_of(cell(chart->cuts, i, 0), 0);
        gint64 failed = number_of(cell(chart->cuts, i, 1), 0);
        g_autofree char *title = NULL;

        if (failed <= 0)
            continue;
        title = g_strdup_printf("%" G_GINT64_FORMAT " of %" G_GINT64_FORMAT
                                " states with a power cut at entry %u fail",
            failed, states, i);
        write_piece(chart, "bar failed", "✗", title, i, i + 1);
    }
}

/* What boots after a cut at each entry; where that state is as another one, as before it. */
static void write_outcomes(Chart *chart)
{
    g_autoptr(GPtrArray) outcomes = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *outcome = NULL;
    guint first = 0;

    begin_lane(chart->markup, "power cut here");
    for (guint i = 0; i <= chart->count; i++) {
        gint64 class = number_of(cell(chart->cuts, i, 2), -1);
        g_autofree char *now = class >= 0 ? outcome_of(chart, class) : g_strdup(outcome);

        if (outcome && g_strcmp0(now, outcome) != 0) {
            write_outcome(chart, outcomes, outcome, first, i);
            first = i;
        }
        g_free(outcome);
        outcome = g_steal_pointer(&now);
    }
    if (outcome)
        write_outcome(chart, outcomes, outcome, first, chart->count + 1);
    end_lane(chart->markup);
    if (number_member(chart->root, "failed") > 0) {
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

/* How the states of the class that were booted fared. */
static char *describe_boots(const Chart *chart, const char *class)
{
    guint booted = 0, failed = 0;

    for (guint i = 0; i < length_of(chart->boots); i++) {
        JsonObject *boot = object_at(chart->boots, i);

        if (g_strcmp0(text_member(boot, "class"), class) != 0)
            continue;
        booted++;
        failed += text_member(boot, "reason") != NULL;
    }
    if (booted == 0)
        return g_strdup("");
    return failed > 0 ? g_strdup_printf("%u booted, %u failed", booted, failed)
                      : g_strdup_printf("%u booted", booted);
}

static void write_classes(Chart *chart)
{
    sp_markup_begin(chart->markup, "table", NULL);
    for (guint i = 0; i < MIN(length_of(chart->classes), CLASSES_MAX); i++) {
        JsonObject *class = object_at(chart->classes, i);
        const char *text = text_member(class, "description");
        g_autofree char *boots = text ? describe_boots(chart, text) : NULL;

        if (!text)
            continue;
        sp_markup_begin(chart->markup, "tr", NULL);
        sp_markup_begin(chart->markup, "td", "class", "number", NULL);
        sp_markup_printf(chart->markup, "%" G_GINT64_FORMAT, number_member(class, "states"));
        sp_markup_end(chart->markup);
        sp_markup_element(chart->markup, "td", text, NULL);
        sp_markup_element(chart->markup, "td", boots, NULL);
        sp_markup_end(chart->markup);
    }
    sp_markup_end(chart->markup);
}

static void write_failure(SpMarkup *markup, JsonObject *failure)
{
    static const char *const parts[] = {"writes", "disk", "machine"};

    sp_markup_begin(markup, "p", "class", "headline", NULL);
    sp_markup_printf(
        markup, "state %s: %s", text_member(failure, "state"), text_member(failure, "reason"));
    sp_markup_end(markup);
    for (gsize i = 0; i < G_N_ELEMENTS(parts); i++) {
        const char *text = text_member(failure, parts[i]);

        if (text)
            sp_markup_element(markup, "pre", text, NULL);
    }
}

static void write_failures(Chart *chart)
{
    guint shown = 0;

    for (guint i = 0; i < length_of(chart->failures) && shown < FAILURES_MAX; i++) {
        JsonObject *failure = object_at(chart->failures, i);

        /* one of each reason has the rest */
        if (!text_member(failure, "disk") || !text_member(failure, "state") ||
            !text_member(failure, "reason"))
            continue;
        write_failure(chart->markup, failure);
        shown++;
    }
}

static void write_numbers(Chart *chart)
{
    sp_markup_begin(chart->markup, "p", NULL);
    sp_markup_printf(chart->markup,
        "%" G_GINT64_FORMAT " states seen, %" G_GINT64_FORMAT " distinct, %" G_GINT64_FORMAT
        " checked, %u booted, %" G_GINT64_FORMAT " failed.",
        number_member(chart->root, "seen"), number_member(chart->root, "distinct"),
        number_member(chart->root, "checked"), length_of(chart->boots),
        number_member(chart->root, "failed"));
    sp_markup_end(chart->markup);
}

void sp_section_power_cuts(SpMarkup *markup, const SpRecord *record, SpPageBudget *budget)
{
    g_autoptr(JsonParser) parser = load(record->dir);
    Chart chart = {.markup = markup, .bars = BARS_MAX};

    if (!parser)
        return;
    chart.root = json_node_get_object(json_parser_get_root(parser));
    chart.entries = array_member(chart.root, "entries");
    chart.cuts = array_member(chart.root, "cuts");
    chart.classes = array_member(chart.root, "classes");
    chart.failures = array_member(chart.root, "failures");
    chart.boots = array_member(chart.root, "boots");
    chart.count = MIN(length_of(chart.entries), ENTRIES_MAX);
    sp_markup_begin(markup, "section", NULL);
    sp_markup_element(markup, "h3", "Power cuts", NULL);
    write_numbers(&chart);
    write_failures(&chart);
    if (chart.count > 0)
        write_chart(&chart);
    write_classes(&chart);
    sp_markup_end(markup);
}
