/* SPDX-License-Identifier: MIT */
#pragma once

#include "powercut/crash-disk.h"
#include "powercut/policy.h"

#include <glib.h>
#include <stdbool.h>

/**
 * What was written to of a disk that has a policy: what must not change, and the groups of which
 * each boots as a whole.
 */
typedef struct SpPolicyGroups SpPolicyGroups;

#define SP_NO_GROUP G_MAXUINT

/** Adds its ranges to @disk; @partitions are those of the disk (SpPartition). What is given must
 * outlive it. SP_ERROR_USAGE if the disk lacks a partition. */
SpPolicyGroups *sp_policy_groups_new(SpCrashDisk *disk, const SpPolicy *policy,
    GPtrArray *partitions, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** NULL is accepted. */
void sp_policy_groups_free(SpPolicyGroups *groups);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpPolicyGroups, sp_policy_groups_free)

/** The group that boots before the first write must not change. SP_NO_GROUP, as at first: none. */
void sp_policy_groups_set_running(SpPolicyGroups *groups, guint group);
/** The disk is as at the log's end: this is what the other groups should become. */
void sp_policy_groups_learn(SpPolicyGroups *groups);
/** Whether @group was then not as before the first write: something was installed in it. */
bool sp_policy_groups_was_installed(const SpPolicyGroups *groups, guint group);

/** How the disk is now. */
typedef struct {
    char *written; /* NULL, or which part was written to that must not be: a sentence */
    char *facts;   /* words PARTITION=old, =new or =partial, each with a space before it */
    guint whole;   /* a bit for each group that is as at the log's end */
} SpGroupsState;
void sp_groups_state_clear(SpGroupsState *state);
void sp_policy_groups_look(const SpPolicyGroups *groups, SpGroupsState *ret_state);
