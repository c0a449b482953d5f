/* SPDX-License-Identifier: MIT */

/* Checks crash states by an image's policy. */

#include "powercut/policy-check.h"

#include "base/error.h"
#include "powercut/content-check.h"
#include "powercut/partitions.h"
#include "powercut/policy-groups.h"
#include "powercut/policy-judge.h"

#include <stdlib.h>
#include <string.h>

#define DECIDER_TIMEOUT_MS 60000
#define NOTHING_BOOTS "none"
/* States that wait for a verdict; more are waited for, so that failures are reported soon. */
#define PENDING_MAX 1000u

/* A partition that the decider is not given, with the contents that it has. */
typedef struct {
    SpContentPart part;
    SpContentCheck *check;
    GHashTable *contents; /* of SpDiskHash: all */
    GHashTable *chosen;   /* those that are checked */
} Sampled;

/* A state that waits for its verdicts, with everything else that its report needs. */
typedef struct {
    SpCrashState state;
    char *name;
    SpGroupsState groups;
    const SpVerdict *decision;
    const SpVerdict **sampled; /* of each; NULL if this content is not checked */
} Pending;

struct SpPolicyCheck {
    SpPolicyCheckOptions options;
    SpCrashDisk *disk;
    SpPolicyGroups *groups;
    guint running; /* the group that boots before the first write; SP_NO_GROUP: there are none */
    GArray *fed;   /* of SpContentPart */
    char *fed_names;
    SpDecider *decider;
    SpContentCheck *decisions;
    GArray *sampled; /* of Sampled */
    bool is_chosen;  /* which contents are checked */
    GQueue pending;  /* of Pending, the oldest first */
};

static void free_pending(void *data)
{
    Pending *pending = data;

    g_free(pending->name);
    sp_groups_state_clear(&pending->groups);
    g_free(pending->sampled);
    g_free(pending);
}

static void clear_sampled(void *data)
{
    Sampled *sampled = data;

    sp_content_check_free(sampled->check);
    g_hash_table_unref(sampled->chosen);
    g_hash_table_unref(sampled->contents);
}

void sp_policy_check_free(SpPolicyCheck *check)
{
    if (!check)
        return;
    g_queue_clear_full(&check->pending, free_pending);
    g_array_unref(check->sampled);
    sp_content_check_free(check->decisions);
    sp_decider_free(check->decider);
    g_array_unref(check->fed);
    g_free(check->fed_names);
    sp_policy_groups_free(check->groups);
    g_free(check);
}

/* --- setting up ------------------------------------------------------------------------------- */

static bool find_content_part(
    SpPolicyCheck *check, const SpPolicyPartition *policy, SpContentPart *ret_part, GError **error)
{
    const SpPartition *partition =
        sp_partitions_get(check->options.partitions, policy->name, error);

    if (!partition)
        return false;
    *ret_part = (SpContentPart){policy, partition->offset, partition->length,
        sp_crash_disk_add_range(check->disk, partition->offset, partition->length)};
    return true;
}

static bool add_fed(SpPolicyCheck *check, GError **error)
{
    const SpPolicy *policy = check->options.policy;
    g_autoptr(GString) names = g_string_new(NULL);
    SpContentOptions options = {.jobs = check->options.jobs, .task = check->options.task};

    for (guint i = 0; i < policy->fed->len; i++) {
        SpContentPart part;

        if (!find_content_part(check, policy->fed->pdata[i], &part, error))
            return false;
        g_array_append_val(check->fed, part);
        g_string_append_printf(names, "%s%s", i > 0 ? " " : "", part.policy->name);
    }
    check->fed_names = g_string_free(g_steal_pointer(&names), FALSE);
    check->decider = sp_decider_new(policy->decider, DECIDER_TIMEOUT_MS);
    options.decider = check->decider;
    options.policy = policy;
    options.parts = (const SpContentPart *)(void *)check->fed->data;
    options.parts_count = check->fed->len;
    check->decisions = sp_content_check_new(&options);
    return true;
}

