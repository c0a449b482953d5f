/* SPDX-License-Identifier: MIT */
#include "machine/console.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Where in an escape sequence (ECMA-48, 5.3, 5.4 and 5.6) the next byte is. */
typedef enum {
    ESCAPE_NONE,
    ESCAPE_BEGUN,      /* after ESC */
    ESCAPE_SEQUENCE,   /* after ESC [ */
    ESCAPE_STRING,     /* after ESC ] and the like, up to BEL or ESC \ */
    ESCAPE_STRING_END, /* after an ESC in such a string */
} Escape;

struct SpConsole {
    int fd;
    int log_fd;
    gsize log_room; /* bytes that it may still grow by */
    GSource *readable;
    GQueue lines;       /* of char * */
    guint64 first_line; /* number of the oldest kept */
    GString *current;
    Escape escape;
    GByteArray *input; /* for the guest, not sent yet */
    GSource *writable;
    SpConsoleLineFunc func;
    void *data;
    SpConsoleTapFunc tap; /* or NULL */
    void *tap_data;
};

/* How the kernel begins these messages; after its time stamp, nothing else before it. */
static const struct {
    const char *beginning;
    bool is_common; /* a program may say that too: without a time stamp, only with the kernel's
                     * count of oopses, " [#1]" */
} fatal_messages[] = {
    {"Kernel panic - not syncing", false},
    /* alone on its line, where the panic's first one may follow a prompt */
    {"---[ end Kernel panic - not syncing", false},
    {"BUG: kernel NULL pointer dereference", false},
    {"BUG: unable to handle", false},
    {"BUG: stack guard page was hit", false},
    {"kernel BUG at ", false},
    {"Unable to handle kernel ", false},
    {"Internal error: ", true},
    {"Oops: ", true},
    {"general protection fault", true},
    {"stack segment: ", true},
    {"invalid opcode: ", true},
    {"divide error: ", true},
    {"double fault: ", true},
};

/* Behind "[   12.345678] ", and "[    T1] " where the kernel is built to tell who speaks; @line
 * itself where it has no time stamp; NULL where it begins with another bracket. */
static const char *skip_time_stamp(const char *line)
{
    const char *p = line;

    if (*p != '[')
        return line;
    p++;
    p += strspn(p, " ");
    if (strspn(p, "0123456789.") == 0)
        return NULL;
    p += strspn(p, "0123456789.");
    if (*p++ != ']')
        return NULL;
    if (*p == '[') {
        p += 1 + strspn(p + 1, " ");
        if (*p != 'T' && *p != 'C')
            return NULL;
        p++;
        p += strspn(p, "0123456789");
        if (*p++ != ']')
            return NULL;
    }
    return p + strspn(p, " ");
}

bool sp_console_line_is_fatal(const char *line)
{
    const char *text = skip_time_stamp(line);

    for (gsize i = 0; text && i < G_N_ELEMENTS(fatal_messages); i++) {
        if (g_str_has_prefix(text, fatal_messages[i].beginning))
            return text != line || !fatal_messages[i].is_common || strstr(text, " [#");
    }
    return false;
}

static void end_line(SpConsole *console)
{
    char *line = g_utf8_make_valid(console->current->str, (gssize)console->current->len);

    g_string_truncate(console->current, 0);
    g_queue_push_tail(&console->lines, line);
    if (g_queue_get_length(&console->lines) > SP_CONSOLE_LINES_MAX) {
        g_free(g_queue_pop_head(&console->lines));
        console->first_line++;
    }
    if (console->func)
        console->func(line, console->data);
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
    length = MIN(length, console->log_room);
    console->log_room -= length;
    while (console->log_fd >= 0 && length > 0) {
        ssize_t n = write(console->log_fd, data, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            /* The test goes on without: the lines are still kept. */
            g_autofree char *note =
                g_strdup_printf("slotproof: this console's log ends here: %s", g_strerror(errno));
            close(console->log_fd);
            console->log_fd = -1;
            if (console->func)
                console->func(note, console->data);
            return;
        }
        data += n;
        length -= (gsize)n;
    }
}

void sp_console_set_tap(SpConsole *console, SpConsoleTapFunc func, void *user_data)
{
    console->tap = func;
    console->tap_data = user_data;
}

void sp_console_take(SpConsole *console, const guint8 *data, gsize length)
{
    write_log(console, data, length);
    if (console->tap)
        console->tap(data, length, console->tap_data);
    for (gsize i = 0; i < length; i++) {
        guint8 c = data[i];

        if (c == '\n') {
            /* a sequence that was broken off must not swallow what the kernel says next */
            console->escape = ESCAPE_NONE;
            end_line(console);
        } else if (!skip_escape(console, c) && c != '\r' && c != 0) {
            g_string_append_c(console->current, (char)c);
        }
        if (console->current->len >= SP_CONSOLE_LINE_MAX)
            end_line(console);
    }
}

