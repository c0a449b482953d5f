/* SPDX-License-Identifier: MIT */
#include "runner/signals.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <unistd.h>

static const int numbers[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};

struct SpSignals {
    struct sigaction former[G_N_ELEMENTS(numbers)];
    SpSignalFunc func;
    void *data;
    int fds[2];
    guint source;
};

/* For the handler. GLib's own signal sources do not support SIGQUIT. */
static volatile sig_atomic_t write_fd = -1;

static void handle_signal(int number)
{
    const guint8 byte = (guint8)number;
    int saved = errno;

    /* if the pipe is full, there are enough signals in it */
    (void)!write(write_fd, &byte, 1);
    errno = saved;
}

static gboolean on_pipe_readable(int fd, GIOCondition condition, void *data)
{
    SpSignals *signals = data;
    guint8 number;

    while (read(fd, &number, 1) == 1)
        signals->func(number, signals->data);
    return G_SOURCE_CONTINUE;
}

SpSignals *sp_signals_watch(SpSignalFunc func, void *data)
{
    const struct sigaction caught = {.sa_handler = handle_signal, .sa_flags = SA_RESTART};
    SpSignals *signals = g_new0(SpSignals, 1);
    g_autoptr(GError) error = NULL;

    signals->func = func;
    signals->data = data;
    if (!g_unix_open_pipe(signals->fds, FD_CLOEXEC, &error))
        g_error("no pipe for signals: %s", error->message);
    g_unix_set_fd_nonblocking(signals->fds[0], TRUE, NULL);
    g_unix_set_fd_nonblocking(signals->fds[1], TRUE, NULL);
    write_fd = signals->fds[1];
    signals->source = g_unix_fd_add(signals->fds[0], G_IO_IN, on_pipe_readable, signals);
    for (gsize i = 0; i < G_N_ELEMENTS(numbers); i++) {
        sigaction(numbers[i], NULL, &signals->former[i]);
        if (numbers[i] != SIGHUP || signals->former[i].sa_handler != SIG_IGN)
            sigaction(numbers[i], &caught, NULL);
    }
    return signals;
}

void sp_signals_free(SpSignals *signals)
{
    if (!signals)
        return;
    for (gsize i = 0; i < G_N_ELEMENTS(numbers); i++)
        sigaction(numbers[i], &signals->former[i], NULL);
    write_fd = -1;
    g_source_remove(signals->source);
    close(signals->fds[0]);
    close(signals->fds[1]);
    g_free(signals);
}
