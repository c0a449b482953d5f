/* SPDX-License-Identifier: MIT */
#pragma once

#include "powercut/policy-groups.h"

#include <glib.h>

/** What the group that boots in a state is judged by. */
typedef struct {
    const SpPolicy *policy;
    const SpPolicyGroups *groups;
    guint running;                      /* the group that boots before the first write */
    guint installed_from, started_from; /* entries of the log; G_MAXUINT: not known */
} SpPolicyJudge;

/**
 * Group @booted boots in a state with the facts @decided of the decider, in which power failed
 * after
 * @latest entries at most. Returns what is wrong with that, or NULL. Free with g_free().
 */
char *sp_policy_judge(const SpPolicyJudge *judge, const SpGroupsState *state, const char *decided,
    guint latest, guint booted);
