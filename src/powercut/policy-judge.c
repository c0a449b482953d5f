/* SPDX-License-Identifier: MIT */

/* Judges what boots in a crash state. */

#include "powercut/policy-judge.h"

#include "powercut/decider.h"

/* The group that boots is not the one that ran: what is wrong with it, or NULL. */
static char *judge_other_group(const SpPolicyJudge *judge, const SpGroupsState *state, guint booted)
{
    const SpPolicyGroup *group = judge->policy->groups->pdata[booted];

    if (state->whole & 1u << booted)
        return NULL;
    return g_strdup_printf("group %s boots, but is not whole:%s", group->name, state->facts);
}

/* The installation had ended: what is wrong with the group that boots, or NULL. */
static char *judge_installed(const SpPolicyJudge *judge, guint booted)
{
    const SpPolicyGroup *group = judge->policy->groups->pdata[booted];

    if (booted == judge->running)
        return g_strdup_printf(
            "the installation had ended, and group %s boots all the same", group->name);
    if (!sp_policy_groups_was_installed(judge->groups, booted))
        return g_strdup_printf(
            "the installation had ended, and group %s boots, in which nothing was installed",
            group->name);
    return NULL;
}

/* A group was started, and the disk says that it was not. */
static char *judge_started(const SpPolicyJudge *judge, const char *decided)
{
    GPtrArray *groups = judge->policy->groups;

    for (guint i = 0; i < groups->len; i++) {
        const SpPolicyGroup *group = groups->pdata[i];
        g_autofree char *facts = NULL;

        if (!sp_policy_groups_was_installed(judge->groups, i) || !group->not_started ||
            !sp_facts_contain(decided, group->not_started))
            continue;
        facts = g_strjoinv(" ", group->not_started);
        return g_strdup_printf(
            "group %s was started, but the disk does not say so: %s", group->name, facts);
    }
    return NULL;
}

char *sp_policy_judge(const SpPolicyJudge *judge, const SpGroupsState *state, const char *decided,
    guint latest, guint booted)
{
    char *failure = NULL;

    if (latest >= judge->installed_from)
        failure = judge_installed(judge, booted);
    if (!failure && latest >= judge->started_from)
        failure = judge_started(judge, decided);
    if (!failure && booted != judge->running)
        failure = judge_other_group(judge, state, booted);
    return failure;
}
