/* SPDX-License-Identifier: MIT */

/* Reads powercut.conf. */

#include "powercut/policy.h"

#include "base/keyfile.h"

#include <string.h>

#define MAIN "PowerCuts"
#define PARTITION "Partition "
#define GROUP "Group "

static const SpKey known_keys[] = {
    {MAIN, "Decider"},
    {MAIN, "Fed"},
    {MAIN, "Unchanged"},
    {PARTITION "*", "Fsck"},
    {PARTITION "*", "FsckStatus"},
    {PARTITION "*", "FsckReason"},
    {PARTITION "*", "FsckTolerates"},
    {PARTITION "*", "ToleratedAs"},
    {GROUP "*", "Partitions"},
    {GROUP "*", "NotStarted"},
    {NULL, NULL},
};

static void free_policy_partition(void *data)
{
    SpPolicyPartition *partition = data;

    g_free(partition->name);
    g_strfreev(partition->fsck);
    g_strfreev(partition->reasons);
    g_free(partition->tolerated);
    g_free(partition->tolerated_as);
    g_free(partition);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpPolicyPartition, free_policy_partition)

static void free_group(void *data)
{
    SpPolicyGroup *group = data;

    g_free(group->name);
    g_strfreev(group->partitions);
    g_strfreev(group->not_started);
    g_free(group);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpPolicyGroup, free_group)

void sp_policy_free(SpPolicy *policy)
{
    if (!policy)
        return;
    g_free(policy->decider);
    g_ptr_array_unref(policy->fed);
    g_ptr_array_unref(policy->others);
    g_strfreev(policy->unchanged);
    g_ptr_array_unref(policy->groups);
    g_free(policy);
}

guint sp_policy_find_group(const SpPolicy *policy, const char *name)
{
    for (guint i = 0; i < policy->groups->len; i++) {
        if (g_str_equal(((const SpPolicyGroup *)policy->groups->pdata[i])->name, name))
            return i;
    }
    return G_MAXUINT;
}

static bool has_policy_partition(GPtrArray *partitions, const char *name)
{
    for (guint i = 0; i < partitions->len; i++) {
        if (g_str_equal(((const SpPolicyPartition *)partitions->pdata[i])->name, name))
            return true;
    }
    return false;
}

bool sp_policy_has_partition(const SpPolicy *policy, const char *name)
{
    for (guint i = 0; i < policy->groups->len; i++) {
        const SpPolicyGroup *group = policy->groups->pdata[i];

        if (g_strv_contains((const char *const *)group->partitions, name))
            return true;
    }
    return g_strv_contains((const char *const *)policy->unchanged, name) ||
           has_policy_partition(policy->fed, name) || has_policy_partition(policy->others, name);
}

/* NULL if the key is missing or has no word. */
static char **read_words(SpKeyFile *file, const char *group, const char *key)
{
    g_autofree char *text = sp_key_file_string(file, group, key);
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_auto(GStrv) words = text ? g_strsplit_set(text, " \t", -1) : NULL;

    if (!text)
        return NULL;
    for (char **word = words; *word; word++) {
        if (**word)
            g_strv_builder_add(builder, *word);
    }
    return g_strv_builder_end(builder);
}

static bool read_statuses(
    SpKeyFile *file, const char *group, SpPolicyPartition *partition, GError **error)
{
    g_auto(GStrv) words = read_words(file, group, "FsckStatus");

    partition->is_good_status[0] = !words;
    for (char **word = words; word && *word; word++) {
        guint64 status;

        if (!g_ascii_string_to_unsigned(*word, 10, 0, 255, &status, NULL))
            return sp_key_file_refuse(
                file, group, "FsckStatus", "exit statuses, numbers from 0 to 255", error);
        partition->is_good_status[status] = true;
    }
    return true;
}

/* A word that is a fact's value: it stands in a line of words KEY=VALUE. */
static bool is_value(const char *text)
{
    for (const char *c = text; *c; c++) {
        if (!g_ascii_isgraph(*c))
            return false;
    }
    return *text != '\0';
}

static bool read_fsck(
    SpKeyFile *file, const char *group, SpPolicyPartition *partition, GError **error)
{
    partition->fsck = read_words(file, group, "Fsck");
    partition->reasons = read_words(file, group, "FsckReason");
    partition->tolerated = sp_key_file_string(file, group, "FsckTolerates");
    partition->tolerated_as = sp_key_file_string(file, group, "ToleratedAs");
    if (!partition->fsck)
        return sp_key_file_refuse(
            file, group, "Fsck", "a program that checks the file system", error);
    if (!partition->tolerated != !partition->tolerated_as)
        return sp_key_file_refuse(
            file, group, NULL, "both or neither of FsckTolerates=, ToleratedAs=", error);
    if (partition->tolerated_as && !is_value(partition->tolerated_as))
        return sp_key_file_refuse(file, group, "ToleratedAs", "one word", error);
    return read_statuses(file, group, partition, error);
}

