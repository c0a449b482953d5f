/* SPDX-License-Identifier: MIT */

/* What a machine says by itself: on its console, through QMP, by its agent. */

#include "machine/machine-private.h"

#include <string.h>

/* What boot loaders do not say: a line with the kernel's time stamp, or its name. */
static bool is_of_kernel(const char *line)
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
    machine->has_kernel = machine->has_kernel || is_of_kernel(line);
    sp_machine_look_for_panic(machine, line);
}

static bool event_flag(JsonObject *data, const char *name)
{
    JsonNode *node = data ? json_object_get_member(data, name) : NULL;

    return node && JSON_NODE_HOLDS_VALUE(node) && json_node_get_boolean(node);
}

static const char *event_string(JsonObject *data, const char *name)
{
    JsonNode *node = data ? json_object_get_member(data, name) : NULL;

    return node && JSON_NODE_HOLDS_VALUE(node) ? json_node_get_string(node) : NULL;
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

static void tell_event(SpMachine *machine, const char *event)
{
    static const struct {
        const char *event;
        const char *kind;
    } kinds[] = {{"RESET", "reset"}, {"SHUTDOWN", "off"}, {"WATCHDOG", "watchdog"}};

    /* firmware resets again and again before it starts anything: that is one */
    bool is_repeated = g_str_equal(event, "RESET") &&
                       g_get_monotonic_time() - machine->boot_begin < G_TIME_SPAN_SECOND;

    for (gsize i = 0; !is_repeated && i < G_N_ELEMENTS(kinds); i++) {
        if (g_str_equal(kinds[i].event, event)) {
            sp_log_mark(
                machine->config.log, machine->config.name, kinds[i].kind, "QEMU: %s", event);
            return;
        }
    }
    sp_log(machine->config.log, machine->config.name, "QEMU: %s", event);
}

void sp_machine_on_qmp_event(const char *event, JsonObject *data, void *user_data)
{
    SpMachine *machine = user_data;

    tell_event(machine, event);
    if (g_str_equal(event, "RESET")) {
        machine->resets++;
        machine->boot_begin = g_get_monotonic_time();
        sp_machine_forget_boot(machine, "the guest was reset");
        sp_machine_power_on_after_reset(machine);
    } else if (g_str_equal(event, "WATCHDOG") &&
               g_strcmp0(event_string(data, "action"), "reset") == 0) {
        /* the guest has stopped, its reset follows */
        sp_machine_forget_boot(machine, "the guest was reset");
    } else if (g_str_equal(event, "VSERPORT_CHANGE") && !event_flag(data, "open")) {
        machine->agent_losses++;
        if (machine->agent)
            sp_agent_reset(machine->agent, "the agent was lost");
    } else if (g_str_equal(event, "SHUTDOWN")) {
        g_free(machine->shutdown_reason);
        machine->shutdown_reason = g_strdup(event_string(data, "reason"));
    } else if (g_str_equal(event, "BLOCK_IO_ERROR") &&
               g_strcmp0(event_string(data, "action"), "stop") == 0) {
        /* QEMU has stopped the guest and waits for room, which nobody is there to make. */
        g_free(machine->host_failure);
        machine->host_failure = g_strdup_printf("the host can't write the machine's disk: %s "
                                                "(set TMPDIR to a folder with room)",
            event_string(data, "reason") ? event_string(data, "reason") : "no reason given");
    }
}
