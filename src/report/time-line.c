/* SPDX-License-Identifier: MIT */

/* The time line: one lane per machine, with when it booted and was up, and what was done with it.
 */

#include "report/sections.h"

#include <math.h>

/* The minimal width of a bar as a share of the whole; the maximal number of bars. */
#define PART_MIN 0.001
#define BARS_MAX 3000u
#define TICKS 5

/* How a mark changes a machine's state, and how it is drawn. */
typedef enum { STATE_OFF, STATE_BOOTING, STATE_UP, STATE_SAME } State;

static const struct {
    const char *kind;
    State state;
    const char *class; /* NULL: not drawn */
    const char *plural;
} marks[] = {
    {"start", STATE_BOOTING, NULL, "start(s)"},
    {"agent", STATE_UP, NULL, NULL},
    {"reset", STATE_BOOTING, "mark reset", "reset(s)"},
    {"power-cut", STATE_OFF, "mark power-cut", "power cut(s)"},
    {"panic", STATE_SAME, "mark panic", "kernel failure(s)"},
    {"watchdog", STATE_SAME, "mark watchdog", "watchdog reset(s)"},
    {"off", STATE_OFF, NULL, NULL},
};

/* The kinds of bars, for the legend. */
static const struct {
    const char *class;
    const char *text;
} legend[] = {
    {"state booting", "booting"},
    {"state up", "up"},
    {"bar command", "command"},
    {"bar wait", "wait"},
    {"bar other", "other step"},
    {"bar failed", "failed"},
    {"mark reset", "reset"},
    {"mark power-cut", "power cut"},
    {"mark watchdog", "watchdog"},
    {"mark panic", "kernel failed"},
};

/* Writes a piece of a lane; if @end is negative it has no length. */
static void write_lane_piece(SpMarkup *markup, const char *class, const char *text,
    const char *title, double begin, double end, double whole)
{
    g_autoptr(GString) style = g_string_new(NULL);

    sp_append_percent(style, "left", begin, whole);
    if (end >= 0)
        sp_append_percent(style, "width", MAX(end - begin, 0), whole);
    sp_markup_element(
        markup, "span", text, "class", class, "style", style->str, "title", title, NULL);
}

static char *describe_step(const SpRecordStep *step)
{
    g_autofree char *begin = sp_seconds_text(step->begin);
    g_autofree char *length = step->seconds >= 0 ? sp_seconds_text(step->seconds) : NULL;

    return g_strdup_printf("%s\nat %s, %s%s%s", step->text, begin, length ? length : "did not end",
        step->failure ? "\n" : "", step->failure ? step->failure : "");
}

static double end_of(const SpRecordStep *step, double whole)
{
    return step->seconds >= 0 ? step->begin + step->seconds : whole;
}

/* Draws steps that are long enough to be seen; inner ones on top. */
static bool is_drawn(const SpRecordStep *step, const char *machine, bool are_subtests, double whole)
{
    bool is_subtest = g_str_equal(step->kind, "subtest");
    bool is_long = end_of(step, whole) - step->begin >= PART_MIN * whole;

    return is_subtest == are_subtests && g_strcmp0(step->machine, machine) == 0 &&
           (is_long || step->failure || is_subtest);
}

static void write_bars(
    SpMarkup *markup, const SpRecord *record, const char *machine, bool are_subtests)
{
    double whole = sp_record_length(record);
    guint count = 0;

    for (guint i = 0; i < record->steps->len && count < BARS_MAX; i++) {
        const SpRecordStep *step = g_ptr_array_index(record->steps, i);
        g_autofree char *title = NULL;

        if (!is_drawn(step, machine, are_subtests, whole))
            continue;
        title = describe_step(step);
        write_lane_piece(markup,
            are_subtests && !step->failure ? "bar subtest" : sp_step_class(step),
            are_subtests ? step->text : "", title, step->begin, end_of(step, whole), whole);
        count++;
    }
}

static gsize find_mark(const SpRecordMark *mark)
{
    gsize i = 0;

    while (i < G_N_ELEMENTS(marks) && !g_str_equal(marks[i].kind, mark->kind))
        i++;
    return i;
}

static void write_lane_state(SpMarkup *markup, State state, double begin, double end, double whole)
{
    static const struct {
        const char *class;
        const char *word;
    } states[] = {
        [STATE_BOOTING] = {"state booting", "booting"},
        [STATE_UP] = {"state up", "up"},
    };
    g_autofree char *length = sp_seconds_text(end - begin);
    g_autofree char *title = NULL;

    if (state == STATE_OFF)
        return;
    title = g_strdup_printf("%s for %s", states[state].word, length);
    write_lane_piece(markup, states[state].class, "", title, begin, end, whole);
}

/* From one mark to the next a machine is in one state. */
static void write_states(SpMarkup *markup, const SpRecord *record, const char *machine)
{
    double whole = sp_record_length(record), since = 0;
    State state = STATE_OFF;

    for (guint i = 0; i < record->marks->len; i++) {
        const SpRecordMark *mark = g_ptr_array_index(record->marks, i);
        gsize kind = find_mark(mark);

        if (kind == G_N_ELEMENTS(marks) || g_strcmp0(mark->machine, machine) != 0 ||
            marks[kind].state == STATE_SAME)
            continue;
        write_lane_state(markup, state, since, mark->time, whole);
        state = marks[kind].state;
        since = mark->time;
    }
    write_lane_state(markup, state, since, whole, whole);
}

