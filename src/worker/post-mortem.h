/* SPDX-License-Identifier: MIT */
#pragma once

#include "machine/machine.h"
#include "worker/options.h"

#include <glib.h>
#include <stdbool.h>

/**
 * What is collected from the machines of a failed test before they are gone: a screenshot of each
 * that runs (NAME.screen.png), the journal of each whose guest answers (NAME.journal), and, if the
 * options ask for it, the disk of each that was started (NAME.qcow2, by sp_machine_keep_disk()).
 *
 * A guest or QEMU that hangs costs no more than the time there is for it.
 */
typedef struct {
    gint64 deadline;  /* 0 while the script runs */
    bool is_unwanted; /* SIGINT or SIGTERM came */
} SpPostMortem;

/** For the machines, in place of sp_script_interrupt(), which it asks until the script has ended.
 * @post_mortem is zeroed at first, and outlives the machines. */
SpInterrupt sp_post_mortem_interrupt(SpPostMortem *post_mortem);

/** Collect all that; failures are logged. SIGINT and SIGTERM end it at once. */
void sp_post_mortem(
    SpPostMortem *post_mortem, GPtrArray *machines, SpLog *log, const SpWorkerOptions *options);
