/* SPDX-License-Identifier: MIT */
#pragma once

#include "powercut/crash-states.h"
#include "powercut/policy-check.h"
#include "powercut/task.h"

#include <glib.h>
#include <stdbool.h>

/*
 * A campaign: all crash states of one recording, each checked, and what was found.
 */

/** What a text for people is. */
typedef enum {
    SP_CAMPAIGN_FINDING, /* one or more lines of the result */
    SP_CAMPAIGN_WARNING, /* a sentence */
} SpCampaignText;
typedef void (*SpCampaignFunc)(SpCampaignText kind, const char *text, void *data);

typedef struct {
    const char *image; /* the disk as it was when the recording began, raw */
    const char *log;   /* what was written since */
    /* one of both for sp_campaign_run() */
    const char *check;               /* a shell command (command-check.h) */
    const SpPolicy *policy;          /* of the image (policy-check.h) */
    const char *partition;           /* what the command gets of the disk; NULL: all */
    const SpPolicyContent *contents; /* at the log's end */
    guint contents_count;
    /* from which entry on the installation had ended, and what it installed was started;
     * G_MAXUINT: not known */
    guint installed_from, started_from;
    guint failures_shown;
    guint examples;   /* how many states of each class are named in the report: the first, and
                         random others; 0 is 1 */
    guint states_max; /* check this many, a random choice; 0: all */
    guint samples; /* contents that are checked of each partition that the decider is not given */
    guint jobs;    /* programs that run in parallel */
    gint64 check_timeout_ms; /* for one state */
    const char *report;      /* a file that gets all findings as JSON (findings.h); may be NULL */
    SpCrashOptions states;   /* the milestones are set by the campaign */
    SpTask task;             /* is told what takes long, and may end it */
    SpCampaignFunc func;     /* gets the findings as text */
    void *data;
} SpCampaign;

/** What a campaign ends with; all but the last are exit statuses. */
enum {
    SP_CAMPAIGN_PASSED = 0,
    SP_CAMPAIGN_FAILED = 1,    /* a state failed */
    SP_CAMPAIGN_ERROR = 2,     /* it could not be done */
    SP_CAMPAIGN_TRUNCATED = 3, /* no state failed, but the log is cut off: what came after it was
                                  not checked */
    SP_CAMPAIGN_INTERRUPTED = -1,
};

/**
 * Check all states. The findings: states, classes with a state of each, and of failures the reason,
 * the writes around the cut and the command that makes the disk again.
 *
 * Returns one of SP_CAMPAIGN_PASSED and so on; @error is set with SP_CAMPAIGN_ERROR only.
 */
int sp_campaign_run(const SpCampaign *campaign, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/**
 * Write the disk of the state @name, or its partition, as the sparse raw file @path, which must be
 * none of the campaign's own files. A regular file is replaced once the new one is complete, which
 * it is not after SP_ERROR_INTERRUPTED.
 */
bool sp_campaign_write_state(const SpCampaign *campaign, const char *name, const char *path,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
