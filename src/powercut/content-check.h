/* SPDX-License-Identifier: MIT */
#pragma once

#include "powercut/crash-disk.h"
#include "powercut/decider.h"
#include "powercut/policy.h"
#include "powercut/task.h"

#include <glib.h>
#include <stdbool.h>

/**
 * What programs say of some partitions of a crash disk: asked once for each content that these
 * have. First each partition's file system is checked (and mended, as a mount would), then a
 * decider, if there is one, is given what is left.
 */
typedef struct SpContentCheck SpContentCheck;

/** A partition, and the range of the disk that it is. */
typedef struct {
    const SpPolicyPartition *policy;
    guint64 offset, length;
    guint range;
} SpContentPart;

typedef struct {
    SpDiskHash hash; /* of the content */
    char *facts;     /* words KEY=VALUE; may be empty */
    char *failure;   /* NULL if the content is in order */
    GError *error;   /* it could not be found out */
} SpVerdict;

typedef struct {
    const SpContentPart *parts;
    guint parts_count;
    SpDecider *decider;     /* may be NULL */
    const SpPolicy *policy; /* the decider's: no partition of it may be a key of an answer */
    guint jobs;             /* contents that are checked in parallel */
    const SpTask *task;
} SpContentOptions;

/** What @options points to must outlive it. */
SpContentCheck *sp_content_check_new(const SpContentOptions *options);
/** Ends what runs. NULL is accepted. */
void sp_content_check_free(SpContentCheck *check);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpContentCheck, sp_content_check_free)

/** The hash of the content that @disk has now. */
SpDiskHash sp_content_check_hash(const SpContentCheck *check, const SpCrashDisk *disk);
/**
 * Have programs look at that content, unless they have. The verdict, which lives as long as @check,
 * is there once it was finished; an earlier one may be finished on the way.
 */
const SpVerdict *sp_content_check_ask(SpContentCheck *check, const SpCrashDisk *disk);
/** Wait for @verdict. */
void sp_content_check_finish(SpContentCheck *check, const SpVerdict *verdict);
bool sp_content_check_is_finished(const SpVerdict *verdict);
/** How many contents were asked about. */
guint sp_content_check_count(const SpContentCheck *check);
