/* SPDX-License-Identifier: MIT */

/* What is typed into a machine: keys of its keyboard, and bytes on its serial console. */

#include "base/error.h"
#include "machine/keys.h"
#include "machine/machine-console.h"
#include "machine/machine-private.h"
#include "machine/machine-screen.h"

/* Between two events of keys, down or up. A keyboard buffers 16 bytes for a guest that is slow to
 * read them, and drops the rest: at this pace that is most of a second. */
#define HOLD_MS 50

/* In QMP's form: a list of KeyValue. */
static json_t *pack_keys(char **keys)
{
    json_t *list = json_array();

    for (char **key = keys; *key; key++) {
        guint64 number = 0;
        bool is_number = g_str_has_prefix(*key, "0x") &&
                         g_ascii_string_to_unsigned(*key + 2, 16, 1, 0xffff, &number, NULL);

        json_array_append_new(
            list, is_number ? json_pack("{s:s, s:i}", "type", "number", "data", (int)number)
                            : json_pack("{s:s, s:s}", "type", "qcode", "data", *key));
    }
    return list;
}

static bool press_keys(SpMachine *machine, const char *name, GError **error)
{
    g_auto(GStrv) keys = g_strsplit(name, "-", -1);
    GError *local = NULL;

    if (sp_machine_command(machine, &local, "send-key", "{s:o, s:i}", "keys", pack_keys(keys),
            "hold-time", HOLD_MS))
        /* it answers before the keys are up again, and drops keys that come too fast */
        return sp_pause(2 * HOLD_MS * g_strv_length(keys), &machine->config.interrupt, error);
    if (g_error_matches(local, SP_ERROR, SP_ERROR_GUEST)) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "'%s' is not a key name: expected a character, or QEMU's names (QKeyCode) with '-' "
            "between them, such as ctrl-alt-delete: %s",
            name, local->message);
        g_error_free(local);
    } else {
        g_propagate_error(error, local);
    }
    return false;
}

bool sp_machine_send_key(SpMachine *machine, const char *key, GError **error)
{
    const char *name = g_utf8_strlen(key, -1) == 1 ? sp_key_of(g_utf8_get_char(key)) : key;
    GError *local = NULL;

    /* a character that isn't on the keyboard may still be the name of a key */
    if (sp_machine_is_well(machine, SP_WAIT_QEMU, &local))
        press_keys(machine, name ? name : key, &local);
    return sp_machine_report(machine, local, error);
}

static bool refuse_character(const char *p, GError **error)
{
    g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
        "'%.*s' is not on its keyboard, which is a US one: write it by send_console() or succeed()",
        (int)(g_utf8_next_char(p) - p), p);
    return false;
}

static bool type_text(SpMachine *machine, const char *text, gint64 delay_ms, GError **error)
{
    for (const char *p = text; *p; p = g_utf8_next_char(p)) {
        if (!sp_key_of(g_utf8_get_char(p)))
            return refuse_character(p, error);
    }
    for (const char *p = text; *p; p = g_utf8_next_char(p)) {
        if (!sp_machine_is_well(machine, SP_WAIT_QEMU, error) ||
            !press_keys(machine, sp_key_of(g_utf8_get_char(p)), error) ||
            (delay_ms > 0 && !sp_pause(delay_ms, &machine->config.interrupt, error)))
            return false;
    }
    return true;
}

bool sp_machine_send_chars(SpMachine *machine, const char *text, gint64 delay_ms, GError **error)
{
    GError *local = NULL;

    type_text(machine, text, delay_ms, &local);
    return sp_machine_report(machine, local, error);
}

bool sp_machine_send_console(SpMachine *machine, const guint8 *data, gsize length, GError **error)
{
    GError *local = NULL;

    if (sp_machine_is_well(machine, SP_WAIT_QEMU, &local))
        (void)!sp_console_write(machine->console, data, length, &local);
    return sp_machine_report(machine, local, error);
}