static SpPolicyPartition *read_partition(SpKeyFile *file, const char *group, GError **error)
{
    g_autoptr(SpPolicyPartition) partition = g_new0(SpPolicyPartition, 1);

    partition->name = g_strdup(group + strlen(PARTITION));
    return read_fsck(file, group, partition, error) ? g_steal_pointer(&partition) : NULL;
}

static bool read_members(SpKeyFile *file, const char *name, SpPolicyGroup *group, GError **error)
{
    group->partitions = read_words(file, name, "Partitions");
    group->not_started = read_words(file, name, "NotStarted");
    if (!group->partitions)
        return sp_key_file_refuse(file, name, "Partitions", "names of partitions", error);
    if (!is_value(group->name))
        return sp_key_file_refuse(file, name, NULL, "a name that is one word", error);
    for (char **word = group->not_started; word && *word; word++) {
        if (!strchr(*word, '=') || **word == '=')
            return sp_key_file_refuse(file, name, "NotStarted", "words KEY=VALUE", error);
    }
    return true;
}

static SpPolicyGroup *read_group(SpKeyFile *file, const char *name, GError **error)
{
    g_autoptr(SpPolicyGroup) group = g_new0(SpPolicyGroup, 1);

    group->name = g_strdup(name + strlen(GROUP));
    return read_members(file, name, group, error) ? g_steal_pointer(&group) : NULL;
}

static bool read_section(SpKeyFile *file, SpPolicy *policy, const char *section, GError **error)
{
    if (g_str_has_prefix(section, PARTITION)) {
        SpPolicyPartition *partition = read_partition(file, section, error);

        if (partition)
            g_ptr_array_add(policy->others, partition);
        return partition != NULL;
    }
    if (g_str_has_prefix(section, GROUP)) {
        SpPolicyGroup *group = read_group(file, section, error);

        if (group)
            g_ptr_array_add(policy->groups, group);
        return group != NULL;
    }
    return true;
}

/* The one called @name out of @policy->others; one without a check if there is none. */
static SpPolicyPartition *take_partition(SpPolicy *policy, const char *name)
{
    SpPolicyPartition *partition;

    for (guint i = 0; i < policy->others->len; i++) {
        partition = policy->others->pdata[i];
        if (g_str_equal(partition->name, name))
            return g_ptr_array_steal_index(policy->others, i);
    }
    partition = g_new0(SpPolicyPartition, 1);
    partition->name = g_strdup(name);
    return partition;
}

static bool read_main(SpKeyFile *file, SpPolicy *policy, const char *dir, GError **error)
{
    g_auto(GStrv) fed = read_words(file, MAIN, "Fed");

    if (!sp_key_file_path(file, MAIN, "Decider", dir, &policy->decider, error))
        return false;
    if (!policy->decider)
        return sp_key_file_refuse(
            file, MAIN, "Decider", "a program that says what would boot", error);
    if (!fed)
        return sp_key_file_refuse(
            file, MAIN, "Fed", "the partitions that the decider is given", error);
    policy->unchanged = read_words(file, MAIN, "Unchanged");
    if (!policy->unchanged)
        policy->unchanged = g_new0(char *, 1);
    for (char **name = fed; *name; name++) {
        if (g_strv_contains((const char *const *)name + 1, *name))
            return sp_key_file_refuse(file, MAIN, "Fed", "each partition once", error);
        g_ptr_array_add(policy->fed, take_partition(policy, *name));
    }
    if (policy->groups->len > SP_POLICY_GROUPS_MAX)
        return sp_key_file_refuse(file, MAIN, NULL, "no more than 16 groups", error);
    return true;
}

static SpPolicy *read_policy(SpKeyFile *file, const char *path, GError **error)
{
    g_autoptr(SpPolicy) policy = g_new0(SpPolicy, 1);
    g_auto(GStrv) sections = sp_key_file_groups(file);
    g_autofree char *absolute = g_canonicalize_filename(path, NULL);
    g_autofree char *dir = g_path_get_dirname(absolute);

    policy->fed = g_ptr_array_new_with_free_func(free_policy_partition);
    policy->others = g_ptr_array_new_with_free_func(free_policy_partition);
    policy->groups = g_ptr_array_new_with_free_func(free_group);
    for (char **section = sections; *section; section++) {
        if (!read_section(file, policy, *section, error))
            return NULL;
    }
    return read_main(file, policy, dir, error) ? g_steal_pointer(&policy) : NULL;
}

SpPolicy *sp_policy_parse(const char *text, gsize length, const char *path, GError **error)
{
    g_autoptr(SpKeyFile) file = sp_key_file_parse(text, length, path, known_keys, error);

    return file ? read_policy(file, path, error) : NULL;
}

SpPolicy *sp_policy_load(const char *path, GError **error)
{
    g_autoptr(SpKeyFile) file = sp_key_file_load(path, known_keys, error);

    return file ? read_policy(file, path, error) : NULL;
}
