/* SPDX-License-Identifier: MIT */

/* Commands: what a machine has its guest run through its agent. */

#include "machine/machine-guest.h"
#include "base/error.h"
#include "machine/machine-private.h"

#include <string.h>

/* As of timeout(1). */
#define TIMEOUT_STATUS 124
/* How soon after a lost connection it shows that QEMU has ended or the kernel failed. */
#define LOSS_MS 500

typedef struct {
    SpMachine *machine;
    SpChannel *channel;
} ChannelWait;

bool sp_machine_answers(SpMachine *machine)
{
    return machine->agent && sp_agent_is_ready(machine->agent) &&
           sp_machine_is_well(machine, SP_WAIT_GUEST, NULL);
}

static bool channel_is_done(void *data, GError **error)
{
    ChannelWait *wait = data;

    if (sp_channel_is_done(wait->channel, error))
        return true;
    return !sp_machine_is_well(wait->machine, SP_WAIT_GUEST, error);
}

static bool is_broken(void *data, GError **error)
{
    return !sp_machine_is_well(data, SP_WAIT_GUEST, NULL);
}

GError *sp_machine_explain_loss(SpMachine *machine, GError *error)
{
    GError *reason = NULL;

    if (!g_error_matches(error, SP_ERROR, SP_ERROR_MACHINE) ||
        !sp_wait(is_broken, machine, sp_deadline(LOSS_MS), NULL, NULL) ||
        sp_machine_is_well(machine, SP_WAIT_GUEST, &reason))
        return error;
    g_error_free(error);
    return reason;
}

bool sp_machine_wait_channel(
    SpMachine *machine, SpChannel *channel, gint64 deadline, GError **error)
{
    ChannelWait wait = {.machine = machine, .channel = channel};
    GError *local = NULL;

    if (sp_wait(channel_is_done, &wait, deadline, &machine->config.interrupt, &local))
        return true;
    g_propagate_error(error, sp_machine_explain_loss(machine, local));
    return false;
}

void sp_command_result_clear(SpCommandResult *result)
{
    if (result->output)
        g_string_free(result->output, TRUE);
    if (result->errors)
        g_string_free(result->errors, TRUE);
    memset(result, 0, sizeof *result);
}

static GString *copy_string(const GString *string)
{
    return g_string_new_len(string->str, (gssize)string->len);
}

/* The kernel takes 128 KiB in one argument at most (execve(2)). */
#define ARGUMENT_MAX (96u * 1024)

/* errexit and pipefail, so that no part of a line fails unseen. A long command comes in several
 * arguments, none of which it gets to see. */
static GStrv shell_argv(const char *command)
{
    static const char *const shell[] = {"/bin/bash", "-euo", "pipefail", "-c"};
    gsize length = strlen(command), pieces = 1 + length / ARGUMENT_MAX;
    GPtrArray *argv = g_ptr_array_new();

    for (gsize i = 0; i < G_N_ELEMENTS(shell); i++)
        g_ptr_array_add(argv, g_strdup(shell[i]));
    if (pieces == 1) {
        g_ptr_array_add(argv, g_strdup(command));
    } else {
        GString *script = g_string_new("eval \"set --\n");

        for (gsize i = 1; i <= pieces; i++)
            g_string_append_printf(script, "${%" G_GSIZE_FORMAT "}", i);
        g_string_append_c(script, '"');
        g_ptr_array_add(argv, g_string_free(script, FALSE));
        g_ptr_array_add(argv, g_strdup(shell[0]));
        for (gsize i = 0; i < pieces; i++)
            g_ptr_array_add(argv, g_strndup(command + i * ARGUMENT_MAX, ARGUMENT_MAX));
    }
    g_ptr_array_add(argv, NULL);
    return (GStrv)g_ptr_array_free(argv, FALSE);
}

static SpChannel *exec_shell(SpMachine *machine, const char *command)
{
    g_auto(GStrv) argv = shell_argv(command);

    return sp_agent_exec(machine->agent, (const char *const *)argv);
}

