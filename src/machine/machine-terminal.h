/* SPDX-License-Identifier: MIT */
#pragma once

#include "machine/machine.h"

/**
 * A person at a machine.
 */

/**
 * Connect the user's terminal, which is both @input_fd and @output_fd, to a login shell in the
 * guest; returns when that has ended or the user has left it with Ctrl-]. SP_ERROR_USAGE if it is
 * not a terminal.
 */
bool sp_machine_shell_interact(
    SpMachine *machine, int input_fd, int output_fd, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** The same for the serial console, until the user leaves it or QEMU has ended. */
bool sp_machine_console_interact(
    SpMachine *machine, int input_fd, int output_fd, GError **error) G_GNUC_WARN_UNUSED_RESULT;
