/* SPDX-License-Identifier: MIT */
#pragma once

#include "machine/machine.h"

/**
 * A boot snapshot: the state of a machine (memory and devices) just before it first reads its disk.
 * What firmware and kernel do until then is the same whatever is on the disk, and is done once. It
 * is a file named after the machine, NAME.boot, a qcow2 that contains nothing but QEMU's snapshot.
 *
 * Nothing of the disk is in that state, and nothing was written. QEMU is made to fail the first
 * read and to stop the guest for it (QEMU, block driver "blkdebug", and device property
 * "rerror=stop"), and is saved with the request pending; a machine that starts from there repeats
 * it on its own disk.
 *
 * The guest does not know how long ago that was: the running kernel's clock reads what it did then,
 * or that plus the time since QEMU started. So this is for a kernel that only loads another one,
 * which asks the machine for the time. Nor does the guest find what was in its memory before a
 * reset, or a watchdog device that remembers having fired. The events that QEMU sends because of
 * all this are hidden from those who wait for one.
 */

/**
 * Start a machine as in @config, and keep its boot snapshot in the directory @dir. SP_ERROR_MACHINE
 * if it does not read its disk within a minute, or can't be saved. The error does not name the
 * machine.
 */
bool sp_boot_snapshot_make(
    const SpMachineConfig *config, const char *dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/**
 * Have each start and each reset of @machine continue from its boot snapshot in the directory @dir,
 * which must exist as long as the machine does; NULL: boot in full again. The snapshot must be from
 * the same QEMU, firmware, command line, kernel, initrd and size of disk. If it can't be loaded,
 * that is logged, and the machine boots in full from then on.
 */
void sp_machine_use_boot_snapshot(SpMachine *machine, const char *dir);
