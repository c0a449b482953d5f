/* SPDX-License-Identifier: MIT */
#pragma once

#include "powercut/policy.h"
#include "powercut/state-check.h"

#include <glib.h>
#include <stdbool.h>

/**
 * Checks states by an image's policy (policy.h), while another group than the one that runs is
 * written and then booted. In each state
 *
 *   - the partition table, the partitions that must not change and the group that ran are as they
 *     were, to the byte;
 *   - the file systems are in order (those that the decider is not given: in a random choice of
 *     their contents), and so is all for the decider;
 *   - the group that boots is the one that ran, or has all its partitions as at the log's end;
 *   - once the installation has ended, a group boots that the log changes, and once that was
 * started the decider says so.
 *
 * The facts of a state are the decider's, how each partition of the other groups is (old, new or
 * partial), and what was tolerated of file systems.
 */
typedef struct SpPolicyCheck SpPolicyCheck;
extern const SpStateCheckOps sp_policy_check_ops;

/** A file that a partition begins with at the log's end. */
typedef struct {
    const char *partition, *path;
} SpPolicyContent;

typedef struct {
    const SpPolicy *policy;
    GPtrArray *partitions; /* of the disk: SpPartition */
    /* the entry from which on the installation had ended, and the other group was started;
     * G_MAXUINT: not known */
    guint installed_from, started_from;
    /* the number of contents to check of each partition that the decider is not given */
    guint samples;
    guint32 seed;
    guint jobs; /* programs that run in parallel */
    const SpTask *task;
    SpStateResultFunc func;
    void *data;
} SpPolicyCheckOptions;

/**
 * Check @disk: at the start as its base. Adds its ranges to @disk. What @options points to, and
 * @disk, must outlive it. SP_ERROR_USAGE if the disk does not fit the policy.
 */
SpPolicyCheck *sp_policy_check_new(SpCrashDisk *disk, const SpPolicyCheckOptions *options,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
void sp_policy_check_free(SpPolicyCheck *check);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpPolicyCheck, sp_policy_check_free)

/**
 * The disk is as at the log's end: remember the groups' contents. SP_ERROR_ASSERTION if one of
 * @contents is not there.
 */
bool sp_policy_check_learn(SpPolicyCheck *check, const SpPolicyContent *contents,
    guint contents_count, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/** How many contents there were, and how many were checked. */
typedef struct {
    const char *partitions; /* names */
    guint contents, checked;
} SpPolicyCounts;
/** An array of SpPolicyCounts, whose names belong to @check. */
GArray *sp_policy_check_counts(const SpPolicyCheck *check);
