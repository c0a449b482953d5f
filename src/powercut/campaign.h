/* SPDX-License-Identifier: MIT */
#pragma once

#include "powercut/crash-states.h"

#include <glib.h>
#include <stdbool.h>

/*
 * A campaign: all crash states of one recording, each checked, and what was found.
 */

typedef struct {
    const char *image; /* the disk as it was when the recording began, raw */
    const char *log;   /* what was written since */
    const char *check; /* a shell command, given the state's disk in $SLOTPROOF_DISK and its name in
                          $SLOTPROOF_STATE; NULL: what must hold of the gateway (slots-check.h) */
    const char *boot, *rootfs; /* the new release's images; may be NULL */
    const char *report;        /* a file that gets all as JSON; may be NULL */
    /* from which entry on the installation had ended, and the new release was started; G_MAXUINT:
     * not known */
    guint installed_from, started_from;
    guint failures_shown;
    guint examples;   /* how many states of each class the report has at most: the first, and others
                         by   chance; 0 is 1 */
    guint states_max; /* 0: all */
    SpCrashOptions states;
} SpCampaign;

/**
 * Check all states, and say on stdout what was found: states, classes with a state of each, and for
 * failures the reason, the writes around the cut and the command that makes the disk again.
 *
 * Returns the exit status: 0, 1 where a state failed, 128 + SIGINT if interrupted; or 2 with
 * @error.
 */
int sp_campaign_run(const SpCampaign *campaign, GError **error);

/** Write the disk of the state @name as the sparse raw file @path. */
bool sp_campaign_write_state(
    const SpCampaign *campaign, const char *name, const char *path, GError **error);
