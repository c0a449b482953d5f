/* SPDX-License-Identifier: MIT */

/* What a script asks of QEMU itself. */

#include "machine/machine-monitor.h"
#include "base/error.h"
#include "base/json.h"
#include "machine/machine-disk.h"
#include "machine/machine-private.h"

#include <string.h>

/* Faster than any guest writes, so that the remaining bytes take at least this long. Each query
 * costs the guest processor time, so none is made before it can be of use. */
#define BYTES_PER_MS 2000000u
#define POLL_MAX_MS 5u

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

static bool has_qemu(SpMachine *machine, GError **error)
{
    if (!machine->qmp)
        g_set_error_literal(error, SP_ERROR, SP_ERROR_MACHINE, "is not running");
    return machine->qmp != NULL;
}

bool sp_machine_qmp(SpMachine *machine, const char *command, const char *arguments,
    char **ret_answer, GError **error)
{
    json_auto_t *answer = NULL;
    json_t *parsed;
    GError *local = NULL;

    if (has_qemu(machine, &local) && parse_arguments(arguments, &parsed, &local))
        (void)!sp_qmp_execute(machine->qmp, command, parsed, SP_COMMAND_TIMEOUT_MS,
            &machine->config.interrupt, &answer, &local);
    if (answer)
        *ret_answer = sp_json_format(answer);
    return sp_machine_report(machine, local, error);
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
    GError *local = NULL;

    if (timeout_ms == SP_NO_TIMEOUT)
        timeout_ms = -1;
    else if (timeout_ms < 0)
        timeout_ms = (gint64)(SP_DEFAULT_TIMEOUT_MS * sp_machine_time_factor(machine));
    if (!has_qemu(machine, &local) || !sp_qmp_wait_event(machine->qmp, event, timeout_ms,
                                          &machine->config.interrupt, &name, &data, &local))
        return sp_machine_report(machine, local, error);
    whole = event ? json_incref(data) : json_pack("{s:s, s:O*}", "event", name, "data", data);
    *ret_data = whole ? sp_json_format(whole) : g_strdup("{}");
    return true;
}

static bool count_written(SpMachine *machine, guint64 *ret_bytes, GError **error)
{
    json_auto_t *answer = sp_machine_query(machine, error, "query-blockstats", NULL);
    /* the disk is the only one there is */
    const json_t *stats = json_object_get(json_array_get(answer, 0), "stats");
    gint64 written = sp_json_int(stats, "wr_bytes", -1);

    if (!answer)
        return false;
    if (written < 0) {
        g_set_error(error, SP_ERROR, SP_ERROR_PROTOCOL, "QEMU did not say how much was written");
        return false;
    }
    *ret_bytes = (guint64)written;
    return true;
}

bool sp_machine_disk_written(SpMachine *machine, guint64 *ret_bytes, GError **error)
{
    GError *local = NULL;

    count_written(machine, ret_bytes, &local);
    return sp_machine_report(machine, local, error);
}

static bool wait_for_written(SpMachine *machine, guint64 bytes, gint64 deadline, GError **error)
{
    guint64 written = G_MAXUINT64;

    do {
        guint64 before = written;
        gint64 away_ms;

        if (!count_written(machine, &written, error) ||
            !sp_machine_is_well(machine, SP_WAIT_GUEST, error))
            return false;
        if (written >= bytes)
            return true;
        away_ms = (gint64)MIN((bytes - written) / BYTES_PER_MS, POLL_MAX_MS);
        /* an idle guest is not queried without a pause */
        if (written == before)
            away_ms = MAX(away_ms, 1);
        if (away_ms > 0 && !sp_pause(away_ms, &machine->config.interrupt, error))
            return false;
    } while (g_get_monotonic_time() < deadline);
    g_set_error(error, SP_ERROR, SP_ERROR_TIMEOUT,
        "the guest wrote only %" G_GUINT64_FORMAT " bytes to its disk in that time", written);
    return false;
}

bool sp_machine_wait_for_disk_written(
    SpMachine *machine, guint64 bytes, gint64 timeout_ms, GError **error)
{
    GError *local = NULL;

    wait_for_written(machine, bytes, sp_machine_deadline(machine, timeout_ms), &local);
    return sp_machine_report(machine, local, error);
}