/* 0 at the end, -1 with EAGAIN where nothing is there for now. */
static ssize_t read_some(SpConsole *console)
{
    guint8 buffer[16384];
    ssize_t n = read(console->fd, buffer, sizeof buffer);

    if (n > 0)
        sp_console_take(console, buffer, (gsize)n);
    return n;
}

static void drop_source(GSource **source)
{
    if (!*source)
        return;
    g_source_destroy(*source);
    g_clear_pointer(source, g_source_unref);
}

static void detach(SpConsole *console)
{
    drop_source(&console->readable);
    drop_source(&console->writable);
    if (console->fd >= 0)
        close(console->fd);
    console->fd = -1;
    console->escape = ESCAPE_NONE;
    g_byte_array_set_size(console->input, 0);
    if (console->current->len > 0)
        end_line(console);
}

static gboolean on_readable(int fd, GIOCondition condition, void *data)
{
    SpConsole *console = data;
    ssize_t n = read_some(console);

    if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
        return G_SOURCE_CONTINUE;
    detach(console);
    return G_SOURCE_REMOVE;
}

static gboolean on_writable(int fd, GIOCondition condition, void *data)
{
    SpConsole *console = data;
    ssize_t n = send(fd, console->input->data, console->input->len, MSG_NOSIGNAL);

    if (n > 0)
        g_byte_array_remove_range(console->input, 0, (guint)n);
    if ((n >= 0 || errno == EAGAIN || errno == EINTR) && console->input->len > 0)
        return G_SOURCE_CONTINUE;
    drop_source(&console->writable); /* an error shows on the reading side too */
    return G_SOURCE_REMOVE;
}

bool sp_console_write(SpConsole *console, const guint8 *data, gsize length, GError **error)
{
    if (console->fd < 0) {
        g_set_error_literal(
            error, SP_ERROR, SP_ERROR_MACHINE, "nobody is at the other end of the console");
        return false;
    }
    if (length > SP_CONSOLE_INPUT_MAX - console->input->len) {
        g_set_error_literal(
            error, SP_ERROR, SP_ERROR_MACHINE, "the guest does not read its console's input");
        return false;
    }
    g_byte_array_append(console->input, data, (guint)length);
    if (console->writable || console->input->len == 0)
        return true;
    console->writable = g_unix_fd_source_new(console->fd, G_IO_OUT);
    g_source_set_callback(console->writable, G_SOURCE_FUNC(on_writable), console, NULL);
    g_source_attach(console->writable, NULL);
    return true;
}

void sp_console_attach(SpConsole *console, int fd)
{
    if (console->fd >= 0) {
        while (read_some(console) > 0)
            ;
    }
    detach(console);
    if (fd < 0)
        return;
    console->fd = fd;
    g_unix_set_fd_nonblocking(fd, TRUE, NULL);
    console->readable = g_unix_fd_source_new(fd, G_IO_IN);
    g_source_set_callback(console->readable, G_SOURCE_FUNC(on_readable), console, NULL);
    g_source_attach(console->readable, NULL);
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
    console->fd = -1;
    console->log_fd = log_fd;
    console->log_room = SP_CONSOLE_LOG_MAX;
    g_queue_init(&console->lines);
    console->current = g_string_new(NULL);
    console->input = g_byte_array_new();
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
    g_byte_array_unref(console->input);
    g_free(console);
}

guint64 sp_console_next_line(SpConsole *console)
{
    return console->first_line + g_queue_get_length(&console->lines);
}

static char *current_line(SpConsole *console)
{
    return g_utf8_make_valid(console->current->str, (gssize)console->current->len);
}

bool sp_console_match(SpConsole *console, GRegex *regex, guint64 from)
{
    guint64 end = sp_console_next_line(console);
    g_autofree char *current = current_line(console);
    guint64 left = end > from ? end - from : 0;

    for (GList *l = console->lines.tail; l && left > 0; l = l->prev, left--) {
        if (g_regex_match(regex, l->data, 0, NULL))
            return true;
    }
    return *current && g_regex_match(regex, current, 0, NULL);
}

char *sp_console_tail(SpConsole *console, guint lines)
{
    GString *text = g_string_new(NULL);
    guint length = g_queue_get_length(&console->lines);
    GList *l = g_queue_peek_nth_link(&console->lines, length > lines ? length - lines : 0);

    for (; l; l = l->next)
        g_string_append_printf(text, "%s\n", (const char *)l->data);
    if (console->current->len > 0) {
        g_autofree char *current = current_line(console);
        g_string_append_printf(text, "%s\n", current);
    }
    return g_string_free(text, FALSE);
}
