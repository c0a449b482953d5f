/* SPDX-License-Identifier: MIT */

/* Whether a machine can go on, and how its errors are explained. */

#include "base/error.h"
#include "machine/machine-console.h"
#include "machine/machine-private.h"

#define TAIL_LINES 20u
/* Grace period for a crashed kernel to finish printing and, if configured, reset. */
#define LAST_WORDS_US (3 * G_TIME_SPAN_SECOND)

bool sp_machine_error_shows_console(const GError *error)
{
    return g_error_matches(error, SP_ERROR, SP_ERROR_MACHINE) ||
           g_error_matches(error, SP_ERROR, SP_ERROR_PROTOCOL) ||
           g_error_matches(error, SP_ERROR, SP_ERROR_TIMEOUT);
}

static char *describe_console(SpMachine *machine)
{
    g_autofree char *tail = sp_machine_console_tail(machine, TAIL_LINES);

    return *tail ? g_strdup_printf("\nThe last lines of its console:\n%s", g_strchomp(tail))
                 : g_strdup("\nIts console is empty.");
}

bool sp_machine_report(SpMachine *machine, GError *local, GError **error)
{
    g_autofree char *message = NULL, *console = NULL;

    if (!local)
        return true;
    if (!g_error_matches(local, SP_ERROR, SP_ERROR_INTERRUPTED)) {
        message = g_steal_pointer(&local->message);
        console = sp_machine_error_shows_console(local) ? describe_console(machine) : g_strdup("");
        local->message =
            g_strdup_printf("machine '%s': %s%s", machine->config.name, message, console);
    }
    g_propagate_error(error, local);
    return false;
}

char *sp_machine_describe_end(SpMachine *machine)
{
    const char *reason = machine->shutdown_reason;
    g_autofree char *fault = NULL;
    g_autofree char *end = NULL;
    g_autofree char *output = NULL;

    if (reason && g_str_equal(reason, "guest-shutdown"))
        return g_strdup("the guest powered off");
    if (reason && g_str_equal(reason, "guest-reset"))
        return g_strdup("the guest reset, which ends a machine that was not started with "
                        "allow_reboot=True");
    fault = sp_machine_memory_fault(machine);
    if (fault)
        return g_steal_pointer(&fault);
    end = sp_process_describe_end(machine->qemu);
    output = g_strstrip(sp_process_output(machine->qemu));
    return g_strdup_printf("QEMU %s%s%s", end, *output ? ": " : "", output);
}

static bool fail_machine(GError **error, const char *message)
{
    g_set_error_literal(error, SP_ERROR, SP_ERROR_MACHINE, message);
    return false;
}

bool sp_machine_is_well(SpMachine *machine, SpWaitMood mood, GError **error)
{
    const GError *agent_error = machine->agent ? sp_agent_error(machine->agent) : NULL;
    g_autofree char *end = NULL;

    if (!machine->qemu)
        return fail_machine(error, "is not running");
    if (sp_process_has_ended(machine->qemu)) {
        end = sp_machine_describe_end(machine);
        return fail_machine(error, end);
    }
    if (mood == SP_WAIT_QEMU)
        return true;
    if (machine->host_failure)
        return fail_machine(error, machine->host_failure);
    if (machine->fatal &&
        (mood == SP_WAIT_GUEST || g_get_monotonic_time() - machine->fatal_since > LAST_WORDS_US)) {
        g_set_error(
            error, SP_ERROR, SP_ERROR_MACHINE, "the guest's kernel failed: %s", machine->fatal);
        return false;
    }
    if (mood == SP_WAIT_GUEST && g_error_matches(agent_error, SP_ERROR, SP_ERROR_PROTOCOL))
        return fail_machine(error, agent_error->message);
    return true;
}
