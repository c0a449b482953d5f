/* SPDX-License-Identifier: MIT */

/* What a machine reports by itself: on its console, through QMP, by its agent. */

#include "base/json.h"
#include "machine/machine-private.h"

#include <string.h>

/* A line with the kernel's time stamp or its name: boot loaders print neither. */
static bool is_from_kernel(const char *line)
{
    const char *number = line + 1 + strspn(line + (*line ? 1 : 0), " ");

    return strstr(line, "Linux version ") ||
           (*line == '[' && g_ascii_isdigit(*number) && strstr(number, "] "));
}

void sp_machine_on_console_line(const char *line, void *data)
{
    SpMachine *machine = data;

    sp_log_console(machine->config.log, machine->config.name, line);
    machine->heard_us = g_get_monotonic_time();
    g_free(machine->last_line);
    machine->last_line = g_strdup(line);
    machine->has_kernel = machine->has_kernel || is_from_kernel(line);
    sp_machine_look_for_panic(machine, line);
}

void sp_machine_forget_boot(SpMachine *machine, const char *why)
{
    sp_console_begin_anew(machine->console);
    sp_machine_forget_panic(machine);
    g_clear_pointer(&machine->last_line, g_free);
    machine->has_kernel = false;
    if (machine->agent)
        sp_agent_reset(machine->agent, why);
}

void sp_machine_on_agent_ready(void *data)
{
    SpMachine *machine = data;

    machine->heard_us = g_get_monotonic_time();
    sp_log_mark(machine->config.log, machine->config.name, "agent", "the agent answers (%.2f s)",
        (double)(g_get_monotonic_time() - machine->boot_begin) / G_TIME_SPAN_SECOND);
}

static void take_reset(SpMachine *machine, const json_t *data)
{
    machine->resets++;
    machine->boot_begin = g_get_monotonic_time();
    sp_machine_forget_boot(machine, "the guest was reset");
    sp_machine_load_boot_snapshot_after_reset(machine);
}

/* The guest has stopped, its reset follows. */
static void take_watchdog(SpMachine *machine, const json_t *data)
{
    if (g_strcmp0(sp_json_text(data, "action"), "reset") == 0)
        sp_machine_forget_boot(machine, "the guest was reset");
}

static void take_port_change(SpMachine *machine, const json_t *data)
{
    if (sp_json_is_true(data, "open"))
        return;
    machine->agent_losses++;
    if (machine->agent)
        sp_agent_reset(machine->agent, "the agent was lost");
}

static void take_shutdown(SpMachine *machine, const json_t *data)
{
    g_free(machine->shutdown_reason);
    machine->shutdown_reason = g_strdup(sp_json_text(data, "reason"));
}

/* QEMU has paused the guest until there is space; nobody will free any. */
static void take_disk_error(SpMachine *machine, const json_t *data)
{
    const char *reason = sp_json_text(data, "reason");

    if (g_strcmp0(sp_json_text(data, "action"), "stop") != 0)
        return;
    g_free(machine->host_failure);
    machine->host_failure = g_strdup_printf(
        "the host can't write the machine's disk: %s (set TMPDIR to a directory with space)",
        reason ? reason : "no reason given");
}

static const struct {
    const char *event;
    const char *mark; /* the kind of its mark in the log; NULL: only a line */
    void (*take)(SpMachine *machine, const json_t *data);
} events[] = {
    {"BLOCK_IO_ERROR", NULL, take_disk_error},
    {"RESET", "reset", take_reset},
    {"SHUTDOWN", "off", take_shutdown},
    {"VSERPORT_CHANGE", NULL, take_port_change},
    {"WATCHDOG", "watchdog", take_watchdog},
};

static void log_event(SpMachine *machine, const char *event, const char *mark)
{
    /* firmware resets several times before it starts anything: those are one */
    bool is_repeated = g_strcmp0(mark, "reset") == 0 &&
                       g_get_monotonic_time() - machine->boot_begin < G_TIME_SPAN_SECOND;

    if (mark && !is_repeated)
        sp_log_mark(machine->config.log, machine->config.name, mark, "QEMU: %s", event);
    else
        sp_log(machine->config.log, machine->config.name, "QEMU: %s", event);
}

void sp_machine_on_qmp_event(const char *event, const json_t *data, void *user_data)
{
    SpMachine *machine = user_data;
    gsize i = 0;

    while (i < G_N_ELEMENTS(events) && !g_str_equal(events[i].event, event))
        i++;
    log_event(machine, event, i < G_N_ELEMENTS(events) ? events[i].mark : NULL);
    if (i < G_N_ELEMENTS(events))
        events[i].take(machine, data);
}
