/* SPDX-License-Identifier: MIT */
#include "qemu/console.h"

#include "base/error.h"
#include "base/stream.h"
#include "lib/write-all.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define READ_SIZE (16u * 1024)

/* Where in an escape sequence (ECMA-48, 5.3, 5.4 and 5.6) the next byte is. */
typedef enum {
    ESCAPE_NONE,
    ESCAPE_BEGUN,      /* after ESC */
    ESCAPE_SEQUENCE,   /* after ESC [ */
    ESCAPE_STRING,     /* after ESC ] and the like, up to BEL or ESC \ */
    ESCAPE_STRING_END, /* after an ESC in such a string */
} Escape;

struct SpConsole {
    SpStream *stream; /* NULL: nothing is attached */
    int log_fd;
    gsize log_room;      /* bytes that it may still grow by */
    GQueue lines;        /* of char *; what a carriage return overwrote stands before a '\r' */
    guint64 first_line;  /* number of the oldest kept */
    guint64 unread_line; /* what sp_console_take_match() has not passed yet begins in this one, */
    gsize unread_offset; /* so many bytes behind its beginning */
    GString *current;
    bool is_returned; /* to its beginning: what comes next overwrites it */
    Escape escape;
    SpConsoleLineFunc func;
    void *data;
    SpConsoleTapFunc tap; /* or NULL */
    void *tap_data;
};

/* What the terminal shows of a line: what stands behind its last carriage return. */
static const char *visible_part(const char *line)
{
    const char *last = strrchr(line, '\r');

    return last ? last + 1 : line;
}

/* The first @length bytes of the unfinished line are a line. */
static void end_line_at(SpConsole *console, gsize length)
{
    char *line = g_utf8_make_valid(console->current->str, (gssize)length);

    g_string_erase(console->current, 0, (gssize)length);
    g_queue_push_tail(&console->lines, line);
    if (g_queue_get_length(&console->lines) > SP_CONSOLE_LINES_MAX) {
        g_free(g_queue_pop_head(&console->lines));
        console->first_line++;
    }
    if (console->func)
        console->func(visible_part(line), console->data);
}

static void end_line(SpConsole *console)
{
    console->is_returned = false;
    end_line_at(console, console->current->len);
}

/* What was overwritten becomes a line of its own; without any, all of it. */
static void cut_line(SpConsole *console)
{
    const char *last = strrchr(console->current->str, '\r');
    gsize length = last ? (gsize)(last - console->current->str) : 0;
    bool is_behind;

    if (!last) {
        end_line(console);
        return;
    }
    is_behind =
        console->unread_line == sp_console_next_line(console) && console->unread_offset > length;
    end_line_at(console, length);
    g_string_erase(console->current, 0, 1);
    if (is_behind) {
        console->unread_line++;
        console->unread_offset -= length + 1;
    }
}

static Escape next_escape(Escape escape, guint8 c)
{
    if (c == 0x1b)
        return escape == ESCAPE_STRING ? ESCAPE_STRING_END : ESCAPE_BEGUN;
    switch (escape) {
    case ESCAPE_BEGUN:
        if (c == '[')
            return ESCAPE_SEQUENCE;
        if (c != 0 && strchr("]PX^_", c))
            return ESCAPE_STRING;
        return c >= 0x20 && c < 0x30 ? ESCAPE_BEGUN : ESCAPE_NONE;
    case ESCAPE_SEQUENCE:
        return c >= 0x20 && c < 0x40 ? ESCAPE_SEQUENCE : ESCAPE_NONE;
    case ESCAPE_STRING:
        return c == '\a' ? ESCAPE_NONE : ESCAPE_STRING;
    case ESCAPE_STRING_END:
        return c == '\\' ? ESCAPE_NONE : next_escape(ESCAPE_BEGUN, c);
    case ESCAPE_NONE:
        break;
    }
    return ESCAPE_NONE;
}

/* True where @c is part of an escape sequence, which is dropped. */
static bool skip_escape(SpConsole *console, guint8 c)
{
    Escape before = console->escape;

    console->escape = next_escape(before, c);
    return before != ESCAPE_NONE || console->escape != ESCAPE_NONE;
}

