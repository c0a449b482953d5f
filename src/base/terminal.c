/* SPDX-License-Identifier: MIT */
#include "base/terminal.h"

#include "base/error.h"

#include <errno.h>
#include <glib-unix.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define READ_MAX 4096u
/* The size assumed if a terminal does not report one. */
#define ROWS 24u
#define COLUMNS 80u

struct SpTerminal {
    int input_fd;
    int output_fd;
    struct termios former;
    SpTerminalOps ops;
    void *data;
    guint input_source; /* 0 while input() accepts nothing */
    guint resize_source;
    bool was_left;
};

/* Pass on what was typed, up to the key that leaves the terminal. */
static gboolean on_terminal_input(int fd, GIOCondition condition, void *data)
{
    SpTerminal *terminal = data;
    gsize room = MIN(terminal->ops.room(terminal->data), READ_MAX);
    guint8 bytes[READ_MAX], *leave;
    ssize_t n;

    if (room == 0) {
        terminal->input_source = 0;
        return G_SOURCE_REMOVE;
    }
    n = read(fd, bytes, room);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return G_SOURCE_CONTINUE;
    leave = n > 0 ? memchr(bytes, SP_TERMINAL_LEAVE, (gsize)n) : NULL;
    if (leave)
        n = leave - bytes;
    if (n > 0)
        terminal->ops.input(bytes, (gsize)n, terminal->data);
    if (n > 0 && !leave)
        return G_SOURCE_CONTINUE;
    terminal->was_left = true;
    terminal->input_source = 0;
    return G_SOURCE_REMOVE;
}

void sp_terminal_continue(SpTerminal *terminal)
{
    if (terminal->input_source == 0 && !terminal->was_left &&
        terminal->ops.room(terminal->data) > 0)
        terminal->input_source = g_unix_fd_add(
            terminal->input_fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_terminal_input, terminal);
}

static gboolean on_resize(void *data)
{
    SpTerminal *terminal = data;
    guint rows, columns;

    sp_terminal_size(terminal, &rows, &columns);
    if (terminal->ops.resized)
        terminal->ops.resized(rows, columns, terminal->data);
    return G_SOURCE_CONTINUE;
}

SpTerminal *sp_terminal_open(
    int input_fd, int output_fd, const SpTerminalOps *ops, void *data, GError **error)
{
    SpTerminal *terminal;
    struct termios former, raw;

    if (tcgetattr(input_fd, &former) < 0 || !isatty(output_fd)) {
        g_set_error_literal(
            error, SP_ERROR, SP_ERROR_USAGE, "this needs a terminal: use 'slotproof debug'");
        return NULL;
    }
    raw = former;
    cfmakeraw(&raw);
    if (tcsetattr(input_fd, TCSADRAIN, &raw) < 0) {
        g_set_error(error, SP_ERROR, SP_ERROR_HOST, "can't put the terminal into raw mode: %s",
            g_strerror(errno));
        return NULL;
    }
    terminal = g_new0(SpTerminal, 1);
    terminal->input_fd = input_fd;
    terminal->output_fd = output_fd;
    terminal->former = former;
    terminal->ops = *ops;
    terminal->data = data;
    terminal->resize_source = g_unix_signal_add(SIGWINCH, on_resize, terminal);
    sp_terminal_continue(terminal);
    return terminal;
}

void sp_terminal_free(SpTerminal *terminal)
{
    if (!terminal)
        return;
    if (terminal->input_source != 0)
        g_source_remove(terminal->input_source);
    g_source_remove(terminal->resize_source);
    tcsetattr(terminal->input_fd, TCSADRAIN, &terminal->former);
    g_free(terminal);
}

void sp_terminal_write(SpTerminal *terminal, const void *bytes, gsize length)
{
    const guint8 *from = bytes;

    while (length > 0) {
        ssize_t n = write(terminal->output_fd, from, length);
        if (n < 0 && errno == EAGAIN) {
            struct pollfd room = {terminal->output_fd, POLLOUT, 0};
            poll(&room, 1, -1);
        } else if (n < 0 && errno != EINTR) {
            terminal->was_left = true;
            return;
        }
        from += MAX(n, 0);
        length -= (gsize)MAX(n, 0);
    }
}

bool sp_terminal_was_left(SpTerminal *terminal)
{
    return terminal->was_left;
}

void sp_terminal_size(SpTerminal *terminal, guint *ret_rows, guint *ret_columns)
{
    struct winsize size = {0};

    (void)ioctl(terminal->output_fd, TIOCGWINSZ, &size);
    *ret_rows = size.ws_row > 0 ? size.ws_row : ROWS;
    *ret_columns = size.ws_col > 0 ? size.ws_col : COLUMNS;
}