static bool run_shell_command(SpMachine *machine, const char *command, gint64 timeout_ms,
    SpCommandResult *ret_result, GError **error)
{
    gint64 deadline = sp_machine_deadline(machine, timeout_ms);
    g_autoptr(SpChannel) channel = NULL;
    bool timed_out;
    GError *local = NULL;

    if (!sp_machine_contact(machine, sp_machine_contact_deadline(machine, deadline), error))
        return false;
    channel = exec_shell(machine, command);
    (void)!sp_machine_wait_channel(machine, channel, deadline, &local);
    timed_out = g_error_matches(local, SP_ERROR, SP_ERROR_TIMEOUT);
    if (local && !timed_out) {
        g_propagate_error(error, local);
        return false;
    }
    g_clear_error(&local);
    if (sp_channel_holders(channel))
        sp_log(machine->config.log, machine->config.name,
            "its output is cut off here: background processes still hold it open: %s",
            sp_channel_holders(channel));
    ret_result->status = timed_out ? TIMEOUT_STATUS : sp_channel_status(channel);
    ret_result->timed_out = timed_out;
    ret_result->output = copy_string(sp_channel_output(channel));
    ret_result->errors = copy_string(sp_channel_errors(channel));
    return true;
}

bool sp_machine_execute(SpMachine *machine, const char *command, gint64 timeout_ms,
    SpCommandResult *ret_result, GError **error)
{
    GError *local = NULL;

    run_shell_command(machine, command, timeout_ms, ret_result, &local);
    return sp_machine_report(machine, local, error);
}

static bool run_until(SpMachine *machine, const char *purpose, const char *const *argv,
    gint64 deadline, GString **ret_output, GError **error)
{
    g_autoptr(SpChannel) channel = NULL;
    GError *local = NULL;

    if (!sp_machine_contact(machine, deadline, error))
        return false;
    channel = sp_agent_exec(machine->agent, argv);
    if (!sp_machine_wait_channel(machine, channel, deadline, &local)) {
        if (g_error_matches(local, SP_ERROR, SP_ERROR_GUEST) ||
            g_error_matches(local, SP_ERROR, SP_ERROR_TIMEOUT))
            g_prefix_error(&local, "%s: ", purpose);
        g_propagate_error(error, local);
        return false;
    }
    if (sp_channel_status(channel) != 0) {
        const char *said = g_strchomp(sp_channel_errors(channel)->str);
        g_autofree char *status =
            g_strdup_printf("it ended with status %d", sp_channel_status(channel));

        g_set_error(error, SP_ERROR, SP_ERROR_GUEST, "%s: %s", purpose, *said ? said : status);
        return false;
    }
    if (ret_output)
        *ret_output = copy_string(sp_channel_output(channel));
    return true;
}

bool sp_machine_run_detached(
    SpMachine *machine, const char *command, gint64 timeout_ms, GError **error)
{
    static const char *const detach[] = {
        "/bin/bash", "-c", "setsid \"$@\" </dev/null >/dev/null 2>&1 &", "bash"};
    g_auto(GStrv) shell = shell_argv(command);
    g_autoptr(GPtrArray) argv = g_ptr_array_new();

    for (gsize i = 0; i < G_N_ELEMENTS(detach); i++)
        g_ptr_array_add(argv, (void *)detach[i]);
    for (char **word = shell; *word; word++)
        g_ptr_array_add(argv, *word);
    g_ptr_array_add(argv, NULL);
    return run_until(machine, "starting a command", (const char *const *)argv->pdata,
        sp_machine_deadline(machine, timeout_ms), NULL, error);
}

bool sp_machine_execute_detached(
    SpMachine *machine, const char *command, gint64 timeout_ms, GError **error)
{
    GError *local = NULL;

    (void)!sp_machine_run_detached(machine, command, timeout_ms, &local);
    return sp_machine_report(machine, local, error);
}

bool sp_machine_run(SpMachine *machine, const char *purpose, const char *const *argv,
    GString **ret_output, GError **error)
{
    return run_until(machine, purpose, argv, sp_machine_deadline(machine, -1), ret_output, error);
}