static void write_log(SpConsole *console, const guint8 *data, gsize length)
{
    g_autofree char *note = NULL;
    int r;

    if (console->log_fd < 0)
        return;
    length = MIN(length, console->log_room);
    console->log_room -= length;
    r = sp_write_all(console->log_fd, data, length);
    if (r == 0)
        return;
    /* The test goes on without: the lines are still kept. */
    note = g_strdup_printf("slotproof: this console's log ends here: %s", g_strerror(-r));
    close(console->log_fd);
    console->log_fd = -1;
    if (console->func)
        console->func(note, console->data);
}

void sp_console_set_tap(SpConsole *console, SpConsoleTapFunc func, void *user_data)
{
    console->tap = func;
    console->tap_data = user_data;
}

static void take_byte(SpConsole *console, guint8 c)
{
    if (c == '\n') {
        /* a sequence that was broken off must not swallow what the kernel says next */
        console->escape = ESCAPE_NONE;
        end_line(console);
        return;
    }
    if (skip_escape(console, c) || c == 0)
        return;
    if (c == '\r') {
        console->is_returned = console->current->len > 0;
        return;
    }
    if (console->is_returned)
        g_string_append_c(console->current, '\r');
    console->is_returned = false;
    g_string_append_c(console->current, (char)c);
    if (console->current->len >= SP_CONSOLE_LINE_MAX)
        cut_line(console);
}

void sp_console_take(SpConsole *console, const guint8 *data, gsize length)
{
    write_log(console, data, length);
    if (console->tap)
        console->tap(data, length, console->tap_data);
    for (gsize i = 0; i < length; i++)
        take_byte(console, data[i]);
}

static void detach(SpConsole *console)
{
    g_clear_pointer(&console->stream, sp_stream_free);
    console->escape = ESCAPE_NONE;
    if (console->current->len > 0)
        end_line(console);
}

static gsize on_console_output(const guint8 *bytes, gsize length, void *data)
{
    sp_console_take(data, bytes, length);
    return length;
}

static void on_console_disconnected(int error_number, void *data)
{
    detach(data);
}

static const SpStreamFuncs stream_funcs = {
    .input = on_console_output, .disconnected = on_console_disconnected};

bool sp_console_write(SpConsole *console, const guint8 *data, gsize length, GError **error)
{
    if (!console->stream) {
        g_set_error_literal(
            error, SP_ERROR, SP_ERROR_MACHINE, "nobody is at the other end of the console");
        return false;
    }
    if (!sp_stream_write(console->stream, data, length)) {
        g_set_error_literal(
            error, SP_ERROR, SP_ERROR_MACHINE, "the guest does not read its console's input");
        return false;
    }
    return true;
}

void sp_console_attach(SpConsole *console, int fd)
{
    const SpStreamConfig config = {.funcs = &stream_funcs,
        .data = console,
        .read_size = READ_SIZE,
        .output_max = SP_CONSOLE_INPUT_MAX};

    if (console->stream)
        sp_stream_read_rest(console->stream);
    detach(console);
    if (fd >= 0)
        console->stream = sp_stream_new(fd, &config);
}

SpConsole *sp_console_new(const char *log_path, SpConsoleLineFunc func, void *data, GError **error)
{
    SpConsole *console;
    int log_fd = -1;

    if (log_path) {
        log_fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (log_fd < 0) {
            g_set_error(error, SP_ERROR, SP_ERROR_HOST, "the console's log '%s' can't be made: %s",
                log_path, g_strerror(errno));
            return NULL;
        }
    }
    console = g_new0(SpConsole, 1);
    console->log_fd = log_fd;
    console->log_room = SP_CONSOLE_LOG_MAX;
    g_queue_init(&console->lines);
    console->current = g_string_new(NULL);
    console->func = func;
    console->data = data;
    return console;
}

void sp_console_free(SpConsole *console)
{
    if (!console)
        return;
    console->func = NULL;
    detach(console);
    if (console->log_fd >= 0)
        close(console->log_fd);
    g_queue_clear_full(&console->lines, g_free);
    g_string_free(console->current, TRUE);
    g_free(console);
}

