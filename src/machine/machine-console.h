/* SPDX-License-Identifier: MIT */
#pragma once

#include "machine/machine.h"

/**
 * A machine's serial console.
 */

/**
 * Wait for a line of the console, since the last start or reset, that matches after what an earlier
 * wait matched. This match, and everything before it, is then read; if the wait fails nothing is.
 * @timeout_ms: negative for no time-out.
 */
bool sp_machine_wait_for_console_text(SpMachine *machine, const char *regex, gint64 timeout_ms,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Send bytes to the serial console, as if typed there. */
bool sp_machine_send_console(
    SpMachine *machine, const guint8 *data, gsize length, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/** The console's last @lines lines. Free with g_free(). */
char *sp_machine_console_tail(SpMachine *machine, guint lines);
/** The console's output since the last start; its last lines if that is very long. Free with
 * g_free(). */
char *sp_machine_console_log(SpMachine *machine);
