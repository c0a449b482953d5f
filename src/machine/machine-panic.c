/* SPDX-License-Identifier: MIT */

/*
 * Whether the guest's kernel has failed, judged by its console.
 *
 * Text alone does not prove a panic: a program may print what a kernel printed at another time. If
 * the agent answers a request that is sent after the line, userspace is alive, and there was no
 * panic. A kernel that did panic does not answer for PROBE_MS. If no agent is connected, the
 * kernel's own format decides.
 */

#include "machine/kernel-word.h"
#include "machine/machine-private.h"

/* Times the machine's factor. */
#define PROBE_MS 1000
#define LOOK_MS 100

static void set_fatal(SpMachine *machine, const char *line)
{
    machine->fatal = g_strdup(line);
    sp_log_mark(machine->config.log, machine->config.name, "panic", "its kernel failed");
}

static void end_probe(SpMachine *machine)
{
    if (machine->probe_timer != 0)
        g_source_remove(machine->probe_timer);
    machine->probe_timer = 0;
    g_clear_pointer(&machine->probe, sp_channel_free);
    g_clear_pointer(&machine->suspected, g_free);
}

static gboolean on_look(void *data)
{
    SpMachine *machine = data;
    gint64 patience = (gint64)(PROBE_MS * sp_machine_time_factor(machine));
    bool is_confirmed;

    if (!machine->probe) {
        /* not at once: a kernel prints this before it stops the other processors */
        machine->probe = sp_agent_watch(machine->agent, SP_WATCH_FILE, "/");
        return G_SOURCE_CONTINUE;
    }
    if (!sp_channel_state(machine->probe, NULL)) {
        /* a lost agent has not refuted it */
        is_confirmed =
            sp_channel_is_done(machine->probe, NULL) ||
            g_get_monotonic_time() - machine->fatal_since > patience * G_TIME_SPAN_MILLISECOND;
        if (!is_confirmed)
            return G_SOURCE_CONTINUE;
        set_fatal(machine, machine->suspected);
    } else {
        sp_log(machine->config.log, machine->config.name,
            "no panic: the agent answers, so a program wrote '%s'", machine->suspected);
    }
    machine->probe_timer = 0; /* it ends with this */
    end_probe(machine);
    return G_SOURCE_REMOVE;
}

static void begin_probe(SpMachine *machine, const char *line)
{
    end_probe(machine);
    machine->suspected = g_strdup(line);
    machine->probe_timer = g_timeout_add(LOOK_MS, on_look, machine);
}

void sp_machine_look_for_panic(SpMachine *machine, const char *line)
{
    SpKernelWord word = sp_kernel_word(line);

    if (machine->fatal || word == SP_WORD_NONE)
        return;
    machine->fatal_since = g_get_monotonic_time();
    if (word == SP_WORD_FAULT) {
        end_probe(machine);
        set_fatal(machine, line);
    } else if (machine->agent && sp_agent_is_ready(machine->agent)) {
        begin_probe(machine, line);
    } else if (word == SP_WORD_PANIC) {
        set_fatal(machine, line);
    }
}

void sp_machine_forget_panic(SpMachine *machine)
{
    end_probe(machine);
    g_clear_pointer(&machine->fatal, g_free);
}
