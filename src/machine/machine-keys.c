/* SPDX-License-Identifier: MIT */

/* What is typed into a machine: keys of its keyboard, and bytes on its serial console. */

#include "base/error.h"
#include "machine/keys.h"
#include "machine/machine-private.h"

#include <string.h>

#define TIMEOUT_MS 60000
/* Between what two keys do, down or up. A keyboard keeps 16 bytes for a guest that does not
 * come to read them and drops what comes then: at this pace that is most of a second. */
#define HOLD_MS 50

static JsonObject *make_arguments(char **keys)
{
    JsonObject *arguments = json_object_new();
    JsonArray *array = json_array_new();

    for (char **key = keys; *key; key++) {
        JsonObject *value = json_object_new();
        guint64 number = 0;
        bool is_number = g_str_has_prefix(*key, "0x") &&
                         g_ascii_string_to_unsigned(*key + 2, 16, 1, 0xffff, &number, NULL);

        json_object_set_string_member(value, "type", is_number ? "number" : "qcode");
        if (is_number)
            json_object_set_int_member(value, "data", (gint64)number);
        else
            json_object_set_string_member(value, "data", *key);
        json_array_add_object_element(array, value);
    }
    json_object_set_array_member(arguments, "keys", array);
    json_object_set_int_member(arguments, "hold-time", HOLD_MS);
    return arguments;
}

static bool press(SpMachine *machine, const char *name, GError **error)
{
    g_auto(GStrv) keys = g_strsplit(name, "-", -1);
    GError *local = NULL;

    if (sp_qmp_execute(machine->qmp, "send-key", make_arguments(keys), TIMEOUT_MS,
            &machine->config.interrupt, NULL, &local))
        /* it says so before the keys are up again, and would drop what is too much for it */
        return sp_pause(2 * HOLD_MS * g_strv_length(keys), &machine->config.interrupt, error);
    if (g_error_matches(local, SP_ERROR, SP_ERROR_GUEST)) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "'%s' is no key: expected a character, or names of QEMU's (its QKeyCode) with '-' "
            "between them, such as ctrl-alt-delete: %s",
            name, local->message);
        g_error_free(local);
    } else {
        g_propagate_prefixed_error(error, local, "machine '%s': ", machine->config.name);
    }
    return false;
}

bool sp_machine_send_key(SpMachine *machine, const char *key, GError **error)
{
    const char *name = g_utf8_strlen(key, -1) == 1 ? sp_key_of(g_utf8_get_char(key)) : key;

    if (!sp_machine_is_well(machine, SP_WAIT_QEMU, error))
        return false;
    /* one that is no character's may still be a key */
    return press(machine, name ? name : key, error);
}

bool sp_machine_send_chars(SpMachine *machine, const char *text, gint64 delay_ms, GError **error)
{
    for (const char *p = text; *p; p = g_utf8_next_char(p)) {
        if (!sp_key_of(g_utf8_get_char(p))) {
            g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
                "'%.*s' is not on the machine's keyboard, which is a US one: write it by "
                "send_console() or succeed()",
                (int)(g_utf8_next_char(p) - p), p);
            return false;
        }
    }
    for (const char *p = text; *p; p = g_utf8_next_char(p)) {
        if (!sp_machine_is_well(machine, SP_WAIT_QEMU, error) ||
            !press(machine, sp_key_of(g_utf8_get_char(p)), error) ||
            (delay_ms > 0 && !sp_pause(delay_ms, &machine->config.interrupt, error)))
            return false;
    }
    return true;
}

bool sp_machine_send_console(SpMachine *machine, const guint8 *data, gsize length, GError **error)
{
    if (sp_machine_is_well(machine, SP_WAIT_QEMU, error) &&
        sp_console_write(machine->console, data, length, error))
        return true;
    if (!strstr((*error)->message, machine->config.name))
        g_prefix_error(error, "machine '%s': ", machine->config.name);
    return false;
}
