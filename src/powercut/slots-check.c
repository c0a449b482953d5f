/* SPDX-License-Identifier: MIT */
#include "powercut/slots-check.h"

#include "base/error.h"
#include "powercut/data-partition.h"
#include "powercut/partitions.h"
#include "powercut/verdicts.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK (1024u * 1024u)

typedef struct {
    guint64 offset, length;
    guint range;
} Part;

typedef struct {
    Part boot, rootfs;
} SlotParts;

struct SpSlotsCheck {
    const SpTask *task;
    SlotParts slots[SP_SLOT_COUNT];
    Part table, table_copy;
    guint data;       /* the range */
    enum sp_slot old; /* the one that ran */
    SpDiskHash new_boot, new_rootfs;
    SpVerdicts *state_verdicts, *data_verdicts;
    GHashTable *data_contents; /* of SpDiskHash: which there are */
    GHashTable *data_chosen;   /* those of them that are looked into */
    GHashTable *classes;       /* of char * */
};

static bool finish_state(
    SpProbe *probe, const SpInterrupt *interrupt, SpVerdict *verdict, GError **error)
{
    return sp_state_partition_decide(probe, interrupt, &verdict->decision, error);
}

static bool finish_data(
    SpProbe *probe, const SpInterrupt *interrupt, SpVerdict *verdict, GError **error)
{
    return sp_data_partition_is_good(probe, interrupt, &verdict->is_data_rolled_back, error);
}

static const SpVerdictFuncs state_funcs = {sp_state_partition_recover, finish_state};
static const SpVerdictFuncs data_funcs = {sp_data_partition_check, finish_data};

static bool find(
    GPtrArray *partitions, SpCrashDisk *disk, const char *name, Part *ret_part, GError **error)
{
    const SpPartition *partition = sp_partitions_find(partitions, name);

    if (!partition) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "the disk has no partition '%s': it is none of the gateway's, or was not booted yet. "
            "Where it is another device's, give --check",
            name);
        return false;
    }
    *ret_part = (Part){partition->offset, partition->length,
        sp_crash_disk_add_range(disk, partition->offset, partition->length)};
    return true;
}

static Part add_rest(SpCrashDisk *disk, guint64 offset, guint64 end)
{
    return (Part){offset, end - offset, sp_crash_disk_add_range(disk, offset, end - offset)};
}

static bool find_all(
    SpSlotsCheck *check, SpCrashDisk *disk, const char *path, guint jobs, GError **error)
{
    g_autoptr(GPtrArray) partitions = sp_partitions_read(path, error);
    const SpPartition *first, *last;
    Part state, data;

    if (!partitions || !find(partitions, disk, "state", &state, error) ||
        !find(partitions, disk, "boot-a", &check->slots[SP_SLOT_A].boot, error) ||
        !find(partitions, disk, "rootfs-a", &check->slots[SP_SLOT_A].rootfs, error) ||
        !find(partitions, disk, "boot-b", &check->slots[SP_SLOT_B].boot, error) ||
        !find(partitions, disk, "rootfs-b", &check->slots[SP_SLOT_B].rootfs, error) ||
        !find(partitions, disk, "data", &data, error))
        return false;
    first = g_ptr_array_index(partitions, 0);
    last = g_ptr_array_index(partitions, partitions->len - 1);
    check->table = add_rest(disk, 0, first->offset);
    check->table_copy = add_rest(disk, last->offset + last->length, sp_crash_disk_size(disk));
    check->state_verdicts =
        sp_verdicts_new(&state_funcs, state.offset, state.length, state.range, jobs, check->task);
    check->data_verdicts =
        sp_verdicts_new(&data_funcs, data.offset, data.length, data.range, jobs, check->task);
    check->data = data.range;
    return true;
}

static bool find_old(SpSlotsCheck *check, SpCrashDisk *disk, GError **error)
{
    const SpVerdict *verdict = sp_verdicts_get(check->state_verdicts, disk);

    if (verdict->error) {
        g_propagate_error(error, g_error_copy(verdict->error));
        return false;
    }
    check->old = verdict->decision.slot;
    if (check->old != SP_SLOT_NONE)
        return true;
    g_set_error_literal(
        error, SP_ERROR, SP_ERROR_USAGE, "no slot boots from the disk even before the first write");
    return false;
}

SpSlotsCheck *sp_slots_check_new(
    SpCrashDisk *disk, const char *path, guint jobs, const SpTask *task, GError **error)
{
    g_autoptr(SpSlotsCheck) check = g_new0(SpSlotsCheck, 1);

    check->task = task;
    check->classes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    check->data_contents =
        g_hash_table_new_full(sp_disk_hash_key, sp_disk_hash_keys_equal, g_free, NULL);
    check->data_chosen = g_hash_table_new(sp_disk_hash_key, sp_disk_hash_keys_equal);
    if (!find_all(check, disk, path, jobs, error) || !find_old(check, disk, error))
        return NULL;
    return g_steal_pointer(&check);
}

