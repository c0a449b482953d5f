/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/**
 * Runs the same command in a Lima VM (https://lima-vm.io), for hosts that are not Linux: the
 * options
 * --lima and --vm NAME, which every command has. 'limactl shell' passes on arguments, terminal and
 * exit status.
 */

/** Add the options that sp_lima_wanted() takes, so that --help shows them. */
void sp_lima_add_options(GOptionContext *context, gboolean *ret_is_wanted, char **ret_vm);

/**
 * Remove --lima and --vm NAME from the arguments. *@ret_vm is the VM that they ask for
 * ($LIMA_INSTANCE, or "default", for --lima alone), or NULL. G_OPTION_ERROR for --vm without a
 * name.
 */
bool sp_lima_wanted(
    int *argc, char ***argv, char **ret_vm, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/**
 * Become 'limactl shell' with @argv, in the current working directory and with the environment
 * variables that slotproof reads. The VM must have the directory and the program under the same
 * names. The exit status is the command's; 255 is ssh's own.
 *
 * Returns only on failure: SP_ERROR_USAGE if limactl is missing, or says that the VM does not exist
 * or is not running.
 */
void sp_lima_exec(const char *vm, char **argv, GError **error);
