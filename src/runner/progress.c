/* SPDX-License-Identifier: MIT */
#include "runner/progress.h"

#include "base/text.h"
#include "lib/write-all.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TICK_MS 200
#define ROWS 24u
#define COLUMNS 80u
/* A step that takes longer is shown with its time. */
#define STEP_SECONDS 3
#define NAME_MAX_WIDTH 30u

/* ECMA-48, 8.3 */
#define CURSOR_UP "\033[%uA"
#define ERASE_BELOW "\r\033[J"
#define DIM "\033[2m"
#define NORMAL "\033[0m"

typedef struct {
    char *name;
    char *text;
    gint64 begin;
    gint64 step_begin;
} Line;

struct SpProgress {
    int fd;
    int error_fd;
    bool is_live;
    bool has_colours;
    GArray *lines;  /* of Line, one per running test */
    GString *drawn; /* the live lines as they are on the terminal */
    GArray *widths; /* of these, guint */
    guint timer;
    int write_error; /* the first errno of writing to fd; 0: none */
};

static void clear_live_line(void *data)
{
    Line *line = data;

    g_free(line->name);
    g_free(line->text);
}

static bool is_variable_set(const char *variable)
{
    const char *value = g_getenv(variable);

    return value && *value;
}

static void get_window_size(const SpProgress *progress, guint *ret_rows, guint *ret_columns)
{
    struct winsize size = {0};

    (void)ioctl(progress->fd, TIOCGWINSZ, &size);
    *ret_rows = size.ws_row > 0 ? size.ws_row : ROWS;
    *ret_columns = size.ws_col > 0 ? size.ws_col : COLUMNS;
}

static void append_time(GString *text, gint64 begin)
{
    gint64 seconds = (g_get_monotonic_time() - begin) / G_TIME_SPAN_SECOND;

    if (seconds < 60)
        g_string_append_printf(text, "%" G_GINT64_FORMAT " s", seconds);
    else
        g_string_append_printf(
            text, "%" G_GINT64_FORMAT ":%02d min", seconds / 60, (int)(seconds % 60));
}

/* How long the step has taken if it is long, otherwise "". */
static char *describe_wait(const Line *line)
{
    GString *text = g_string_new(NULL);

    if (*line->text &&
        g_get_monotonic_time() - line->step_begin >= STEP_SECONDS * G_TIME_SPAN_SECOND) {
        g_string_append(text, " (");
        append_time(text, line->step_begin);
        g_string_append_c(text, ')');
    }
    return g_string_free(text, FALSE);
}

/* The line as it is shown, cut to the width: the end of the step is left out. */
static char *format_line(const Line *line, guint name_width, guint columns)
{
    g_autofree char *name = sp_text_fit(line->name, name_width);
    g_autofree char *wait = describe_wait(line);
    g_autofree char *step = NULL;
    g_autofree char *whole = NULL;
    g_autoptr(GString) text = g_string_new("  ");
    guint used;

    g_string_append_printf(text, "%s%*s  ", name, (int)(name_width - sp_text_width(name)), "");
    append_time(text, line->begin);
    g_string_append(text, "  ");
    used = sp_text_width(text->str) + sp_text_width(wait);
    step = sp_text_fit(line->text, columns > used ? columns - used : 0);
    whole = g_strdup_printf("%s%s%s", text->str, step, wait);
    return sp_text_fit(g_strchomp(whole), columns);
}

static void append_live_line(SpProgress *progress, GString *out, const char *text)
{
    guint width = sp_text_width(text);

    g_string_append_printf(out, progress->has_colours ? DIM "%s" NORMAL "\n" : "%s\n", text);
    g_array_append_val(progress->widths, width);
}

/* All live lines; the last row of the window is left to the cursor. */
static void render_lines(SpProgress *progress, GString *out)
{
    guint rows, columns, name_width = 0, shown;

    get_window_size(progress, &rows, &columns);
    g_array_set_size(progress->widths, 0);
    shown = MIN(progress->lines->len, MAX(rows, 3) - 2);
    for (guint i = 0; i < shown; i++)
        name_width = MAX(name_width, sp_text_width(g_array_index(progress->lines, Line, i).name));
    for (guint i = 0; i < shown; i++) {
        g_autofree char *text = format_line(
            &g_array_index(progress->lines, Line, i), MIN(name_width, NAME_MAX_WIDTH), columns - 1);
        append_live_line(progress, out, text);
    }
}

/* Erase the live lines. A line that was drawn in a wider window takes more rows now. */
static void append_erase(SpProgress *progress, GString *out)
{
    guint rows, columns, used = 0;

    get_window_size(progress, &rows, &columns);
    for (guint i = 0; i < progress->widths->len; i++)
        used += MAX(1, (g_array_index(progress->widths, guint, i) + columns - 1) / columns);
    if (used > 0)
        g_string_append_printf(out, CURSOR_UP ERASE_BELOW, used);
}