void sp_slots_check_free(SpSlotsCheck *check)
{
    if (!check)
        return;
    sp_verdicts_free(check->state_verdicts);
    sp_verdicts_free(check->data_verdicts);
    g_hash_table_unref(check->data_chosen);
    g_hash_table_unref(check->data_contents);
    g_hash_table_unref(check->classes);
    g_free(check);
}

static enum sp_slot other(enum sp_slot slot)
{
    return slot == SP_SLOT_A ? SP_SLOT_B : SP_SLOT_A;
}

static bool begins_with(const SpSlotsCheck *check, const SpCrashDisk *disk, const Part *part,
    const char *path, GError **error)
{
    g_autoptr(GMappedFile) file = g_mapped_file_new(path, FALSE, error);
    g_autofree guint8 *buffer = g_malloc(CHUNK);
    const char *data;
    gsize size;

    if (!file)
        return false;
    data = g_mapped_file_get_contents(file);
    size = g_mapped_file_get_length(file);
    for (gsize at = 0; at < size && size <= part->length; at += CHUNK) {
        gsize n = MIN(CHUNK, size - at);

        if (!sp_task_step(check->task, "comparing a slot with what was installed", at, size, error))
            return false;
        sp_crash_disk_read(disk, part->offset + at, n, buffer);
        if (memcmp(buffer, data + at, n) == 0)
            continue;
        g_set_error(error, SP_ERROR, SP_ERROR_ASSERTION,
            "at the log's end the slot does not hold '%s': it differs within %zu bytes from %zu on",
            path, n, at);
        return false;
    }
    if (size > part->length)
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "'%s' is larger than its partition", path);
    return size <= part->length;
}

bool sp_slots_check_learn(
    SpSlotsCheck *check, SpCrashDisk *disk, const char *boot, const char *rootfs, GError **error)
{
    const SlotParts *parts = &check->slots[other(check->old)];

    check->new_boot = sp_crash_disk_range_hash(disk, parts->boot.range);
    check->new_rootfs = sp_crash_disk_range_hash(disk, parts->rootfs.range);
    return (!boot || begins_with(check, disk, &parts->boot, boot, error)) &&
           (!rootfs || begins_with(check, disk, &parts->rootfs, rootfs, error));
}

static bool fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static bool fail(GError **error, const char *format, ...)
{
    g_autofree char *reason = NULL;
    va_list args;

    va_start(args, format);
    reason = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error_literal(error, SP_ERROR, SP_ERROR_ASSERTION, reason);
    return false;
}

static const char *describe(SpDiskHash hash, SpDiskHash whole)
{
    if (sp_disk_hash_equal(hash, whole))
        return "new";
    return sp_disk_hash_is_base(hash) ? "old" : "partly written";
}

/* @data is NULL where it was not looked at. */
static const char *classify(SpSlotsCheck *check, const SpVerdict *verdict, const SpVerdict *data,
    const char *boot, const char *rootfs)
{
    const SpBootDecision *decision = &verdict->decision;
    const struct sp_boot_slot *slots = decision->state.slot;
    enum sp_slot target = other(check->old);
    char *text =
        verdict->error
            ? g_strdup("the state partition can't be read")
            : g_strdup_printf("%s boots; %s: %u attempts, %s, boot %s, rootfs %s%s%s",
                  sp_slot_bootname(decision->slot), sp_slot_bootname(target), slots[target].left,
                  slots[target].is_good ? "good" : "not good", boot, rootfs,
                  decision->source == SP_BOOT_FROM_FILE ? "" : "; state lost",
                  data && data->is_data_rolled_back ? "; what was synced to data last is lost"
                                                    : "");
    char *known;

    if (g_hash_table_lookup_extended(check->classes, text, (void **)&known, NULL)) {
        g_free(text);
        return known;
    }
    g_hash_table_add(check->classes, text);
    return text;
}

static bool is_untouched(const SpSlotsCheck *check, const SpCrashDisk *disk, GError **error)
{
    const SlotParts *old = &check->slots[check->old];

    if (!sp_disk_hash_is_base(sp_crash_disk_range_hash(disk, check->table.range)) ||
        !sp_disk_hash_is_base(sp_crash_disk_range_hash(disk, check->table_copy.range)))
        return fail(error, "the partition table was written to");
    if (!sp_disk_hash_is_base(sp_crash_disk_range_hash(disk, old->boot.range)) ||
        !sp_disk_hash_is_base(sp_crash_disk_range_hash(disk, old->rootfs.range)))
        return fail(error, "slot %s, which ran, was written to", sp_slot_bootname(check->old));
    return true;
}

