/* SPDX-License-Identifier: MIT */
#pragma once

#include "machine/machine.h"

/**
 * The state of a running machine (memory, devices, disk, console output), in files that outlive the
 * driver: NAME.ram, NAME.state, NAME.disk and NAME.console in a directory, NAME being the
 * machine's.
 *
 * The first is the memory, which machines that start from there map privately (qemu/memory-file.h).
 * The second is the devices as QEMU migrates them (QEMU, docs/devel/migration.rst, and the
 * capability "x-ignore-shared"), with the memory if there is no NAME.ram. The disk is the machine's
 * overlay. The files fit only a machine with the same QEMU, command line and image; whoever keeps
 * them has to ensure that.
 */

/**
 * Put the memory of @machine, which was not started yet, in the directory @dir that it is saved to
 * later. If the file system does not support that, it is logged, and memory is written when the
 * machine is saved.
 */
void sp_machine_keep_memory(SpMachine *machine, const char *dir);

/**
 * Wait, for ten seconds at most, until the guest is nearly idle: what a boot leaves to be done
 * later would otherwise be done, before anything else, by each machine that starts from the
 * checkpoint. A guest that never rests, or has virtual time, is no error. SP_ERROR_INTERRUPTED.
 */
bool sp_machine_wait_for_rest(SpMachine *machine, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/**
 * Stop the guest without switching it off: what several machines that are saved together need
 * first. SP_ERROR_MACHINE if it is not running.
 */
bool sp_machine_stop(SpMachine *machine, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/**
 * Save @machine into the directory @dir and switch it off. Does not wait for the host's disk:
 * whoever keeps the files has to check whether they survived a failure of the host's power.
 * SP_ERROR_MACHINE if it is not running or can't be saved; SP_ERROR_HOST if the files can't be
 * written. Files of a failed call are of no use.
 */
bool sp_machine_save_checkpoint(
    SpMachine *machine, const char *dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/**
 * Start QEMU for sp_machine_restore_checkpoint() without waiting for it, so that something else can
 * be done meanwhile. Optional.
 */
bool sp_machine_begin_restore(
    SpMachine *machine, const char *dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/**
 * Continue from the files of @machine in the directory @dir. It must not have been started yet.
 *
 * The guest is the same except for three things: its clock is set to the host's time, its random
 * pool gets a new seed, and contact with its agent is made anew. Starts after a shutdown or a power
 * cut find the disk as it was left, as always. The directory isn't needed any more when this
 * returns.
 */
bool sp_machine_restore_checkpoint(
    SpMachine *machine, const char *dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;