static void write_lane_marks(SpMarkup *markup, const SpRecord *record, const char *machine)
{
    for (guint i = 0; i < record->marks->len; i++) {
        const SpRecordMark *mark = g_ptr_array_index(record->marks, i);
        gsize kind = find_mark(mark);
        g_autofree char *time = sp_seconds_text(mark->time);
        g_autofree char *title = NULL;

        if (kind == G_N_ELEMENTS(marks) || !marks[kind].class ||
            g_strcmp0(mark->machine, machine) != 0)
            continue;
        title = g_strdup_printf("%s\nat %s", mark->text, time);
        write_lane_piece(
            markup, marks[kind].class, "", title, mark->time, -1, sp_record_length(record));
    }
}

static void begin_machine_lane(SpMarkup *markup, const char *name, const char *class)
{
    sp_markup_begin(markup, "div", "class", "lane", NULL);
    sp_markup_element(markup, "span", name, "class", "name", NULL);
    sp_markup_begin(markup, "div", "class", class, NULL);
}

static void end_machine_lane(SpMarkup *markup)
{
    sp_markup_end(markup);
    sp_markup_end(markup);
}

static bool has_visible_steps(const SpRecord *record, const char *machine, bool are_subtests)
{
    for (guint i = 0; i < record->steps->len; i++) {
        if (is_drawn(g_ptr_array_index(record->steps, i), machine, are_subtests,
                sp_record_length(record)))
            return true;
    }
    return false;
}

/* 1, 2 or 5 times a power of ten, or parts of minutes, so that there are about TICKS ticks. */
static double tick_length(double whole)
{
    static const double steps[] = {0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120,
        300, 600, 1200, 1800, 3600, 7200, 18000, 36000};

    for (gsize i = 0; i < G_N_ELEMENTS(steps); i++) {
        if (whole / steps[i] <= TICKS + 1)
            return steps[i];
    }
    return whole / TICKS;
}

static char *tick_text(double time, double step)
{
    if (step >= 60)
        return g_strdup_printf("%.0f min", time / 60);
    if (time >= 60)
        return g_strdup_printf("%.0f:%02.0f", floor(time / 60), fmod(time, 60));
    return step >= 1 ? g_strdup_printf("%.0f s", time) : g_strdup_printf("%g s", time);
}

static void write_axis(SpMarkup *markup, double whole)
{
    double step = tick_length(whole);

    begin_machine_lane(markup, "", "track axis");
    for (guint i = 0; i * step < whole && i <= TICKS + 1; i++) {
        g_autofree char *text = tick_text(i * step, step);
        /* a label at the very end would overflow */
        bool is_last = i * step > 0.93 * whole;
        write_lane_piece(markup, "tick", is_last ? "" : text, NULL, i * step, -1, whole);
    }
    end_machine_lane(markup);
}

/* The time line in words, for those who can't see it. */
static char *describe_time_line(const SpRecord *record)
{
    g_autofree char *length = sp_seconds_text(sp_record_length(record));
    GString *text = g_string_new("Time line of ");
    guint counts[G_N_ELEMENTS(marks) + 1] = {0};

    g_string_append_printf(text, "%s with %u steps", length, record->steps->len);
    for (guint i = 0; i < record->marks->len; i++)
        counts[find_mark(g_ptr_array_index(record->marks, i))]++;
    for (gsize i = 0; i < G_N_ELEMENTS(marks); i++) {
        if (marks[i].plural && counts[i] > 0)
            g_string_append_printf(text, ", %u %s", counts[i], marks[i].plural);
    }
    g_string_append(text, ". The list of steps below has everything.");
    return g_string_free(text, FALSE);
}

static void write_legend(SpMarkup *markup)
{
    sp_markup_begin(markup, "p", "class", "legend", "aria-hidden", "true", NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(legend); i++) {
        sp_markup_begin(markup, "span", NULL);
        sp_markup_element(markup, "i", "", "class", legend[i].class, NULL);
        sp_markup_text(markup, legend[i].text);
        sp_markup_end(markup);
    }
    sp_markup_end(markup);
}

static void write_lanes(SpMarkup *markup, const SpRecord *record)
{
    if (has_visible_steps(record, NULL, true)) {
        begin_machine_lane(markup, "subtests", "track subtests");
        write_bars(markup, record, NULL, true);
        end_machine_lane(markup);
    }
    for (guint i = 0; i < record->consoles->len; i++) {
        const SpRecordConsole *console = g_ptr_array_index(record->consoles, i);

        begin_machine_lane(markup, console->machine, "track machine");
        write_states(markup, record, console->machine);
        write_bars(markup, record, console->machine, false);
        write_lane_marks(markup, record, console->machine);
        end_machine_lane(markup);
    }
    if (has_visible_steps(record, NULL, false)) {
        begin_machine_lane(markup, "driver", "track");
        write_bars(markup, record, NULL, false);
        end_machine_lane(markup);
    }
}

void sp_section_time_line(SpMarkup *markup, const SpRecord *record, SpPageBudget *budget)
{
    g_autofree char *words = NULL;

    if (record->steps->len == 0 && record->marks->len == 0)
        return;
    words = describe_time_line(record);
    sp_markup_begin(markup, "section", NULL);
    sp_markup_element(markup, "h3", "Time line", NULL);
    sp_markup_begin(markup, "div", "class", "time-line", "role", "img", "aria-label", words, NULL);
    write_axis(markup, sp_record_length(record));
    write_lanes(markup, record);
    sp_markup_end(markup);
    write_legend(markup);
    sp_markup_end(markup);
}