static void write_shown(SpProgress *progress, const char *text, gsize length)
{
    int r = sp_write_all(progress->fd, text, length);

    if (r < 0 && progress->write_error == 0)
        progress->write_error = -r;
}

/* Print @text, and draw the live lines again below it. */
static void draw_lines(SpProgress *progress, const char *text)
{
    g_autoptr(GString) out = g_string_new(NULL);
    g_autoptr(GString) lines = g_string_new(NULL);

    append_erase(progress, out);
    render_lines(progress, lines);
    if (!*text && g_string_equal(lines, progress->drawn))
        return;
    g_string_append(out, text);
    g_string_append(out, lines->str);
    g_string_assign(progress->drawn, lines->str);
    write_shown(progress, out->str, out->len);
}

static gboolean on_tick(void *data)
{
    draw_lines(data, "");
    return G_SOURCE_CONTINUE;
}

SpProgress *sp_progress_new(int fd, int error_fd, bool is_plain)
{
    SpProgress *progress = g_new0(SpProgress, 1);

    progress->fd = fd;
    progress->error_fd = error_fd;
    progress->lines = g_array_new(FALSE, FALSE, sizeof(Line));
    g_array_set_clear_func(progress->lines, clear_live_line);
    progress->widths = g_array_new(FALSE, FALSE, sizeof(guint));
    progress->drawn = g_string_new(NULL);
    progress->is_live = !is_plain && isatty(fd) && is_variable_set("TERM") &&
                        !g_str_equal(g_getenv("TERM"), "dumb");
    progress->has_colours = progress->is_live && !is_variable_set("NO_COLOR");
    if (progress->is_live)
        progress->timer = g_timeout_add(TICK_MS, on_tick, progress);
    return progress;
}

void sp_progress_free(SpProgress *progress)
{
    if (!progress)
        return;
    if (progress->timer != 0)
        g_source_remove(progress->timer);
    g_array_set_size(progress->lines, 0);
    if (progress->is_live)
        draw_lines(progress, "");
    g_array_unref(progress->lines);
    g_array_unref(progress->widths);
    g_string_free(progress->drawn, TRUE);
    g_free(progress);
}

bool sp_progress_is_live(const SpProgress *progress)
{
    return progress->is_live;
}

static Line *find_live_line(SpProgress *progress, const char *name, guint *ret_index)
{
    for (guint i = 0; i < progress->lines->len; i++) {
        Line *line = &g_array_index(progress->lines, Line, i);
        if (!g_str_equal(line->name, name))
            continue;
        if (ret_index)
            *ret_index = i;
        return line;
    }
    return NULL;
}

/* On one line, without terminal control characters. */
static char *flatten_text(const char *text)
{
    g_autofree char *flat = g_strdelimit(g_strdup(text), "\t\n\r", ' ');

    return sp_text_printable(flat);
}

void sp_progress_begin(SpProgress *progress, const char *name)
{
    Line line = {.name = flatten_text(name), .text = g_strdup(""), .begin = g_get_monotonic_time()};

    line.step_begin = line.begin;
    g_array_append_val(progress->lines, line);
    if (progress->is_live)
        draw_lines(progress, "");
}

void sp_progress_step(SpProgress *progress, const char *name, const char *text)
{
    Line *line = find_live_line(progress, name, NULL);

    if (!line)
        return;
    /* drawn at the next tick: there may be many steps */
    g_free(line->text);
    line->text = flatten_text(text);
    line->step_begin = g_get_monotonic_time();
}

void sp_progress_end(SpProgress *progress, const char *name)
{
    guint i;

    if (find_live_line(progress, name, &i))
        g_array_remove_index(progress->lines, i);
}

char *sp_progress_paint(const SpProgress *progress, SpColour colour, const char *text)
{
    static const char *const codes[] = {
        [SP_COLOUR_NONE] = "",
        [SP_COLOUR_GOOD] = "\033[32m",
        [SP_COLOUR_BAD] = "\033[1;31m",
        [SP_COLOUR_DOUBTFUL] = "\033[33m",
    };

    if (!progress->has_colours || colour == SP_COLOUR_NONE)
        return g_strdup(text);
    return g_strdup_printf("%s%s" NORMAL, codes[colour], text);
}

void sp_progress_print(SpProgress *progress, const char *text)
{
    if (progress->is_live)
        draw_lines(progress, text);
    else
        write_shown(progress, text, strlen(text));
}

int sp_progress_write_error(const SpProgress *progress)
{
    return progress->write_error;
}

static void print_message(SpProgress *progress, const char *kind, const char *text)
{
    g_autofree char *line = g_strdup_printf("slotproof: %s%s\n", kind, text);

    /* what others write on a terminal with live lines is drawn over */
    if (progress->is_live)
        draw_lines(progress, line);
    else
        (void)sp_write_all(progress->error_fd, line, strlen(line));
}

void sp_progress_warn(SpProgress *progress, const char *text)
{
    print_message(progress, "warning: ", text);
}

void sp_progress_print_error(SpProgress *progress, const char *text)
{
    print_message(progress, "", text);
}
