/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "powercut/policy.h"

#include <string.h>

#define PATH "/image/powercut.conf"
#define MAIN "[PowerCuts]\nDecider=decider\nFed=state\n"

static void test_whole(void)
{
    static const char text[] =
        "[PowerCuts]\nDecider=bin/decider\nFed=env state\nUnchanged=firmware\n"
        "[Partition state]\nFsck=e2fsck -f  -p\nFsckStatus=0 1\n"
        "[Partition data]\nFsck=fsck.f2fs\nFsckReason=[Fail] [ASSERT]\n"
        "FsckTolerates=record failed\nToleratedAs=rolled-back\n"
        "[Group A]\nPartitions=boot-a rootfs-a\n"
        "[Group B]\nPartitions=boot-b\nNotStarted=left=3 good=no\n";
    g_autoptr(GError) error = NULL;
    g_autoptr(SpPolicy) policy = sp_policy_parse(text, strlen(text), PATH, &error);
    const SpPolicyPartition *env, *state, *data;
    const SpPolicyGroup *group;

    g_assert_no_error(error);
    g_assert_cmpstr(policy->decider, ==, "/image/bin/decider");
    g_assert_cmpstr(policy->unchanged[0], ==, "firmware");
    g_assert_cmpuint(policy->fed->len, ==, 2);
    g_assert_cmpuint(policy->others->len, ==, 1);
    g_assert_cmpuint(policy->groups->len, ==, 2);
    env = policy->fed->pdata[0];
    g_assert_cmpstr(env->name, ==, "env");
    g_assert_null(env->fsck);
    state = policy->fed->pdata[1];
    g_assert_cmpstr(state->fsck[2], ==, "-p");
    g_assert_null(state->fsck[3]);
    g_assert_true(state->is_good_status[0] && state->is_good_status[1]);
    g_assert_false(state->is_good_status[2]);
    data = policy->others->pdata[0];
    g_assert_cmpstr(data->tolerated, ==, "record failed");
    g_assert_true(data->is_good_status[0]);
    g_assert_false(data->is_good_status[1]);
    g_assert_cmpuint(sp_policy_find_group(policy, "B"), ==, 1);
    g_assert_cmpuint(sp_policy_find_group(policy, "C"), ==, G_MAXUINT);
    g_assert_true(sp_policy_has_partition(policy, "env"));
    g_assert_true(sp_policy_has_partition(policy, "data"));
    g_assert_true(sp_policy_has_partition(policy, "firmware"));
    g_assert_true(sp_policy_has_partition(policy, "rootfs-a"));
    g_assert_false(sp_policy_has_partition(policy, "rootfs"));
    group = policy->groups->pdata[1];
    g_assert_cmpstr(group->not_started[1], ==, "good=no");
}

/* Each is refused with its line and what was expected. */
static void test_invalid(void)
{
    static const struct {
        const char *text, *reason;
    } cases[] = {
        {"", "powercut.conf:1: [PowerCuts] lacks Decider=: expected a program"},
        {"[PowerCuts]\nDecider=d\n", ":1: [PowerCuts] lacks Fed="},
        {MAIN "Fed2=x\n", ":4: unknown key 'Fed2' in [PowerCuts]: expected one of Decider Fed"},
        {MAIN "[Partitions state]\nFsck=x\n", ":4: unknown group [Partitions state]"},
        {"[PowerCuts]\nDecider=d\nFed=a b a\n", ":3: Fed=a b a: expected each partition once"},
        {MAIN "[Partition data]\nFsckStatus=0\n", ":4: [Partition data] lacks Fsck="},
        {MAIN "[Partition data]\nFsck=x\nFsckStatus=0 256\n",
            ":6: FsckStatus=0 256: expected exit"},
        {MAIN "[Partition data]\nFsck=x\nFsckTolerates=y\n", ":4: [Partition data]: expected both"},
        {MAIN "[Partition data]\nFsck=x\nFsckTolerates=y\nToleratedAs=a b\n",
            ":7: ToleratedAs=a b: expected one word"},
        {MAIN "[Group A]\nNotStarted=a=b\n", ":4: [Group A] lacks Partitions="},
        {MAIN "[Group A]\nPartitions=a\nNotStarted=a\n",
            ":6: NotStarted=a: expected words KEY=VALUE"},
        {MAIN "[Group A B]\nPartitions=a\n", ":4: [Group A B]: expected a name that is one word"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(sp_policy_parse(cases[i].text, strlen(cases[i].text), PATH, &error));
        g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
        g_test_message("%s", error->message);
        g_assert_nonnull(strstr(error->message, cases[i].reason));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/policy/whole", test_whole);
    g_test_add_func("/policy/invalid", test_invalid);
    return g_test_run();
}
