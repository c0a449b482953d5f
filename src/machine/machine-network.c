/* SPDX-License-Identifier: MIT */

/* The links of a machine's network cards, and ports of the host that are forwarded into it. */

#include "machine/machine-network.h"
#include "base/error.h"
#include "machine/machine-private.h"

static char *describe_networks(SpMachine *machine)
{
    GString *text = g_string_new(machine->config.nics == 0 ? "none" : NULL);

    for (guint i = 0; i < machine->config.nics; i++)
        g_string_append_printf(
            text, "%s%s", i > 0 ? ", " : "", sp_switch_name(machine->config.networks[i]));
    return g_string_free(text, FALSE);
}

static bool is_on(SpMachine *machine, guint nic, const char *network)
{
    return !network || g_str_equal(network, sp_switch_name(machine->config.networks[nic]));
}

static bool has_network(SpMachine *machine, const char *network, GError **error)
{
    g_autofree char *networks = NULL;

    if (!network)
        return true;
    for (guint i = 0; i < machine->config.nics; i++) {
        if (is_on(machine, i, network))
            return true;
    }
    networks = describe_networks(machine);
    g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "has no card on network %s: its networks are %s",
        network, networks);
    return false;
}

static bool set_link(SpMachine *machine, guint nic, bool is_up, GError **error)
{
    g_autofree char *name = g_strdup_printf("net%u", nic);

    if (!sp_machine_command(machine, error, "set_link", "{s:s, s:b}", "name", name, "up", is_up))
        return false;
    machine->cables[nic].is_pulled = !is_up;
    return true;
}

bool sp_machine_set_links(SpMachine *machine, const char *network, bool are_up, GError **error)
{
    GError *local = NULL;

    if (!has_network(machine, network, &local))
        return sp_machine_report(machine, local, error);
    for (guint i = 0; i < machine->config.nics; i++) {
        if (is_on(machine, i, network) && !set_link(machine, i, are_up, &local))
            return sp_machine_report(machine, local, error);
    }
    return true;
}

bool sp_machine_pull_cables(SpMachine *machine, GError **error)
{
    for (guint i = 0; i < machine->config.nics; i++) {
        if (machine->cables[i].is_pulled && !set_link(machine, i, false, error))
            return false;
    }
    return true;
}

void sp_machine_apply_cable(SpMachine *machine, guint nic)
{
    if (!machine->ports[nic])
        return;
    sp_port_set_loss(machine->ports[nic], machine->cables[nic].loss);
    sp_port_set_delay(machine->ports[nic], machine->cables[nic].delay_ms);
}

bool sp_machine_set_cable(
    SpMachine *machine, const char *network, double loss, guint delay_ms, GError **error)
{
    GError *local = NULL;

    if (!has_network(machine, network, &local))
        return sp_machine_report(machine, local, error);
    for (guint i = 0; i < machine->config.nics; i++) {
        if (!is_on(machine, i, network))
            continue;
        machine->cables[i] = (SpCable){.loss = loss, .delay_ms = delay_ms};
        sp_machine_apply_cable(machine, i);
    }
    return true;
}

static SpAgent *get_agent(void *data)
{
    SpMachine *machine = data;

    return machine->agent && sp_agent_is_ready(machine->agent) ? machine->agent : NULL;
}

bool sp_machine_forward_port(
    SpMachine *machine, guint host_port, guint guest_port, guint *ret_port, GError **error)
{
    const SpForwardConfig config = {
        .host_port = host_port,
        .guest_port = guest_port,
        .machine = machine->config.name,
        .log = machine->config.log,
        .agent = get_agent,
        .data = machine,
    };
    SpForward *forward = NULL;
    GError *local = NULL;

    if (machine->config.image->has_agent)
        forward = sp_forward_new(&config, &local);
    else
        g_set_error(&local, SP_ERROR, SP_ERROR_USAGE,
            "its image '%s' has no agent, so no port of it can be forwarded",
            machine->config.image->name);
    if (!forward)
        return sp_machine_report(machine, local, error);
    g_ptr_array_add(machine->forwards, forward);
    *ret_port = sp_forward_port(forward);
    return true;
}