static bool add_sampled(SpPolicyCheck *check, GError **error)
{
    GPtrArray *others = check->options.policy->others;
    SpContentOptions options = {
        .parts_count = 1, .jobs = check->options.jobs, .task = check->options.task};

    g_array_set_size(check->sampled, others->len);
    for (guint i = 0; i < others->len; i++) {
        Sampled *sampled = &g_array_index(check->sampled, Sampled, i);

        sampled->contents =
            g_hash_table_new_full(sp_disk_hash_key, sp_disk_hash_keys_equal, g_free, NULL);
        sampled->chosen = g_hash_table_new(sp_disk_hash_key, sp_disk_hash_keys_equal);
    }
    for (guint i = 0; i < others->len; i++) {
        Sampled *sampled = &g_array_index(check->sampled, Sampled, i);

        if (!find_content_part(check, others->pdata[i], &sampled->part, error))
            return false;
        options.parts = &sampled->part;
        sampled->check = sp_content_check_new(&options);
    }
    return true;
}

/* What boots by facts: "boots=" stands first. NULL if the decider did not say. Free with g_free().
 */
static char *get_boots(const SpVerdict *verdict)
{
    if (!g_str_has_prefix(verdict->facts, "boots="))
        return NULL;
    return g_strndup(verdict->facts + 6, strcspn(verdict->facts + 6, " "));
}

/* False with an error if what boots is not among the groups. */
static bool find_booted(
    const SpPolicyCheck *check, const char *boots, guint *ret_group, GError **error)
{
    const SpPolicy *policy = check->options.policy;

    *ret_group = sp_policy_find_group(policy, boots);
    if (*ret_group != SP_NO_GROUP || policy->groups->len == 0 || g_str_equal(boots, NOTHING_BOOTS))
        return true;
    g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
        "the decider '%s' says boots=%s: expected the name of a [Group] of " SP_POLICY_FILE
        ", or " NOTHING_BOOTS,
        policy->decider, boots);
    return false;
}

/* A fact that the decider never states would never match: nothing would be checked by it. */
static bool are_facts_stated(const SpPolicyCheck *check, const char *facts, GError **error)
{
    const SpPolicy *policy = check->options.policy;

    for (guint i = 0; i < policy->groups->len; i++) {
        const SpPolicyGroup *group = policy->groups->pdata[i];

        for (char **word = group->not_started; word && *word; word++) {
            if (sp_facts_have_key(facts, *word))
                continue;
            g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
                "[Group %s] of " SP_POLICY_FILE
                " has NotStarted=%s, but the decider's answer for the disk before the first write "
                "lacks this key: %s",
                group->name, *word, facts);
            return false;
        }
    }
    return true;
}

static bool find_running(SpPolicyCheck *check, GError **error)
{
    const SpVerdict *verdict = sp_content_check_ask(check->decisions, check->disk);
    g_autofree char *boots = NULL;

    sp_content_check_finish(check->decisions, verdict);
    if (verdict->error) {
        g_propagate_error(error, g_error_copy(verdict->error));
        return false;
    }
    boots = get_boots(verdict);
    if (verdict->failure || !boots || g_str_equal(boots, NOTHING_BOOTS)) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "the disk is not in order even before the first write: %s",
            verdict->failure ? verdict->failure : "nothing boots");
        return false;
    }
    if (!find_booted(check, boots, &check->running, error) ||
        !are_facts_stated(check, verdict->facts, error))
        return false;
    sp_policy_groups_set_running(check->groups, check->running);
    return true;
}

SpPolicyCheck *sp_policy_check_new(
    SpCrashDisk *disk, const SpPolicyCheckOptions *options, GError **error)
{
    g_autoptr(SpPolicyCheck) check = g_new0(SpPolicyCheck, 1);

    check->options = *options;
    check->disk = disk;
    check->fed = g_array_new(FALSE, FALSE, sizeof(SpContentPart));
    check->sampled = g_array_new(FALSE, TRUE, sizeof(Sampled));
    g_array_set_clear_func(check->sampled, clear_sampled);
    g_queue_init(&check->pending);
    check->groups = sp_policy_groups_new(disk, options->policy, options->partitions, error);
    if (!check->groups || !add_fed(check, error) || !add_sampled(check, error) ||
        !find_running(check, error))
        return NULL;
    return g_steal_pointer(&check);
}

/* --- what the log's end has ------------------------------------------------------------------- */

bool sp_policy_check_learn(
    SpPolicyCheck *check, const SpPolicyContent *contents, guint contents_count, GError **error)
{
    sp_policy_groups_learn(check->groups);
    for (guint i = 0; i < contents_count; i++) {
        const SpPartition *partition =
            sp_partitions_get(check->options.partitions, contents[i].partition, error);

        if (!partition || !sp_partition_begins_with(
                              partition, check->disk, contents[i].path, check->options.task, error))
            return false;
    }
    return true;
}

