/* SPDX-License-Identifier: MIT */
#pragma once

#include "appliance/boot/boot-plan.h"

#include <et/com_err.h>
#include <stdbool.h>

/*
 * The state partition as the slot selector would find it: an ext4 whose journal was replayed, read
 * through libext2fs, and decided on by the selector's own code.
 */

struct state_decision {
    enum sp_slot slot; /* what boots next; SP_SLOT_NONE: nothing */
    enum sp_boot_source source;
    bool is_whole; /* boot-state ends with the CRC of what comes before it; checked here, not by the
                      code that decided */
    struct sp_boot_state state; /* as it was read, no attempt taken yet */
};

/** Decide by the files in the ext4 at @path, whose journal is not looked at. Returns 0, or an error
 * code of libext2fs if there is no such file system. */
errcode_t state_partition_read(const char *path, struct state_decision *ret_decision);
