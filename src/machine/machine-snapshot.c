/* SPDX-License-Identifier: MIT */

/* Snapshots within a test: memory, devices and disk of a running machine, or its disk alone, kept
 * in its overlay (QEMU, QMP reference, "snapshot-save", "snapshot-load" and
 * "blockdev-snapshot-internal-sync"). */

#include "base/error.h"
#include "machine/machine-private.h"
#include "qemu/command.h"

/* A guest's whole memory is written, or read. */
#define TIMEOUT_MS 300000

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

static const char *string_member(JsonObject *object, const char *name)
{
    JsonNode *node = object ? json_object_get_member(object, name) : NULL;

    return node && JSON_NODE_HOLDS_VALUE(node) ? json_node_get_string(node) : NULL;
}

static bool execute(
    SpMachine *machine, const char *command, JsonObject *arguments, JsonNode **ret, GError **error)
{
    return sp_qmp_execute(
        machine->qmp, command, arguments, TIMEOUT_MS, &machine->config.interrupt, ret, error);
}

/* QEMU tells of each step of each job. */
static bool wait_for_job(SpMachine *machine, const char *id, GError **error)
{
    for (;;) {
        JsonObject *data = NULL;
        bool is_over;

        if (!sp_qmp_wait_event(machine->qmp, "JOB_STATUS_CHANGE", TIMEOUT_MS,
                &machine->config.interrupt, NULL, &data, error))
            return false;
        is_over = g_strcmp0(string_member(data, "id"), id) == 0 &&
                  g_strcmp0(string_member(data, "status"), "concluded") == 0;
        if (data)
            json_object_unref(data);
        if (is_over)
            return true;
    }
}

/* The error of a job that is over; NULL if it has none. */
static char *job_error(JsonNode *jobs, const char *id)
{
    JsonArray *array = jobs && JSON_NODE_HOLDS_ARRAY(jobs) ? json_node_get_array(jobs) : NULL;

    for (guint i = 0; array && i < json_array_get_length(array); i++) {
        JsonNode *node = json_array_get_element(array, i);
        JsonObject *job = JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;

        if (g_strcmp0(string_member(job, "id"), id) == 0)
            return g_strdup(string_member(job, "error"));
    }
    return g_strdup("QEMU has forgotten the job");
}

static bool run_job(
    SpMachine *machine, const char *command, const char *name, const char *node, GError **error)
{
    g_autofree char *id = g_strdup_printf("snapshot%u", machine->jobs++);
    g_autofree char *fault = NULL;
    g_autoptr(JsonNode) jobs = NULL;
    JsonObject *arguments = json_object_new(), *dismissal = json_object_new();
    JsonArray *devices = json_array_new();

    json_array_add_string_element(devices, node);
    json_object_set_string_member(arguments, "job-id", id);
    json_object_set_string_member(arguments, "tag", name);
    json_object_set_string_member(arguments, "vmstate", node);
    json_object_set_array_member(arguments, "devices", devices);
    json_object_set_string_member(dismissal, "id", id);
    if (!execute(machine, command, arguments, NULL, error) || !wait_for_job(machine, id, error) ||
        !execute(machine, "query-jobs", NULL, &jobs, error)) {
        json_object_unref(dismissal);
        return false;
    }
    if (!execute(machine, "job-dismiss", dismissal, NULL, error))
        return false;
    fault = job_error(jobs, id);
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
    JsonObject *arguments;

    if (!sp_machine_is_up(machine)) {
        g_set_error(error, SP_ERROR, SP_ERROR_MACHINE, "is not running");
    } else if (kind_of(machine, name) != SNAPSHOT_NONE) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "has a snapshot '%s' already", name);
    } else {
        arguments = json_object_new();
        json_object_set_string_member(arguments, "device", SP_QEMU_DISK_NODE);
        json_object_set_string_member(arguments, "name", tag);
        if (execute(machine, "blockdev-snapshot-internal-sync", arguments, NULL, error)) {
            add(machine, name, SNAPSHOT_OF_DISK);
            return true;
        }
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
