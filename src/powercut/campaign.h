/* SPDX-License-Identifier: MIT */
#pragma once

#include "powercut/crash-states.h"
#include "powercut/task.h"

#include <glib.h>
#include <stdbool.h>

/*
 * A campaign: all crash states of one recording, each checked, and what was found.
 */

typedef struct {
    const char *image;     /* the disk as it was when the recording began, raw */
    const char *log;       /* what was written since */
    const char *check;     /* a shell command (command-check.h); NULL: what must hold of the gateway
                              (slots-check.h) */
    const char *partition; /* what the command gets of the disk; NULL: all */
    const char *boot, *rootfs; /* the new release's images; may be NULL */
    const char *report;        /* a file that gets all as JSON; may be NULL */
    /* from which entry on the installation had ended, and the new release was started; G_MAXUINT:
     * not known */
    guint installed_from, started_from;
    guint failures_shown;
    guint examples;          /* how many states of each class the report has at most: the first, and
                                others by chance; 0 is 1 */
    guint states_max;        /* check so many, by chance; 0: all */
    guint data_samples;      /* how many contents of the gateway's data partition are looked into */
    guint jobs;              /* programs side by side */
    gint64 check_timeout_ms; /* for one state */
    SpCrashOptions states;   /* the milestones are set by the campaign */
    SpTask task;             /* told what takes long, and may end it */
} SpCampaign;

/** What a campaign ends with; but for the last these are exit statuses. */
enum {
    SP_CAMPAIGN_PASSED = 0,
    SP_CAMPAIGN_FAILED = 1,    /* a state failed */
    SP_CAMPAIGN_ERROR = 2,     /* it could not be done */
    SP_CAMPAIGN_TRUNCATED = 3, /* no state failed, but the log is cut off: what came after it was
                                  not checked */
    SP_CAMPAIGN_INTERRUPTED = -1,
};

/**
 * Check all states, and say on stdout what was found: states, classes with a state of each, and for
 * failures the reason, the writes around the cut and the command that makes the disk again.
 *
 * Returns one of SP_CAMPAIGN_PASSED and so on; @error is set with SP_CAMPAIGN_ERROR only.
 */
int sp_campaign_run(const SpCampaign *campaign, GError **error);

/**
 * Write the disk of the state @name, or its partition, as the sparse raw file @path, which must be
 * none of the campaign's own. SP_ERROR_INTERRUPTED leaves no such file.
 */
bool sp_campaign_write_state(
    const SpCampaign *campaign, const char *name, const char *path, GError **error);
