/* SPDX-License-Identifier: MIT */

/* Contact with a guest's agent, and which of the guest's boots it was made in. */

#include "base/error.h"
#include "machine/machine-guest.h"
#include "machine/machine-private.h"

#include <string.h>

/* How long a machine may neither print nor answer before that is logged. */
#define SILENCE_US (30 * G_TIME_SPAN_SECOND)

typedef struct {
    SpMachine *machine;
    gint64 said_us; /* when its silence was last logged */
} ContactWait;

static bool is_in_former_boot(const SpMachine *machine)
{
    return machine->awaits_boot && machine->has_contact &&
           memcmp(sp_agent_boot_id(machine->agent), machine->boot_id, SP_BOOT_ID_SIZE) == 0;
}

static bool has_contact(const SpMachine *machine)
{
    return sp_agent_is_ready(machine->agent) && !is_in_former_boot(machine);
}

/* What a guest that does not answer was last seen doing. */
static char *describe_last_seen(SpMachine *machine)
{
    g_autofree char *unfinished = g_strchomp(sp_console_tail(machine->console, 0));
    const char *line = *unfinished ? unfinished : machine->last_line;

    if (machine->awaits_boot && sp_agent_is_ready(machine->agent))
        return g_strdup("the guest still answers in the boot that it is to leave");
    if (!line)
        return g_strdup("its console has been silent since it was started or reset: neither a "
                        "boot loader nor a kernel has printed anything");
    if (!machine->has_kernel)
        return g_strdup_printf(
            "no kernel was seen on its console; firmware or a boot loader said last: %s", line);
    return g_strdup_printf(
        "its kernel was seen to start; the last line of its console is: %s", line);
}

static void log_silence(ContactWait *wait)
{
    SpMachine *machine = wait->machine;
    gint64 now = g_get_monotonic_time();
    gint64 since = MAX(machine->boot_begin, machine->heard_us);
    g_autofree char *seen = NULL;

    if (now - MAX(since, wait->said_us) < SILENCE_US)
        return;
    wait->said_us = now;
    seen = describe_last_seen(machine);
    sp_log(machine->config.log, machine->config.name,
        "nothing was heard of it for %" G_GINT64_FORMAT " s: %s",
        (now - since) / G_TIME_SPAN_SECOND, seen);
}

static bool contact_is_made(void *data, GError **error)
{
    ContactWait *wait = data;

    if (has_contact(wait->machine) || !sp_machine_is_well(wait->machine, SP_WAIT_GUEST, error))
        return true;
    log_silence(wait);
    return false;
}

static void note_boot(SpMachine *machine)
{
    const guint8 *id = sp_agent_boot_id(machine->agent);

    machine->awaits_boot = false;
    if (machine->has_contact && memcmp(id, machine->boot_id, SP_BOOT_ID_SIZE) == 0)
        return;
    memcpy(machine->boot_id, id, SP_BOOT_ID_SIZE);
    machine->boots++;
    if (machine->has_contact) {
        g_autofree char *text = sp_machine_boot_id(machine);
        sp_log(machine->config.log, machine->config.name,
            "what follows is in another boot, number %u (id %s)", machine->boots, text);
    }
    machine->has_contact = true;
}

/* "timed out" becomes what was waited for, and what was seen meanwhile. */
static bool explain_no_contact(SpMachine *machine, GError *local, GError **error)
{
    g_autofree char *seen = NULL;

    if (g_error_matches(local, SP_ERROR, SP_ERROR_TIMEOUT)) {
        seen = describe_last_seen(machine);
        g_free(local->message);
        local->message = g_strdup_printf("the agent did not answer in time%s: %s",
            machine->awaits_boot ? ", in another boot than before" : "", seen);
    }
    g_propagate_error(error, local);
    return false;
}

bool sp_machine_contact(SpMachine *machine, gint64 deadline, GError **error)
{
    ContactWait wait = {.machine = machine};
    GError *local = NULL;

    if (!sp_machine_switch_on(machine, false, error))
        return false;
    if (!machine->agent) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "its image '%s' has no agent, so nothing can be run in it",
            machine->config.image->name);
        return false;
    }
    if (!sp_wait(contact_is_made, &wait, deadline, &machine->config.interrupt, &local))
        return explain_no_contact(machine, local, error);
    note_boot(machine);
    return true;
}

gint64 sp_machine_contact_deadline(SpMachine *machine, gint64 deadline)
{
    return deadline == SP_FOREVER ? sp_machine_deadline(machine, -1) : deadline;
}

bool sp_machine_contact_within(SpMachine *machine, gint64 timeout_ms, GError **error)
{
    gint64 deadline = sp_machine_deadline(machine, timeout_ms);

    return sp_machine_contact(machine, sp_machine_contact_deadline(machine, deadline), error);
}

bool sp_machine_connect(SpMachine *machine, gint64 timeout_ms, GError **error)
{
    GError *local = NULL;

    (void)!sp_machine_contact_within(machine, timeout_ms, &local);
    return sp_machine_report(machine, local, error);
}

void sp_machine_expect_boot(SpMachine *machine)
{
    machine->awaits_boot = true;
}

bool sp_machine_is_connected(SpMachine *machine)
{
    return machine->agent && has_contact(machine) &&
           sp_machine_is_well(machine, SP_WAIT_GUEST, NULL);
}

bool sp_machine_wait_for_boot(SpMachine *machine, gint64 timeout_ms, GError **error)
{
    sp_machine_expect_boot(machine);
    return sp_machine_connect(machine, timeout_ms, error);
}

char *sp_machine_boot_id(SpMachine *machine)
{
    GString *text = g_string_new(NULL);

    for (gsize i = 0; i < SP_BOOT_ID_SIZE; i++)
        g_string_append_printf(
            text, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", machine->boot_id[i]);
    if (!machine->has_contact)
        g_string_truncate(text, 0);
    return g_string_free(text, FALSE);
}