/* --- which contents are checked --------------------------------------------------------------- */

static void count_contents(void *data)
{
    SpPolicyCheck *check = data;

    for (guint i = 0; i < check->sampled->len; i++) {
        Sampled *sampled = &g_array_index(check->sampled, Sampled, i);
        SpDiskHash hash = sp_content_check_hash(sampled->check, check->disk);

        if (!g_hash_table_contains(sampled->contents, &hash))
            g_hash_table_add(sampled->contents, g_memdup2(&hash, sizeof hash));
    }
}

static int compare_hashes(const void *a, const void *b)
{
    return memcmp(*(void *const *)a, *(void *const *)b, sizeof(SpDiskHash));
}

static void choose_contents(Sampled *sampled, guint number, guint32 seed)
{
    GRand *rand = g_rand_new_with_seed(seed);
    guint count;
    g_autofree void **contents = g_hash_table_get_keys_as_array(sampled->contents, &count);

    /* a table's order is not the same on each machine */
    qsort(contents, count, sizeof *contents, compare_hashes);
    for (guint i = 0; i < MIN(number, count); i++) {
        guint other = (guint)g_rand_int_range(rand, (gint32)i, (gint32)count);
        void *chosen = contents[other];

        contents[other] = contents[i];
        g_hash_table_add(sampled->chosen, chosen);
    }
    g_rand_free(rand);
}

static const SpVerdict *ask_sampled(const SpPolicyCheck *check, const Sampled *sampled)
{
    SpDiskHash hash = sp_content_check_hash(sampled->check, check->disk);

    return g_hash_table_contains(sampled->chosen, &hash)
               ? sp_content_check_ask(sampled->check, check->disk)
               : NULL;
}

/* --- states ----------------------------------------------------------------------------------- */

static char *join_state_facts(const SpPolicyCheck *check, const Pending *pending)
{
    const char *decided = pending->decision->facts;
    GString *facts = g_string_new(g_str_has_prefix(decided, "boots=") ? decided : "boots=unknown");

    if (facts->str[0] && !g_str_has_prefix(decided, "boots=") && *decided)
        g_string_append_printf(facts, " %s", decided);
    g_string_append(facts, pending->groups.facts);
    for (guint i = 0; i < check->sampled->len; i++) {
        if (pending->sampled[i] && *pending->sampled[i]->facts)
            g_string_append_printf(facts, " %s", pending->sampled[i]->facts);
    }
    return g_string_free(facts, FALSE);
}

static char *judge_booted(
    const SpPolicyCheck *check, const Pending *pending, const char *boots, guint booted)
{
    const SpPolicyJudge judge = {
        .policy = check->options.policy,
        .groups = check->groups,
        .running = check->running,
        .installed_from = check->options.installed_from,
        .started_from = check->options.started_from,
    };

    if (g_str_equal(boots, NOTHING_BOOTS))
        return g_strdup("nothing boots");
    if (check->running == SP_NO_GROUP)
        return NULL;
    return sp_policy_judge(
        &judge, &pending->groups, pending->decision->facts, pending->state.latest, booted);
}

/* False if it can't be said; otherwise @ret_failure is NULL or why the state fails. */
static bool judge_state(
    const SpPolicyCheck *check, const Pending *pending, char **ret_failure, GError **error)
{
    g_autofree char *boots = get_boots(pending->decision);
    guint booted = SP_NO_GROUP;

    if (boots && !find_booted(check, boots, &booted, error))
        return false;
    *ret_failure =
        g_strdup(pending->groups.written ? pending->groups.written : pending->decision->failure);
    if (!*ret_failure && boots)
        *ret_failure = judge_booted(check, pending, boots, booted);
    for (guint i = 0; i < check->sampled->len && !*ret_failure; i++) {
        if (pending->sampled[i])
            *ret_failure = g_strdup(pending->sampled[i]->failure);
    }
    return true;
}

static const GError *find_error(const SpPolicyCheck *check, const Pending *pending)
{
    const GError *error = pending->decision->error;

    for (guint i = 0; i < check->sampled->len && !error; i++)
        error = pending->sampled[i] ? pending->sampled[i]->error : NULL;
    return error;
}

