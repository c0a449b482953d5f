/* SPDX-License-Identifier: MIT */

/* Snapshots within a test: memory, devices and disk of a running machine, or its disk alone, kept
 * in its overlay (QEMU, QMP reference, "snapshot-save", "snapshot-load" and
 * "blockdev-snapshot-internal-sync"). */

#include "machine/machine-snapshot.h"
#include "base/error.h"
#include "base/json.h"
#include "machine/machine-private.h"
#include "qemu/command.h"

typedef enum { SNAPSHOT_NONE, SNAPSHOT_OF_ALL, SNAPSHOT_OF_DISK } SnapshotKind;

static SnapshotKind find_snapshot(SpMachine *machine, const char *name)
{
    return (SnapshotKind)GPOINTER_TO_INT(g_hash_table_lookup(machine->snapshots, name));
}

static void add_snapshot(SpMachine *machine, const char *name, SnapshotKind kind)
{
    g_hash_table_insert(machine->snapshots, g_strdup(name), GINT_TO_POINTER(kind));
}

/* qemu-img takes a name of digits for a number. */
static char *make_tag(const char *name)
{
    return g_strconcat("snapshot ", name, NULL);
}

static bool refuse_snapshot(const char *name, const char *why, GError **error)
{
    g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "has no snapshot '%s'%s", name, why);
    return false;
}

static bool refuse_if_off(SpMachine *machine, GError **error)
{
    if (!sp_machine_is_up(machine))
        g_set_error_literal(error, SP_ERROR, SP_ERROR_MACHINE, "is not running");
    return sp_machine_is_up(machine);
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

static bool run_snapshot_job(
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
    is_good = run_snapshot_job(machine, command, name, node, error);
    machine->has_snapshot_job = false;
    return is_good;
}

bool sp_machine_save_snapshot(SpMachine *machine, const char *name, GError **error)
{
    g_autofree char *tag = make_tag(name);
    GError *local = NULL;

    if (refuse_if_off(machine, &local) &&
        sp_machine_run_snapshot_job(machine, "snapshot-save", tag, SP_QEMU_OVERLAY_NODE, &local))
        add_snapshot(machine, name, SNAPSHOT_OF_ALL);
    return sp_machine_report(machine, local, error);
}

static bool load_snapshot_by_name(SpMachine *machine, const char *name, GError **error)
{
    g_autofree char *tag = make_tag(name);

    /* asked for a snapshot that doesn't exist, QEMU stops the guest and leaves it so */
    if (find_snapshot(machine, name) != SNAPSHOT_OF_ALL)
        return refuse_snapshot(name,
            find_snapshot(machine, name) == SNAPSHOT_OF_DISK ? " with its memory" : "", error);
    if (machine->recording && sp_machine_is_up(machine)) {
        g_set_error_literal(error, SP_ERROR, SP_ERROR_USAGE,
            "is being recorded: another disk in its place would not be in the log");
        return false;
    }
    if (!sp_machine_switch_on(machine, true, error) ||
        !sp_machine_run_snapshot_job(machine, "snapshot-load", tag, SP_QEMU_OVERLAY_NODE, error))
        return false;
    sp_machine_forget_boot(machine, "the guest is another one since its snapshot was loaded");
    machine->awaits_boot = false;
    return true;
}

bool sp_machine_load_snapshot(SpMachine *machine, const char *name, GError **error)
{
    GError *local = NULL;

    load_snapshot_by_name(machine, name, &local);
    return sp_machine_report(machine, local, error);
}

bool sp_machine_save_disk_snapshot(SpMachine *machine, const char *name, GError **error)
{
    g_autofree char *tag = make_tag(name);
    GError *local = NULL;

    if (!refuse_if_off(machine, &local))
        return sp_machine_report(machine, local, error);
    if (find_snapshot(machine, name) != SNAPSHOT_NONE)
        g_set_error(&local, SP_ERROR, SP_ERROR_USAGE, "has a snapshot '%s' already", name);
    else if (sp_machine_command(machine, &local, "blockdev-snapshot-internal-sync", "{s:s, s:s}",
                 "device", SP_QEMU_DISK_NODE, "name", tag))
        add_snapshot(machine, name, SNAPSHOT_OF_DISK);
    return sp_machine_report(machine, local, error);
}

bool sp_machine_load_disk_snapshot(SpMachine *machine, const char *name, GError **error)
{
    g_autofree char *tag = make_tag(name);
    GError *local = NULL;

    if (find_snapshot(machine, name) == SNAPSHOT_NONE)
        refuse_snapshot(name, "", &local);
    else if (sp_machine_is_up(machine))
        g_set_error_literal(&local, SP_ERROR, SP_ERROR_USAGE,
            "is running: its disk can be replaced when it is off (crash())");
    else
        (void)!sp_overlay_revert(machine->overlay, tag, &local);
    return sp_machine_report(machine, local, error);
}
