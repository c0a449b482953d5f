/* SPDX-License-Identifier: MIT */

/* Snapshots within a test: memory, devices and disk of a running machine, or its disk alone, kept
 * in its overlay (QEMU, QMP reference, "snapshot-save", "snapshot-load" and
 * "blockdev-snapshot-internal-sync"). */

#include "base/error.h"
#include "base/json.h"
#include "machine/machine-private.h"
#include "qemu/command.h"

typedef enum { SNAPSHOT_NONE, SNAPSHOT_OF_ALL, SNAPSHOT_OF_DISK } SnapshotKind;

static SnapshotKind kind_of(SpMachine *machine, const char *name)
{
    return (SnapshotKind)GPOINTER_TO_INT(g_hash_table_lookup(machine->snapshots, name));
}

static void add(SpMachine *machine, const char *name, SnapshotKind kind)
{
    g_hash_table_insert(machine->snapshots, g_strdup(name), GINT_TO_POINTER(kind));
}

/* qemu-img takes a name of digits for a number. */
static char *tag_of(const char *name)
{
    return g_strconcat("snapshot ", name, NULL);
}

static bool refuse(SpMachine *machine, const char *name, const char *why, GError **error)
{
    g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "machine '%s' has no snapshot '%s'%s",
        machine->config.name, name, why);
    return false;
}

/* QEMU reports each step of each job. */
static bool wait_for_job(SpMachine *machine, const char *id, GError **error)
{
    for (;;) {
        json_auto_t *data = NULL;

        if (!sp_machine_wait_own_event(machine, "JOB_STATUS_CHANGE", &data, error))
            return false;
        if (g_strcmp0(sp_json_text(data, "id"), id) == 0 &&
            g_strcmp0(sp_json_text(data, "status"), "concluded") == 0)
            return true;
    }
}

/* The error of a job that is over; NULL if it has none. */
static const char *get_job_error(const json_t *jobs, const char *id)
{
    const json_t *job;
    size_t i;

    json_array_foreach(jobs, i, job)
    {
        if (g_strcmp0(sp_json_text(job, "id"), id) == 0)
            return sp_json_text(job, "error");
    }
    return "QEMU has forgotten the job";
}

static bool run_job(
    SpMachine *machine, const char *command, const char *name, const char *node, GError **error)
{
    g_autofree char *id = g_strdup_printf("snapshot%u", machine->jobs++);
    json_auto_t *jobs = NULL;
    const char *fault;

    if (!sp_machine_command(machine, error, command, "{s:s, s:s, s:s, s:[s]}", "job-id", id, "tag",
            name, "vmstate", node, "devices", node) ||
        !wait_for_job(machine, id, error) ||
        !(jobs = sp_machine_query(machine, error, "query-jobs", NULL)) ||
        !sp_machine_command(machine, error, "job-dismiss", "{s:s}", "id", id))
        return false;
    fault = get_job_error(jobs, id);
    if (fault)
        g_set_error(error, SP_ERROR, SP_ERROR_MACHINE, "snapshot '%s': %s", name, fault);
    return !fault;
}

bool sp_machine_run_snapshot_job(
    SpMachine *machine, const char *command, const char *name, const char *node, GError **error)
{
    bool is_good;

    machine->has_snapshot_job = true;
    is_good = run_job(machine, command, name, node, error);
    machine->has_snapshot_job = false;
    return is_good;
}

bool sp_machine_save_snapshot(SpMachine *machine, const char *name, GError **error)
{
    g_autofree char *tag = tag_of(name);

    if (!sp_machine_is_up(machine)) {
        g_set_error(error, SP_ERROR, SP_ERROR_MACHINE, "is not running");
    } else if (sp_machine_run_snapshot_job(
                   machine, "snapshot-save", tag, SP_QEMU_OVERLAY_NODE, error)) {
        add(machine, name, SNAPSHOT_OF_ALL);
        return true;
    }
    sp_machine_explain(machine, error);
    return false;
}

bool sp_machine_load_snapshot(SpMachine *machine, const char *name, GError **error)
{
    g_autofree char *tag = tag_of(name);

    /* asked for one that it does not have, QEMU stops the guest and leaves it so */
    if (kind_of(machine, name) != SNAPSHOT_OF_ALL)
        return refuse(machine, name,
            kind_of(machine, name) == SNAPSHOT_OF_DISK ? " with its memory" : "", error);
    if (machine->recording && sp_machine_is_up(machine)) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "machine '%s' is being recorded: another disk in its place would not be in the log",
            machine->config.name);
        return false;
    }
    if (!sp_machine_start(machine, true, error))
        return false;
    if (!sp_machine_run_snapshot_job(machine, "snapshot-load", tag, SP_QEMU_OVERLAY_NODE, error)) {
        sp_machine_explain(machine, error);
        return false;
    }
    sp_machine_forget_boot(machine, "the guest is another one since its snapshot was loaded");
    machine->awaits_boot = false;
    return true;
}

bool sp_machine_save_disk_snapshot(SpMachine *machine, const char *name, GError **error)
{
    g_autofree char *tag = tag_of(name);

    if (!sp_machine_is_up(machine)) {
        g_set_error(error, SP_ERROR, SP_ERROR_MACHINE, "is not running");
    } else if (kind_of(machine, name) != SNAPSHOT_NONE) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "has a snapshot '%s' already", name);
    } else if (sp_machine_command(machine, error, "blockdev-snapshot-internal-sync", "{s:s, s:s}",
                   "device", SP_QEMU_DISK_NODE, "name", tag)) {
        add(machine, name, SNAPSHOT_OF_DISK);
        return true;
    }
    sp_machine_explain(machine, error);
    return false;
}

bool sp_machine_load_disk_snapshot(SpMachine *machine, const char *name, GError **error)
{
    g_autofree char *tag = tag_of(name);

    if (kind_of(machine, name) == SNAPSHOT_NONE)
        return refuse(machine, name, "", error);
    if (sp_machine_is_up(machine)) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "machine '%s' is running: its disk can be replaced when it is off (crash())",
            machine->config.name);
        return false;
    }
    if (sp_overlay_revert(machine->overlay, tag, error))
        return true;
    sp_machine_explain(machine, error);
    return false;
}
