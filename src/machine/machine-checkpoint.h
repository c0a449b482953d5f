/* SPDX-License-Identifier: MIT */
#pragma once

#include "machine/machine.h"

/**
 * The state of a machine that runs (memory, devices, disk, what its console said), in files that
 * outlive the driver: NAME.ram, NAME.state, NAME.disk and NAME.console in a folder, NAME the
 * machine's.
 *
 * The first is the memory, which machines that go on from there map privately (memory-file.h), the
 * second the devices as QEMU migrates them (QEMU, docs/devel/migration.rst, and the capability
 * "x-ignore-shared"), with the memory where there is no NAME.ram. The disk is the machine's
 * overlay. They fit a machine only whose QEMU, command line and image are the same;
 * whoever keeps such files has to see to that.
 */

/**
 * Have the memory of @machine, which was not started yet, lie in the folder @dir, into which it is
 * saved later. Where the file system does not let it, its log says so: then it is written when it
 * is saved.
 */
void sp_machine_keep_memory(SpMachine *machine, const char *dir);

/**
 * Wait, for ten seconds at most, until the guest does next to nothing: what a boot leaves to be
 * done later would otherwise be done by each that goes on from the checkpoint, and before anything
 * else. A guest that never rests, or has virtual time, is no error. False with
 * SP_ERROR_INTERRUPTED.
 */
bool sp_machine_wait_for_rest(SpMachine *machine, GError **error);

/**
 * Stop the guest where it is, without switching it off: what several machines that are saved
 * together need first. SP_ERROR_MACHINE where it is not running.
 */
bool sp_machine_stop(SpMachine *machine, GError **error);

/**
 * Save @machine into the folder @dir and switch it off. It is not waited for the host's disk:
 * whoever keeps the files has to look whether they outlived a failure of the host's power.
 * SP_ERROR_MACHINE where it is not running or can't be saved; SP_ERROR_HOST where the files can't
 * be written. What was written then is of no use.
 */
bool sp_machine_save_checkpoint(SpMachine *machine, const char *dir, GError **error);

/**
 * Start QEMU for sp_machine_restore_checkpoint(), and do not wait for it: that takes a while in
 * which something else can be done. It may be left out.
 */
bool sp_machine_begin_restore(SpMachine *machine, const char *dir, GError **error);
/**
 * Go on from what the folder @dir has of @machine, which must not have been started yet.
 *
 * The guest is the same but for three things: its clock is set to the host's time, its random pool
 * gets new seed, and its agent is asked anew. Starts after a shutdown or a power cut find the disk
 * as it was left, as always. The folder is not needed any more when this returns.
 */
bool sp_machine_restore_checkpoint(SpMachine *machine, const char *dir, GError **error);
