/* SPDX-License-Identifier: MIT */
#include "powercut/slots-check.h"

#include "base/error.h"
#include "powercut/partitions.h"
#include "powercut/state-partition.h"

#include <string.h>

#define CHUNK (1024u * 1024u)

typedef struct {
    guint64 offset, length;
    guint range;
} Part;

typedef struct {
    Part boot, rootfs;
} SlotParts;

/* What was found of one content of the state partition. */
typedef struct {
    SpDiskHash hash; /* the key */
    SpBootDecision decision;
    GError *error; /* or NULL */
} Decided;

struct SpSlotsCheck {
    SlotParts slots[SP_SLOT_COUNT];
    Part state, data, table, table_copy;
    enum sp_slot old; /* the one that ran */
    SpDiskHash new_boot, new_rootfs;
    guint8 *bytes;       /* room for the state partition */
    GHashTable *decided; /* of Decided */
    GHashTable *classes; /* of char * */
};

static bool is_base(SpDiskHash hash)
{
    return hash.low == 0 && hash.high == 0;
}

static bool is_same(SpDiskHash a, SpDiskHash b)
{
    return a.low == b.low && a.high == b.high;
}

static guint hash_decided(const void *key)
{
    return (guint)((const Decided *)key)->hash.low;
}

static gboolean decided_equal(const void *a, const void *b)
{
    return is_same(((const Decided *)a)->hash, ((const Decided *)b)->hash);
}

static void decided_free(void *data)
{
    Decided *decided = data;

    g_clear_error(&decided->error);
    g_free(decided);
}

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

static bool find_all(SpSlotsCheck *check, SpCrashDisk *disk, const char *path, GError **error)
{
    g_autoptr(GPtrArray) partitions = sp_partitions_read(path, error);
    const SpPartition *first, *last;

    if (!partitions || !find(partitions, disk, "state", &check->state, error) ||
        !find(partitions, disk, "boot-a", &check->slots[SP_SLOT_A].boot, error) ||
        !find(partitions, disk, "rootfs-a", &check->slots[SP_SLOT_A].rootfs, error) ||
        !find(partitions, disk, "boot-b", &check->slots[SP_SLOT_B].boot, error) ||
        !find(partitions, disk, "rootfs-b", &check->slots[SP_SLOT_B].rootfs, error) ||
        !find(partitions, disk, "data", &check->data, error))
        return false;
    first = g_ptr_array_index(partitions, 0);
    last = g_ptr_array_index(partitions, partitions->len - 1);
    check->table = add_rest(disk, 0, first->offset);
    check->table_copy = add_rest(disk, last->offset + last->length, sp_crash_disk_size(disk));
    return true;
}

static const Decided *decide(SpSlotsCheck *check, SpCrashDisk *disk)
{
    Decided key = {.hash = sp_crash_disk_range_hash(disk, check->state.range)};
    Decided *decided = g_hash_table_lookup(check->decided, &key);

    if (decided)
        return decided;
    decided = g_memdup2(&key, sizeof key);
    sp_crash_disk_read(disk, check->state.offset, check->state.length, check->bytes);
    sp_state_partition_decide(
        check->bytes, check->state.length, &decided->decision, &decided->error);
    g_hash_table_add(check->decided, decided);
    return decided;
}

SpSlotsCheck *sp_slots_check_new(SpCrashDisk *disk, const char *path, GError **error)
{
    g_autoptr(SpSlotsCheck) check = g_new0(SpSlotsCheck, 1);
    const Decided *decided;

    check->decided = g_hash_table_new_full(hash_decided, decided_equal, NULL, decided_free);
    check->classes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    if (!find_all(check, disk, path, error))
        return NULL;
    check->bytes = g_malloc(check->state.length);
    decided = decide(check, disk);
    if (decided->error) {
        g_propagate_error(error, g_error_copy(decided->error));
        return NULL;
    }
    check->old = decided->decision.slot;
    if (check->old == SP_SLOT_NONE) {
        g_set_error_literal(error, SP_ERROR, SP_ERROR_USAGE,
            "no slot boots from the disk even before the first write");
        return NULL;
    }
    return g_steal_pointer(&check);
}

void sp_slots_check_free(SpSlotsCheck *check)
{
    if (!check)
        return;
    g_hash_table_unref(check->decided);
    g_hash_table_unref(check->classes);
    g_free(check->bytes);
    g_free(check);
}

static enum sp_slot other(enum sp_slot slot)
{
    return slot == SP_SLOT_A ? SP_SLOT_B : SP_SLOT_A;
}

static bool begins_with(const SpCrashDisk *disk, const Part *part, const char *path, GError **error)
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
    return (!boot || begins_with(disk, &parts->boot, boot, error)) &&
           (!rootfs || begins_with(disk, &parts->rootfs, rootfs, error));
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
    return is_same(hash, whole) ? "new" : is_base(hash) ? "old" : "partly written";
}

static const char *classify(
    SpSlotsCheck *check, const Decided *decided, const char *boot, const char *rootfs)
{
    const SpBootDecision *decision = &decided->decision;
    const struct sp_boot_slot *slots = decision->state.slot;
    enum sp_slot target = other(check->old);
    char *text = decided->error
                     ? g_strdup("the state partition can't be read")
                     : g_strdup_printf("%s boots; %s: %u attempts, %s, boot %s, rootfs %s%s",
                           sp_slot_bootname(decision->slot), sp_slot_bootname(target),
                           slots[target].left, slots[target].is_good ? "good" : "not good", boot,
                           rootfs, decision->source == SP_BOOT_FROM_FILE ? "" : "; state lost");
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

    if (!is_base(sp_crash_disk_range_hash(disk, check->table.range)) ||
        !is_base(sp_crash_disk_range_hash(disk, check->table_copy.range)))
        return fail(error, "the partition table was written to");
    if (!is_base(sp_crash_disk_range_hash(disk, old->boot.range)) ||
        !is_base(sp_crash_disk_range_hash(disk, old->rootfs.range)))
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

bool sp_slots_check_state(
    SpSlotsCheck *check, SpCrashDisk *disk, guint happened, const char **ret_class, GError **error)
{
    const SlotParts *target = &check->slots[other(check->old)];
    const char *boot =
        describe(sp_crash_disk_range_hash(disk, target->boot.range), check->new_boot);
    const char *rootfs =
        describe(sp_crash_disk_range_hash(disk, target->rootfs.range), check->new_rootfs);
    const Decided *decided = decide(check, disk);

    *ret_class = classify(check, decided, boot, rootfs);
    if (!is_untouched(check, disk, error))
        return false;
    if (decided->error) {
        g_propagate_error(error, g_error_copy(decided->error));
        return false;
    }
    return boots(check, &decided->decision, happened, boot, rootfs, error);
}

guint sp_slots_check_looked(const SpSlotsCheck *check)
{
    return g_hash_table_size(check->decided);
}

SpDiskHash sp_slots_check_data_hash(const SpSlotsCheck *check, const SpCrashDisk *disk)
{
    return sp_crash_disk_range_hash(disk, check->data.range);
}
