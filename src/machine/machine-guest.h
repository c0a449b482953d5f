/* SPDX-License-Identifier: MIT */
#pragma once

#include "machine/machine.h"

/**
 * What a machine has its guest do, through the agent.
 */

/**
 * Start it if need be and wait for the agent. A long silence of the machine meanwhile is logged,
 * and SP_ERROR_TIMEOUT says what was seen last.
 */
bool sp_machine_connect(
    SpMachine *machine, gint64 timeout_ms, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Whether sp_machine_connect() would return at once. */
bool sp_machine_is_connected(SpMachine *machine);
/** Whether the guest could be given a command at this moment, as far as is known: that it hangs may
 * not have shown yet. */
bool sp_machine_answers(SpMachine *machine);
/** The guest is about to leave its boot, or has left it: nothing makes contact with it before it
 * answers in a boot other than that of the last contact. */
void sp_machine_expect_boot(SpMachine *machine);
/** Wait until it answers in a boot other than that of the last contact, whatever causes that. */
bool sp_machine_wait_for_boot(
    SpMachine *machine, gint64 timeout_ms, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** The boot of the last contact, as in the guest's /proc/sys/kernel/random/boot_id; "" if there was
 * none. Free with g_free(). */
char *sp_machine_boot_id(SpMachine *machine);
/**
 * Have systemd leave the initramfs for the real root, and wait for the agent there. An agent has to
 * run in the initramfs as well, where initrd.target is waited for.
 */
bool sp_machine_switch_root(
    SpMachine *machine, gint64 timeout_ms, GError **error) G_GNUC_WARN_UNUSED_RESULT;

typedef struct {
    int status;      /* exit status; 128 + signal number if killed by one; 124 on time-out */
    GString *output; /* stdout, as bytes; NULL if not asked for */
    GString *errors; /* stderr, as bytes */
    bool timed_out;  /* it was killed at the time-out, and @status says nothing more */
} SpCommandResult;
void sp_command_result_clear(SpCommandResult *result);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(SpCommandResult, sp_command_result_clear)

/**
 * Run @command with the guest's shell with errexit, nounset and pipefail, as root.
 *
 * At the end of @timeout_ms (SP_NO_TIMEOUT: none) the command is killed and its status is 124; that
 * is no error here. The time counts from the call: if the guest takes no commands by then, that is
 * SP_ERROR_TIMEOUT (with SP_NO_TIMEOUT after the default time-out).
 */
bool sp_machine_execute(SpMachine *machine, const char *command, gint64 timeout_ms,
    SpCommandResult *ret_result, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Start @command in the guest and return without waiting for its end. */
bool sp_machine_execute_detached(SpMachine *machine, const char *command, gint64 timeout_ms,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;

/** SP_ERROR_ASSERTION if the unit failed, or is inactive and no job is pending. */
bool sp_machine_wait_for_unit(SpMachine *machine, const char *unit, gint64 timeout_ms,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
bool sp_machine_wait_for_file(SpMachine *machine, const char *path, gint64 timeout_ms,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Wait until a TCP connection to @address from inside the guest finds the port open, or not. */
bool sp_machine_wait_for_port(SpMachine *machine, const char *address, guint port, bool open,
    gint64 timeout_ms, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Wait until the guest's datagram or stream socket @path takes a connection. */
bool sp_machine_wait_for_unix_socket(SpMachine *machine, const char *path, bool is_datagram,
    gint64 timeout_ms, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/** Copy the host's file or directory to @target in the guest; a directory's target is the new
 * directory. */
bool sp_machine_copy_from_host(SpMachine *machine, const char *source, const char *target,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Copy the guest's file or directory into @target_dir below the machine's out_dir ("" is out_dir).
 */
bool sp_machine_copy_from_machine(SpMachine *machine, const char *source, const char *target_dir,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