static bool boots(const SpSlotsCheck *check, const SpBootDecision *decision, guint happened,
    const char *boot, const char *rootfs, GError **error)
{
    enum sp_slot target = other(check->old);

    if (decision->source != SP_BOOT_FROM_FILE)
        return fail(error, "the boot state is torn or missing: it was not replaced as a whole");
    if (!decision->is_whole)
        return fail(error, "the boot state is torn, and the selector trusts it all the same");
    if (decision->slot == SP_SLOT_NONE)
        return fail(error, "no slot boots");
    if (happened & SP_SLOTS_INSTALLED && decision->slot != target)
        return fail(error, "the installation had ended, and slot %s boots all the same",
            sp_slot_bootname(decision->slot));
    if (happened & SP_SLOTS_STARTED && decision->state.slot[target].left == SP_BOOT_ATTEMPTS &&
        !decision->state.slot[target].is_good)
        return fail(error, "slot %s was started, and no attempt was taken off before",
            sp_slot_bootname(target));
    if (decision->slot == target && !(g_str_equal(boot, "new") && g_str_equal(rootfs, "new")))
        return fail(error, "slot %s boots, but its boot partition is %s and its rootfs %s",
            sp_slot_bootname(target), boot, rootfs);
    return true;
}

void sp_slots_check_count(SpSlotsCheck *check, const SpCrashDisk *disk)
{
    SpDiskHash hash = sp_crash_disk_range_hash(disk, check->data);

    if (!g_hash_table_contains(check->data_contents, &hash))
        g_hash_table_add(check->data_contents, g_memdup2(&hash, sizeof hash));
}

static int compare_hashes(const void *a, const void *b)
{
    return memcmp(*(void *const *)a, *(void *const *)b, sizeof(SpDiskHash));
}

void sp_slots_check_choose_data(SpSlotsCheck *check, guint number, guint32 seed)
{
    GRand *rand = g_rand_new_with_seed(seed);
    guint count;
    g_autofree void **contents = g_hash_table_get_keys_as_array(check->data_contents, &count);

    /* a table's order is not the same on each machine */
    qsort(contents, count, sizeof *contents, compare_hashes);
    for (guint i = 0; i < MIN(number, count); i++) {
        guint other_one = (guint)g_rand_int_range(rand, (gint32)i, (gint32)count);
        void *chosen = contents[other_one];

        contents[other_one] = contents[i];
        g_hash_table_add(check->data_chosen, chosen);
    }
    g_rand_free(rand);
}

static bool is_data_chosen(const SpSlotsCheck *check, const SpCrashDisk *disk)
{
    SpDiskHash hash = sp_crash_disk_range_hash(disk, check->data);

    return g_hash_table_contains(check->data_chosen, &hash);
}

void sp_slots_check_prepare(SpSlotsCheck *check, const SpCrashDisk *disk)
{
    sp_verdicts_prepare(check->state_verdicts, disk);
    if (is_data_chosen(check, disk))
        sp_verdicts_prepare(check->data_verdicts, disk);
}

static bool is_good(const SpVerdict *verdict, GError **error)
{
    if (verdict->error)
        g_propagate_error(error, g_error_copy(verdict->error));
    return !verdict->error;
}

bool sp_slots_check_state(SpSlotsCheck *check, const SpCrashDisk *disk, guint happened,
    const char **ret_class, GError **error)
{
    const SlotParts *target = &check->slots[other(check->old)];
    const char *boot =
        describe(sp_crash_disk_range_hash(disk, target->boot.range), check->new_boot);
    const char *rootfs =
        describe(sp_crash_disk_range_hash(disk, target->rootfs.range), check->new_rootfs);
    const SpVerdict *verdict = sp_verdicts_get(check->state_verdicts, disk);
    const SpVerdict *data =
        is_data_chosen(check, disk) ? sp_verdicts_get(check->data_verdicts, disk) : NULL;

    *ret_class = classify(check, verdict, data, boot, rootfs);
    return is_untouched(check, disk, error) && is_good(verdict, error) &&
           boots(check, &verdict->decision, happened, boot, rootfs, error) &&
           (!data || is_good(data, error));
}

SpSlotsCounts sp_slots_check_counts(const SpSlotsCheck *check)
{
    return (SpSlotsCounts){
        .states = sp_verdicts_count(check->state_verdicts),
        .data = g_hash_table_size(check->data_contents),
        .data_checked = sp_verdicts_count(check->data_verdicts),
    };
}
