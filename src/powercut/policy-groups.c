/* SPDX-License-Identifier: MIT */

/* Compares the partitions that a policy names with what they were and what they should become. */

#include "powercut/policy-groups.h"

#include "powercut/partitions.h"

typedef struct {
    const char *name;
    guint range;
    SpDiskHash learned; /* its content at the log's end */
} Part;

struct SpPolicyGroups {
    SpCrashDisk *disk;
    const SpPolicy *policy;
    GArray *unchanged; /* of Part */
    GPtrArray *parts;  /* of GArray of Part: a group's each */
    guint running;
    guint installed; /* a bit for each group that the log changes */
};

static Part make_part(SpCrashDisk *disk, const char *name, guint64 offset, guint64 length)
{
    return (Part){.name = name, .range = sp_crash_disk_add_range(disk, offset, length)};
}

static bool add_parts(SpPolicyGroups *groups, GPtrArray *partitions, char *const *names,
    GArray *parts, GError **error)
{
    for (; *names; names++) {
        const SpPartition *partition = sp_partitions_get(partitions, *names, error);
        Part part;

        if (!partition)
            return false;
        part = make_part(groups->disk, partition->name, partition->offset, partition->length);
        g_array_append_val(parts, part);
    }
    return true;
}

/* What is before the first partition and after the last one. */
static void add_table(SpPolicyGroups *groups, GPtrArray *partitions)
{
    static const char name[] = "the partition table";
    const SpPartition *first = partitions->pdata[0];
    const SpPartition *last = partitions->pdata[partitions->len - 1];
    guint64 end = last->offset + last->length;
    Part table = make_part(groups->disk, name, 0, first->offset);
    Part copy = make_part(groups->disk, name, end, sp_crash_disk_size(groups->disk) - end);

    g_array_append_val(groups->unchanged, table);
    g_array_append_val(groups->unchanged, copy);
}

static bool add_groups(SpPolicyGroups *groups, GPtrArray *partitions, GError **error)
{
    for (guint i = 0; i < groups->policy->groups->len; i++) {
        const SpPolicyGroup *group = groups->policy->groups->pdata[i];
        GArray *parts = g_array_new(FALSE, FALSE, sizeof(Part));

        g_ptr_array_add(groups->parts, parts);
        if (!add_parts(groups, partitions, group->partitions, parts, error))
            return false;
    }
    return true;
}

SpPolicyGroups *sp_policy_groups_new(
    SpCrashDisk *disk, const SpPolicy *policy, GPtrArray *partitions, GError **error)
{
    g_autoptr(SpPolicyGroups) groups = g_new0(SpPolicyGroups, 1);

    groups->disk = disk;
    groups->policy = policy;
    groups->running = SP_NO_GROUP;
    groups->unchanged = g_array_new(FALSE, FALSE, sizeof(Part));
    groups->parts = g_ptr_array_new_with_free_func((GDestroyNotify)g_array_unref);
    add_table(groups, partitions);
    if (!add_parts(groups, partitions, policy->unchanged, groups->unchanged, error) ||
        !add_groups(groups, partitions, error))
        return NULL;
    return g_steal_pointer(&groups);
}

void sp_policy_groups_free(SpPolicyGroups *groups)
{
    if (!groups)
        return;
    g_array_unref(groups->unchanged);
    g_ptr_array_unref(groups->parts);
    g_free(groups);
}

void sp_policy_groups_set_running(SpPolicyGroups *groups, guint group)
{
    groups->running = group;
}

void sp_policy_groups_learn(SpPolicyGroups *groups)
{
    for (guint i = 0; i < groups->parts->len; i++) {
        GArray *parts = groups->parts->pdata[i];

        for (guint j = 0; j < parts->len; j++) {
            Part *part = &g_array_index(parts, Part, j);

            part->learned = sp_crash_disk_range_hash(groups->disk, part->range);
            if (!sp_disk_hash_is_base(part->learned))
                groups->installed |= 1u << i;
        }
    }
}

bool sp_policy_groups_was_installed(const SpPolicyGroups *groups, guint group)
{
    return groups->installed & 1u << group;
}

/* The name of the first part that is not as before the first write; or NULL. */
static const char *find_changed(const SpPolicyGroups *groups, GArray *parts)
{
    for (guint i = 0; i < parts->len; i++) {
        const Part *part = &g_array_index(parts, Part, i);

        if (!sp_disk_hash_is_base(sp_crash_disk_range_hash(groups->disk, part->range)))
            return part->name;
    }
    return NULL;
}

static char *find_written(const SpPolicyGroups *groups)
{
    const char *name = find_changed(groups, groups->unchanged);
    const SpPolicyGroup *group;

    if (name)
        return g_strdup_printf("%s was written to", name);
    if (groups->running == SP_NO_GROUP)
        return NULL;
    name = find_changed(groups, groups->parts->pdata[groups->running]);
    group = groups->policy->groups->pdata[groups->running];
    return name ? g_strdup_printf(
                      "%s was written to, a partition of group %s, which ran", name, group->name)
                : NULL;
}

static const char *describe_part(const SpPolicyGroups *groups, const Part *part)
{
    SpDiskHash hash = sp_crash_disk_range_hash(groups->disk, part->range);

    if (sp_disk_hash_equal(hash, part->learned))
        return "new";
    return sp_disk_hash_is_base(hash) ? "old" : "partial";
}

void sp_policy_groups_look(const SpPolicyGroups *groups, SpGroupsState *ret_state)
{
    GString *facts = g_string_new(NULL);
    guint whole = 0;

    for (guint i = 0; i < groups->parts->len; i++) {
        GArray *parts = groups->parts->pdata[i];
        bool is_whole = true;

        for (guint j = 0; i != groups->running && j < parts->len; j++) {
            const Part *part = &g_array_index(parts, Part, j);
            const char *how = describe_part(groups, part);

            is_whole = is_whole && g_str_equal(how, "new");
            g_string_append_printf(facts, " %s=%s", part->name, how);
        }
        whole |= (guint)is_whole << i;
    }
    *ret_state = (SpGroupsState){
        .written = find_written(groups), .facts = g_string_free(facts, FALSE), .whole = whole};
}

void sp_groups_state_clear(SpGroupsState *state)
{
    g_clear_pointer(&state->written, g_free);
    g_clear_pointer(&state->facts, g_free);
}
