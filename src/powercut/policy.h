/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/**
 * What must hold of a device's disk after a power cut: the file powercut.conf in its image's
 * directory, a key file (docs/powercut.md). This is all that the driver knows of a device's
 * partitions and boot loader.
 *
 *   [PowerCuts]
 *   Decider=PROGRAM       says what would boot (decider.h); a path relative to this file
 *   Fed=NAME...           partitions that the decider is given
 *   Unchanged=NAME...     partitions that nothing may write to; the partition table never may be
 *
 *   [Partition NAME]      how the file system of a partition is checked
 *   Fsck=PROGRAM ARGUMENT...    is run with the partition as its last argument
 *   FsckStatus=NUMBER...        the exit statuses of a file system in order (0)
 *   FsckReason=TEXT...          the first line with one of these says what is wrong; all output if
 *                               not given
 *   FsckTolerates=TEXT          output with this is not a failure, ...
 *   ToleratedAs=VALUE           ... but gives the state the fact NAME=VALUE
 *
 *   [Group NAME]          partitions that boot together, if the decider says boots=NAME
 *   Partitions=NAME...
 *   NotStarted=KEY=VALUE...     answers of the decider with all of these tell that the group was
 *                               not started since it was installed
 */
#define SP_POLICY_FILE "powercut.conf"
#define SP_POLICY_GROUPS_MAX 16u

typedef struct {
    char *name;
    char **fsck; /* NULL: none */
    bool is_good_status[256];
    char **reasons; /* NULL: all of the output */
    char *tolerated;
    char *tolerated_as; /* NULL with @tolerated */
} SpPolicyPartition;

typedef struct {
    char *name;
    char **partitions;
    char **not_started; /* KEY=VALUE; NULL: not known */
} SpPolicyGroup;

typedef struct {
    char *decider;     /* an absolute path */
    GPtrArray *fed;    /* of SpPolicyPartition: what the decider is given */
    GPtrArray *others; /* of SpPolicyPartition: what only has its file system checked */
    char **unchanged;  /* not NULL */
    GPtrArray *groups; /* of SpPolicyGroup */
} SpPolicy;

/** The index of the group called @name; G_MAXUINT if there is none. */
guint sp_policy_find_group(const SpPolicy *policy, const char *name);

/** Whether the policy says anything of a partition called @name. */
bool sp_policy_has_partition(const SpPolicy *policy, const char *name);

/** Read @path. SP_ERROR_USAGE with file and line if it is invalid. */
SpPolicy *sp_policy_load(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** The same from @text; @path is for messages, and what paths are relative to. */
SpPolicy *sp_policy_parse(
    const char *text, gsize length, const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void sp_policy_free(SpPolicy *policy);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpPolicy, sp_policy_free)