guint64 sp_console_next_line(SpConsole *console)
{
    return console->first_line + g_queue_get_length(&console->lines);
}

/* Without a character of which only the first bytes are there. */
static char *current_line(SpConsole *console)
{
    const char *text = console->current->str;
    gsize length = console->current->len, from = length > 3 ? length - 3 : 0;

    for (; from < length; from++) {
        if (g_utf8_get_char_validated(text + from, (gssize)(length - from)) == (gunichar)-2)
            length = from;
    }
    return g_utf8_make_valid(text, (gssize)length);
}

void sp_console_read_all(SpConsole *console)
{
    console->unread_line = sp_console_next_line(console);
    console->unread_offset = console->current->len;
}

void sp_console_begin_anew(SpConsole *console)
{
    if (console->current->len > 0)
        end_line(console);
    sp_console_read_all(console);
}

GRegex *sp_console_regex_new(const char *pattern, GError **error)
{
    return g_regex_new(
        pattern, G_REGEX_OPTIMIZE | G_REGEX_MULTILINE | G_REGEX_NEWLINE_CR, 0, error);
}

/* Whether line number @number, of which @text is there, matches behind what was read of it. */
static bool take_in_line(
    SpConsole *console, GRegex *regex, guint64 number, const char *text, bool is_whole)
{
    g_autoptr(GMatchInfo) match = NULL;
    gsize length = strlen(text);
    gsize offset = number == console->unread_line ? MIN(console->unread_offset, length) : 0;
    int end;

    if (!g_regex_match_full(regex, text, (gssize)length, (int)offset, 0, &match, NULL) ||
        !g_match_info_fetch_pos(match, 0, NULL, &end))
        return false;
    console->unread_line = number;
    console->unread_offset = MAX(offset, (gsize)end);
    if (is_whole && console->unread_offset == length) {
        console->unread_line++;
        console->unread_offset = 0;
    }
    return true;
}

bool sp_console_take_match(SpConsole *console, GRegex *regex)
{
    guint64 number = MAX(console->unread_line, console->first_line);
    GList *l = g_queue_peek_nth_link(&console->lines, (guint)(number - console->first_line));
    g_autofree char *current = NULL;

    for (; l; l = l->next, number++) {
        if (take_in_line(console, regex, number, l->data, true))
            return true;
    }
    current = current_line(console);
    return *current && take_in_line(console, regex, number, current, false);
}

/* What of @line, number @number, is read; @length bytes at most. */
static gsize read_length(SpConsole *console, guint64 number, gsize length)
{
    if (number == console->unread_line)
        return MIN(console->unread_offset, length);
    return number < console->unread_line ? length : 0;
}

char *sp_console_text(SpConsole *console, gsize *ret_read)
{
    GString *text = g_string_new(NULL);
    g_autofree char *current = current_line(console);
    guint64 number = console->first_line;
    gsize read = 0;

    for (GList *l = console->lines.head; l; l = l->next, number++) {
        read += read_length(console, number, strlen(l->data) + 1);
        g_string_append_printf(text, "%s\n", (char *)l->data);
    }
    if (*current) {
        read += read_length(console, number, strlen(current));
        g_string_append_printf(text, "%s\n", current);
    }
    g_strdelimit(text->str, "\r", '\n');
    if (ret_read)
        *ret_read = read;
    return g_string_free(text, FALSE);
}

char *sp_console_tail(SpConsole *console, guint lines)
{
    GString *text = g_string_new(NULL);
    guint length = g_queue_get_length(&console->lines);
    GList *l = g_queue_peek_nth_link(&console->lines, length > lines ? length - lines : 0);

    for (; l; l = l->next)
        g_string_append_printf(text, "%s\n", visible_part(l->data));
    if (console->current->len > 0) {
        g_autofree char *current = current_line(console);
        g_string_append_printf(text, "%s\n", visible_part(current));
    }
    return g_string_free(text, FALSE);
}
