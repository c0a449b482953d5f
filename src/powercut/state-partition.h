/* SPDX-License-Identifier: MIT */
#pragma once

#include "lib/boot-plan.h"
#include "powercut/fsck-job.h"

#include <glib.h>
#include <stdbool.h>

/*
 * The state partition of the appliance as its slot selector would find it: an ext4 whose journal is
 * replayed as at a mount (by e2fsck), read through libext2fs, and decided on by the selector's own
 * code.
 */

typedef struct {
    enum sp_slot slot; /* what boots next; SP_SLOT_NONE: nothing */
    enum sp_boot_source source;
    bool is_whole; /* boot-state ends with the CRC of what stands before: looked at here, not by
                      the code that decided */
    struct sp_boot_state state; /* as it was read, no attempt taken yet */
} SpBootDecision;

/** Have e2fsck recover a copy of the partition. */
SpProbe *sp_state_partition_recover(SpProbeCopy *copy, GError **error);

/**
 * Wait for it, and decide by what it has left. False with a reason of SP_ERROR_ASSERTION where the
 * file system is not in order after the replay, which means that a device would not mount it or
 * lose more than it should; other errors are the host's.
 */
bool sp_state_partition_decide(
    SpProbe *recovery, const SpInterrupt *interrupt, SpBootDecision *ret_decision, GError **error);

/** Decide by the files in the ext4 that the descriptor @fd has, whose journal is not looked at. */
bool sp_state_partition_read(int fd, SpBootDecision *ret_decision, GError **error);
