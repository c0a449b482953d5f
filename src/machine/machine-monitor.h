/* SPDX-License-Identifier: MIT */
#pragma once

#include "machine/machine.h"

/**
 * QEMU's monitor, for what the other headers lack.
 */

/**
 * Have QEMU execute @command of QMP, with @arguments, the text of a JSON object (NULL: none).
 * @ret_answer is what it returned, as JSON; free with g_free(). SP_ERROR_GUEST with QEMU's own
 * words if it refused; SP_ERROR_USAGE if the arguments are not a JSON object.
 */
bool sp_machine_qmp(SpMachine *machine, const char *command, const char *arguments,
    char **ret_answer, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/**
 * QEMU's last refusal since the machine's start: the class of the error and QEMU's own words, which
 * live until the next command. Returns false if there was none.
 */
bool sp_machine_qmp_refusal(
    SpMachine *machine, const char **ret_class, const char **ret_description);
/**
 * Take the first event of this name that QEMU has sent since the last start and that was not taken
 * yet, waiting for one if there is none. @ret_data is its data, as JSON ("{}" for none); free with
 * g_free(). @event NULL is any; then @ret_data is an object with `event`, its name, and `data`.
 */
bool sp_machine_wait_for_event(SpMachine *machine, const char *event, gint64 timeout_ms,
    char **ret_data, GError **error) G_GNUC_WARN_UNUSED_RESULT;
