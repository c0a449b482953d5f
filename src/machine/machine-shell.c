/* SPDX-License-Identifier: MIT */

/* A person at a machine: the user's terminal as one of the guest's, or as its serial console. */

#include "base/error.h"
#include "base/terminal.h"
#include "machine/machine-private.h"
#include "machine/machine-terminal.h"

#include <string.h>

/* What a serial console is given at once; it takes it at the pace of the guest. */
#define CONSOLE_PIECE 1024u

typedef struct {
    SpMachine *machine;
    SpTerminal *terminal;
    SpChannel *channel; /* the shell; NULL on the console */
} Session;

static void write_banner(const Session *session, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void write_banner(const Session *session, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    sp_terminal_write(session->terminal, text, strlen(text));
}

static gsize shell_room(void *data)
{
    const Session *session = data;

    return session->channel ? sp_channel_room(session->channel) : 0;
}

static void shell_input(const guint8 *bytes, gsize length, void *data)
{
    const Session *session = data;

    sp_channel_write(session->channel, bytes, length);
}

static void shell_resized(guint rows, guint columns, void *data)
{
    const Session *session = data;

    sp_channel_resize(session->channel, rows, columns);
}

static void shell_output(const guint8 *bytes, gsize length, void *data)
{
    const Session *session = data;

    /* no bytes is a sign that it takes more */
    if (length > 0)
        sp_terminal_write(session->terminal, bytes, length);
    else
        sp_terminal_continue(session->terminal);
}

static bool shell_is_over(void *data, GError **error)
{
    const Session *session = data;

    return sp_terminal_was_left(session->terminal) || sp_channel_is_done(session->channel, error) ||
           !sp_machine_is_well(session->machine, SP_WAIT_GUEST, error);
}

static SpChannel *start_shell(Session *session)
{
    const char *const argv[] = {"/bin/sh", "-c", "cd && exec \"$SHELL\" -l", NULL};
    const char *name = g_getenv("TERM");
    g_autofree char *term = g_strconcat("TERM=", name && *name ? name : "linux", NULL);
    const char *const environment[] = {term, NULL};
    guint rows, columns;

    sp_terminal_size(session->terminal, &rows, &columns);
    return sp_agent_exec_terminal(
        session->machine->agent, argv, environment, rows, columns, shell_output, session);
}

static bool run_shell(SpMachine *machine, int input_fd, int output_fd, GError **error)
{
    const SpTerminalOps ops = {shell_room, shell_input, shell_resized};
    Session session = {.machine = machine};
    GError *local = NULL;

    if (!sp_machine_contact_within(machine, -1, error))
        return false;
    session.terminal = sp_terminal_open(input_fd, output_fd, &ops, &session, error);
    if (!session.terminal)
        return false;
    write_banner(&session, "[a shell on '%s'; Ctrl-] leaves it]\r\n", machine->config.name);
    session.channel = start_shell(&session);
    sp_terminal_continue(session.terminal);
    (void)!sp_wait(shell_is_over, &session, SP_FOREVER, &machine->config.interrupt, &local);
    write_banner(&session, "\r\n[left the shell on '%s']\r\n", machine->config.name);
    sp_terminal_free(session.terminal);
    sp_channel_free(session.channel);
    if (!local)
        return true;
    g_propagate_error(error, sp_machine_explain_loss(machine, local));
    return false;
}

bool sp_machine_shell_interact(SpMachine *machine, int input_fd, int output_fd, GError **error)
{
    GError *local = NULL;

    run_shell(machine, input_fd, output_fd, &local);
    return sp_machine_report(machine, local, error);
}

static gsize console_room(void *data)
{
    return CONSOLE_PIECE;
}

static void console_input(const guint8 *bytes, gsize length, void *data)
{
    const Session *session = data;

    /* a guest that reads nothing loses what is typed, as on a real line */
    (void)!sp_console_write(session->machine->console, bytes, length, NULL);
}

static void console_output(const guint8 *bytes, gsize length, void *data)
{
    const Session *session = data;

    sp_terminal_write(session->terminal, bytes, length);
}

static bool console_is_over(void *data, GError **error)
{
    const Session *session = data;

    return sp_terminal_was_left(session->terminal) ||
           !sp_machine_is_well(session->machine, SP_WAIT_QEMU, error);
}

static bool run_console(SpMachine *machine, int input_fd, int output_fd, GError **error)
{
    const SpTerminalOps ops = {console_room, console_input, NULL};
    Session session = {.machine = machine};
    bool is_good;

    if (!sp_machine_is_well(machine, SP_WAIT_QEMU, error))
        return false;
    session.terminal = sp_terminal_open(input_fd, output_fd, &ops, &session, error);
    if (!session.terminal)
        return false;
    write_banner(
        &session, "[the serial console of '%s'; Ctrl-] leaves it]\r\n", machine->config.name);
    sp_console_set_tap(machine->console, console_output, &session);
    is_good = sp_wait(console_is_over, &session, SP_FOREVER, &machine->config.interrupt, error);
    sp_console_set_tap(machine->console, NULL, NULL);
    write_banner(&session, "\r\n[left the serial console of '%s']\r\n", machine->config.name);
    sp_terminal_free(session.terminal);
    return is_good;
}

bool sp_machine_console_interact(SpMachine *machine, int input_fd, int output_fd, GError **error)
{
    GError *local = NULL;

    run_console(machine, input_fd, output_fd, &local);
    return sp_machine_report(machine, local, error);
}
