/* SPDX-License-Identifier: MIT */
#pragma once

#include "machine/machine.h"

#include <glib.h>
#include <stdbool.h>

/**
 * What is taken from the machines of a test that has failed, before they are gone: of each that
 * runs a picture of its screen (NAME.screen.png), of each whose guest answers the journal
 * (NAME.journal), and of each that was started, where that is wanted, its disk (NAME.qcow2, a
 * machine/machine.h sp_machine_keep_disk()).
 *
 * A guest or QEMU that hangs costs the time that there is for it, and no more.
 */
typedef struct {
    gint64 deadline;    /* 0 as long as the script runs */
    bool is_not_wanted; /* SIGINT or SIGTERM came */
} SpPostMortem;

/** To be given to the machines in place of sp_script_interrupt(), which it asks until the script
 * has ended. @post_mortem, zeroed at first, outlives them. */
SpInterrupt sp_post_mortem_interrupt(SpPostMortem *post_mortem);

/** How long it may take, in milliseconds. */
gint64 sp_post_mortem_limit_ms(bool with_disks);

/** Take all that; what can't be had is told in the log. SIGINT and SIGTERM end it at once. */
void sp_post_mortem(SpPostMortem *post_mortem, GPtrArray *machines, const char *out_dir, SpLog *log,
    bool with_disks);
