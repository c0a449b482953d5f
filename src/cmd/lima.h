/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/**
 * The same command in a Lima VM (https://lima-vm.io), for hosts that are no Linux: --lima and
 * --vm NAME, which every command has. 'limactl shell' carries arguments, terminal and exit status.
 */

/** Have --help show the options that sp_lima_wanted() takes, and set these two where it did not. */
void sp_lima_add_options(GOptionContext *context, gboolean *ret_is_wanted, char **ret_vm);

/**
 * Take --lima and --vm NAME out of the arguments. *@ret_vm is the VM that they ask for
 * ($LIMA_INSTANCE, else "default", for --lima alone), NULL without either. False with
 * G_OPTION_ERROR for --vm without a name.
 */
bool sp_lima_wanted(int *argc, char ***argv, char **ret_vm, GError **error);

/**
 * Become 'limactl shell' with @argv, in the working directory that we are in and with the
 * environment that slotproof reads; the VM has to have both folder and program under the same
 * names. Its exit status is the command's; 255 is ssh's own.
 *
 * Returns only where that can't be: SP_ERROR_USAGE where limactl is missing or says that the VM is
 * not there or not running.
 */
void sp_lima_exec(const char *vm, char **argv, GError **error);
