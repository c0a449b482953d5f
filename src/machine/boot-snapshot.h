/* SPDX-License-Identifier: MIT */
#pragma once

#include "machine/machine.h"

/**
 * The state of a machine (memory and devices) between power on and the first time that it reads its
 * disk: what firmware and kernel do until then is the same whatever lies there, and is done once.
 * It is kept in a file of the machine's name in a folder, a qcow2 that has nothing but QEMU's
 * snapshot of it.
 *
 * Nothing of the disk is in that state, and nothing was written: QEMU is made to fail the first
 * read and to stop the guest for it (QEMU, block driver "blkdebug", and device property
 * "rerror=stop"), saves it with the request still to be done, and whoever goes on from there does
 * it on a disk of his own.
 *
 * The guest does not know how long ago that was: the clock of the kernel that runs stands where it
 * did, or has gone on by as long as the QEMU has run. So this is for a kernel that only loads
 * another one, which asks the machine for the time. Nor does it find what was in its memory before
 * a reset, or a watchdog device that remembers having bitten. The events by which QEMU tells of all
 * this are not found by who waits for one.
 */

/**
 * Have a machine as @config says get so far, and keep it in the folder @dir. SP_ERROR_MACHINE where
 * it does not read its disk within a minute, or can't be kept.
 */
bool sp_power_on_make(const SpMachineConfig *config, const char *dir, GError **error);

/**
 * Have each start and each reset of @machine go on from what the folder @dir has of it, which has
 * to be there as long as the machine is; NULL: the long way again. The state must be one of the
 * same QEMU, firmware, command line, kernel, initrd and size of the disk. Where it can't be loaded
 * the log says so, and the machine goes the long way.
 */
void sp_machine_use_power_on(SpMachine *machine, const char *dir);