static bool report_state(const SpPolicyCheck *check, const Pending *pending, GError **error)
{
    const GError *cause = find_error(check, pending);
    g_autofree char *facts = NULL, *failure = NULL;
    GError *local = cause ? g_error_copy(cause) : NULL;

    if (local || !judge_state(check, pending, &failure, &local)) {
        g_propagate_prefixed_error(error, local, "state %s: ", pending->name);
        return false;
    }
    facts = join_state_facts(check, pending);
    check->options.func(&pending->state, facts, failure, check->options.data);
    return true;
}

static bool is_ready(const SpPolicyCheck *check, const Pending *pending)
{
    bool is_finished = sp_content_check_is_finished(pending->decision);

    for (guint i = 0; i < check->sampled->len && is_finished; i++)
        is_finished = !pending->sampled[i] || sp_content_check_is_finished(pending->sampled[i]);
    return is_finished;
}

/* All whose verdicts are there, up to the first whose are not. */
static bool report_ready(SpPolicyCheck *check, GError **error)
{
    while (check->pending.head && is_ready(check, check->pending.head->data)) {
        Pending *pending = g_queue_pop_head(&check->pending);
        bool is_good = report_state(check, pending, error);

        free_pending(pending);
        if (!is_good)
            return false;
    }
    return true;
}

/* Wait for the oldest until no more than @left are pending. */
static bool finish_down_to(SpPolicyCheck *check, guint left, GError **error)
{
    while (check->pending.length > left) {
        const Pending *pending = check->pending.head->data;

        sp_content_check_finish(check->decisions, pending->decision);
        for (guint i = 0; i < check->sampled->len; i++) {
            if (pending->sampled[i])
                sp_content_check_finish(
                    g_array_index(check->sampled, Sampled, i).check, pending->sampled[i]);
        }
        if (!report_ready(check, error))
            return false;
    }
    return true;
}

static bool start_state(void *data, const SpCrashState *state, GError **error)
{
    SpPolicyCheck *check = data;
    Pending *pending = g_new0(Pending, 1);

    for (guint i = 0; i < check->sampled->len && !check->is_chosen; i++)
        choose_contents(&g_array_index(check->sampled, Sampled, i), check->options.samples,
            check->options.seed);
    check->is_chosen = true;
    pending->name = g_strdup(state->name);
    pending->state = *state;
    pending->state.name = pending->name;
    sp_policy_groups_look(check->groups, &pending->groups);
    pending->decision = sp_content_check_ask(check->decisions, check->disk);
    pending->sampled = g_new0(const SpVerdict *, check->sampled->len);
    for (guint i = 0; i < check->sampled->len; i++)
        pending->sampled[i] = ask_sampled(check, &g_array_index(check->sampled, Sampled, i));
    g_queue_push_tail(&check->pending, pending);
    return report_ready(check, error) && finish_down_to(check, PENDING_MAX, error);
}

static bool finish_states(void *data, GError **error)
{
    return finish_down_to(data, 0, error);
}

/* Those that an interruption kept from being checked are passed over. */
static void abandon_states(void *data)
{
    SpPolicyCheck *check = data;
    Pending *pending;

    while ((pending = g_queue_pop_head(&check->pending))) {
        g_autoptr(GError) error = NULL;

        if (is_ready(check, pending))
            (void)report_state(check, pending, &error);
        free_pending(pending);
    }
}

static void free_policy_check(void *data)
{
    sp_policy_check_free(data);
}

const SpStateCheckOps sp_policy_check_ops = {
    .count = count_contents,
    .start = start_state,
    .finish = finish_states,
    .abandon = abandon_states,
    .free = free_policy_check,
};

GArray *sp_policy_check_counts(const SpPolicyCheck *check)
{
    GArray *array = g_array_new(FALSE, FALSE, sizeof(SpPolicyCounts));
    guint asked = sp_content_check_count(check->decisions);
    SpPolicyCounts counts = {check->fed_names, asked, asked};

    g_array_append_val(array, counts);
    for (guint i = 0; i < check->sampled->len; i++) {
        const Sampled *sampled = &g_array_index(check->sampled, Sampled, i);

        counts = (SpPolicyCounts){sampled->part.policy->name, g_hash_table_size(sampled->contents),
            sp_content_check_count(sampled->check)};
        g_array_append_val(array, counts);
    }
    return array;
}
