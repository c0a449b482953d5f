/* SPDX-License-Identifier: MIT */

/* How a machine's guest ends, reboots, and leaves its initramfs. */

#include "base/error.h"
#include "machine/machine-guest.h"
#include "machine/machine-private.h"

#include <signal.h>

/* For asking a guest that does not end what it is doing. */
#define JOBS_TIMEOUT_MS 5000

typedef struct {
    SpMachine *machine;
    guint resets;
} EndWait;

static bool has_ended(void *data, GError **error)
{
    SpMachine *machine = ((EndWait *)data)->machine;

    return !sp_machine_is_up(machine) || !sp_machine_is_well(machine, SP_WAIT_CONSOLE, error);
}

/* What the guest's systemd still has to do; "" if it can't be asked. Free with g_free(). */
static char *describe_jobs(SpMachine *machine)
{
    g_auto(SpCommandResult) result = {0};

    if (!sp_machine_answers(machine) ||
        !sp_machine_execute(machine, "systemctl list-jobs --no-pager --no-legend", JOBS_TIMEOUT_MS,
            &result, NULL) ||
        result.status != 0 || result.output->len == 0)
        return g_strdup("");
    return g_strdup_printf("\nJobs of its systemd:\n%s", result.output->str);
}

/* "timed out" becomes what did not happen, and what may be delaying it. */
static bool explain_delay(SpMachine *machine, GError *local, const char *what, GError **error)
{
    g_autofree char *jobs = NULL;

    if (g_error_matches(local, SP_ERROR, SP_ERROR_TIMEOUT)) {
        jobs = describe_jobs(machine);
        g_free(local->message);
        local->message = g_strconcat(what, jobs, NULL);
    }
    g_propagate_error(error, local);
    return false;
}

static bool wait_for_end(SpMachine *machine, gint64 deadline, GError **error)
{
    EndWait wait = {.machine = machine};
    GError *local = NULL;

    if (sp_wait(has_ended, &wait, deadline, &machine->config.interrupt, &local)) {
        sp_log_mark(machine->config.log, machine->config.name, "off", "has ended");
        sp_machine_drop_qemu(machine);
        return true;
    }
    return explain_delay(machine, local, "did not shut down in time", error);
}

bool sp_machine_wait_for_shutdown(SpMachine *machine, gint64 timeout_ms, GError **error)
{
    GError *local = NULL;

    if (machine->qemu)
        wait_for_end(machine, sp_deadline(timeout_ms), &local);
    return sp_machine_report(machine, local, error);
}

static bool shut_down(SpMachine *machine, gint64 timeout_ms, GError **error)
{
    gint64 deadline = sp_machine_deadline(machine, timeout_ms);

    if (!sp_machine_is_up(machine)) {
        sp_machine_drop_qemu(machine);
        return true;
    }
    machine->awaits_boot = false;
    if (machine->agent && sp_agent_is_ready(machine->agent)) {
        if (!sp_machine_run_detached(machine, "systemctl poweroff", timeout_ms, error))
            return false;
    } else if (!sp_machine_command(machine, error, "system_powerdown", NULL)) {
        return false;
    }
    return wait_for_end(machine, deadline, error);
}

bool sp_machine_shutdown(SpMachine *machine, gint64 timeout_ms, GError **error)
{
    GError *local = NULL;

    shut_down(machine, timeout_ms, &local);
    return sp_machine_report(machine, local, error);
}

bool sp_machine_crash(SpMachine *machine, GError **error)
{
    GError *local = NULL;

    if (sp_machine_is_up(machine)) {
        sp_machine_settle_recording(machine);
        sp_log_mark(machine->config.log, machine->config.name, "power-cut", "power is cut");
        sp_process_signal(machine->qemu, SIGKILL);
        if (!sp_process_wait(machine->qemu, sp_deadline(SP_END_TIMEOUT_MS), NULL, &local)) {
            g_prefix_error(&local, "QEMU can't be killed: ");
            return sp_machine_report(machine, local, error);
        }
    }
    sp_machine_drop_qemu(machine);
    return true;
}

static bool has_reset(void *data, GError **error)
{
    EndWait *wait = data;

    return wait->machine->resets != wait->resets ||
           !sp_machine_is_well(wait->machine, SP_WAIT_CONSOLE, error);
}

static bool reboot_guest(SpMachine *machine, gint64 timeout_ms, GError **error)
{
    gint64 deadline = sp_machine_deadline(machine, timeout_ms);
    EndWait wait = {.machine = machine};
    GError *local = NULL;

    if (!sp_machine_contact(machine, deadline, error) ||
        !sp_machine_command(machine, error, "set-action", "{s:s}", "reboot", "reset"))
        return false;
    wait.resets = machine->resets;
    if (!sp_machine_run_detached(machine, "systemctl reboot", timeout_ms, error))
        return false;
    if (sp_wait(has_reset, &wait, deadline, &machine->config.interrupt, &local))
        return true;
    return explain_delay(machine, local, "did not leave its boot in time", error);
}

bool sp_machine_reboot(SpMachine *machine, gint64 timeout_ms, GError **error)
{
    GError *local = NULL;

    reboot_guest(machine, timeout_ms, &local);
    return sp_machine_report(machine, local, error);
}

typedef struct {
    SpMachine *machine;
    guint losses;
} LossWait;

static bool agent_has_gone(void *data, GError **error)
{
    LossWait *wait = data;

    return wait->machine->agent_losses != wait->losses ||
           !sp_machine_is_well(wait->machine, SP_WAIT_GUEST, error);
}

static bool switch_root(SpMachine *machine, gint64 timeout_ms, GError **error)
{
    gint64 deadline = sp_machine_deadline(machine, timeout_ms);
    LossWait wait = {.machine = machine};
    GError *local = NULL;

    if (!sp_machine_await_unit(machine, "initrd.target", timeout_ms, error))
        return false;
    wait.losses = machine->agent_losses;
    if (!sp_machine_run_detached(
            machine, "systemctl isolate --no-block initrd-switch-root.target", timeout_ms, error))
        return false;
    if (sp_wait(agent_has_gone, &wait, deadline, &machine->config.interrupt, &local))
        return sp_machine_contact(machine, deadline, error);
    return explain_delay(machine, local, "did not leave its initramfs in time", error);
}

bool sp_machine_switch_root(SpMachine *machine, gint64 timeout_ms, GError **error)
{
    GError *local = NULL;

    switch_root(machine, timeout_ms, &local);
    return sp_machine_report(machine, local, error);
}
