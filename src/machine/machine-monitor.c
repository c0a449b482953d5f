/* SPDX-License-Identifier: MIT */

/* What a script asks of QEMU itself. */

#include "base/error.h"
#include "base/json.h"
#include "machine/machine-private.h"

#include <string.h>

/* Faster than any guest writes: how far away a number of bytes is at least, in microseconds. Each
 * question takes the guest's processor some time, so none is asked before it can be of use. */
#define BYTES_PER_US 2000
#define POLL_MAX_US 5000

static bool parse_arguments(const char *text, json_t **ret_arguments, GError **error)
{
    json_t *arguments = text ? sp_json_parse(text, strlen(text)) : NULL;

    if (text && !json_is_object(arguments)) {
        json_decref(arguments);
        g_set_error_literal(
            error, SP_ERROR, SP_ERROR_USAGE, "the arguments of a QMP command are a JSON object");
        return false;
    }
    *ret_arguments = arguments;
    return true;
}

static bool is_running(SpMachine *machine, GError **error)
{
    if (machine->qmp)
        return true;
    g_set_error(
        error, SP_ERROR, SP_ERROR_MACHINE, "machine '%s': is not running", machine->config.name);
    return false;
}

bool sp_machine_qmp(SpMachine *machine, const char *command, const char *arguments,
    char **ret_answer, GError **error)
{
    json_auto_t *answer = NULL;
    json_t *parsed;

    if (!is_running(machine, error) || !parse_arguments(arguments, &parsed, error))
        return false;
    if (!sp_qmp_execute(machine->qmp, command, parsed, SP_COMMAND_TIMEOUT_MS,
            &machine->config.interrupt, &answer, error)) {
        g_prefix_error(error, "machine '%s': QMP command %s: ", machine->config.name, command);
        return false;
    }
    *ret_answer = sp_json_format(answer);
    return true;
}

bool sp_machine_qmp_refusal(
    SpMachine *machine, const char **ret_class, const char **ret_description)
{
    return machine->qmp && sp_qmp_refusal(machine->qmp, ret_class, ret_description);
}

bool sp_machine_wait_for_event(
    SpMachine *machine, const char *event, gint64 timeout_ms, char **ret_data, GError **error)
{
    g_autofree char *name = NULL;
    json_auto_t *data = NULL, *whole = NULL;

    if (!is_running(machine, error))
        return false;
    if (timeout_ms == SP_NO_TIMEOUT)
        timeout_ms = -1;
    else if (timeout_ms < 0)
        timeout_ms = (gint64)(SP_DEFAULT_TIMEOUT_MS * sp_machine_time_factor(machine));
    if (!sp_qmp_wait_event(
            machine->qmp, event, timeout_ms, &machine->config.interrupt, &name, &data, error)) {
        sp_machine_explain(machine, error);
        return false;
    }
    whole = event ? json_incref(data) : json_pack("{s:s, s:O*}", "event", name, "data", data);
    *ret_data = whole ? sp_json_format(whole) : g_strdup("{}");
    return true;
}

bool sp_machine_disk_written(SpMachine *machine, guint64 *ret_bytes, GError **error)
{
    json_auto_t *answer = sp_machine_query(machine, error, "query-blockstats", NULL);
    /* the disk is the only one there is */
    const json_t *stats = json_object_get(json_array_get(answer, 0), "stats");
    gint64 written = sp_json_int(stats, "wr_bytes", -1);

    if (!answer)
        return false;
    if (written < 0) {
        g_set_error(error, SP_ERROR, SP_ERROR_PROTOCOL,
            "machine '%s': QEMU did not say how much was written", machine->config.name);
        return false;
    }
    *ret_bytes = (guint64)written;
    return true;
}

bool sp_machine_wait_for_disk_written(
    SpMachine *machine, guint64 bytes, gint64 timeout_ms, GError **error)
{
    gint64 deadline = sp_machine_deadline(machine, timeout_ms);
    guint64 written;

    do {
        if (!sp_machine_disk_written(machine, &written, error) ||
            !sp_machine_is_well(machine, SP_WAIT_GUEST, error))
            return false;
        if (written >= bytes)
            return true;
        g_usleep((gulong)MIN((bytes - written) / BYTES_PER_US, POLL_MAX_US));
    } while (g_get_monotonic_time() < deadline);
    g_set_error(error, SP_ERROR, SP_ERROR_TIMEOUT,
        "the guest wrote only %" G_GUINT64_FORMAT " bytes to its disk in that time", written);
    sp_machine_explain(machine, error);
    return false;
}
