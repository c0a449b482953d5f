/* SPDX-License-Identifier: MIT */
#pragma once

#include "machine/machine.h"

/**
 * Snapshots of a machine within a test. They live as long as the machine object, across power cuts
 * as well.
 */

/** Save memory, devices and disk of the running machine as @name, replacing a snapshot of that
 * name. */
bool sp_machine_save_snapshot(
    SpMachine *machine, const char *name, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/**
 * Continue from a snapshot; a machine that is off is started for it. The guest continues where it
 * was, unaware of the time in between: its clock reads what it did.
 */
bool sp_machine_load_snapshot(
    SpMachine *machine, const char *name, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/**
 * Save only the disk of the running machine as @name: what the guest has written to it at one
 * instant, and none of its caches. The guest does not notice.
 */
bool sp_machine_save_disk_snapshot(
    SpMachine *machine, const char *name, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/**
 * Give a machine that is off the disk that it had at a snapshot, of either kind, as if power had
 * failed at that instant. It stays off. SP_ERROR_USAGE if it is on, or has no such snapshot.
 */
bool sp_machine_load_disk_snapshot(
    SpMachine *machine, const char *name, GError **error) G_GNUC_WARN_UNUSED_RESULT;
