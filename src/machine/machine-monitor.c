/* SPDX-License-Identifier: MIT */

/* What a script asks of QEMU itself. */

#include "base/error.h"
#include "machine/machine-private.h"

/* QEMU answers at once; with room for a host under load. */
#define TIMEOUT_MS 60000
/* Faster than any guest writes: how far away a number of bytes is at least, in microseconds. Each
 * question takes the guest's processor some time, so none is asked before it can be of use. */
#define BYTES_PER_US 2000
#define POLL_MAX_US 5000

static bool parse_arguments(const char *text, JsonObject **ret_arguments, GError **error)
{
    g_autoptr(JsonNode) node = NULL;

    *ret_arguments = NULL;
    if (!text)
        return true;
    node = json_from_string(text, NULL);
    if (!node || !JSON_NODE_HOLDS_OBJECT(node)) {
        g_set_error_literal(
            error, SP_ERROR, SP_ERROR_USAGE, "the arguments of a QMP command are a JSON object");
        return false;
    }
    *ret_arguments = json_node_dup_object(node);
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

static char *to_text(JsonNode *node)
{
    return node ? json_to_string(node, FALSE) : g_strdup("{}");
}

bool sp_machine_qmp(SpMachine *machine, const char *command, const char *arguments,
    char **ret_answer, GError **error)
{
    g_autoptr(JsonNode) answer = NULL;
    JsonObject *parsed;

    if (!is_running(machine, error) || !parse_arguments(arguments, &parsed, error))
        return false;
    if (!sp_qmp_execute(machine->qmp, command, parsed, TIMEOUT_MS, &machine->config.interrupt,
            &answer, error)) {
        g_prefix_error(error, "machine '%s': QMP command %s: ", machine->config.name, command);
        return false;
    }
    *ret_answer = to_text(answer);
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
    JsonObject *data = NULL;

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
    if (!event) {
        JsonObject *whole = json_object_new();

        json_object_set_string_member(whole, "event", name);
        if (data)
            json_object_set_object_member(whole, "data", data);
        data = whole;
    }
    if (data) {
        g_autoptr(JsonNode) node = json_node_init_object(json_node_alloc(), data);

        *ret_data = to_text(node);
        json_object_unref(data);
    } else {
        *ret_data = to_text(NULL);
    }
    return true;
}

/* The member @name of @node, an object; NULL where there is none. */
static JsonNode *member(JsonNode *node, const char *name)
{
    return node && JSON_NODE_HOLDS_OBJECT(node)
               ? json_object_get_member(json_node_get_object(node), name)
               : NULL;
}

bool sp_machine_disk_written(SpMachine *machine, guint64 *ret_bytes, GError **error)
{
    g_autoptr(JsonNode) answer = NULL;
    JsonNode *first = NULL, *bytes;

    if (!is_running(machine, error) || !sp_qmp_execute(machine->qmp, "query-blockstats", NULL,
                                           TIMEOUT_MS, &machine->config.interrupt, &answer, error))
        return false;
    /* the disk is the only one there is */
    if (answer && JSON_NODE_HOLDS_ARRAY(answer) &&
        json_array_get_length(json_node_get_array(answer)) > 0)
        first = json_array_get_element(json_node_get_array(answer), 0);
    bytes = member(member(first, "stats"), "wr_bytes");
    if (!bytes || !JSON_NODE_HOLDS_VALUE(bytes) || json_node_get_int(bytes) < 0) {
        g_set_error(error, SP_ERROR, SP_ERROR_PROTOCOL,
            "machine '%s': QEMU did not say how much was written", machine->config.name);
        return false;
    }
    *ret_bytes = (guint64)json_node_get_int(bytes);
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
