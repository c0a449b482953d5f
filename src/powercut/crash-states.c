/* SPDX-License-Identifier: MIT */

/* The enumeration of crash states, epoch by epoch. */

#include "powercut/crash-states.h"

#include "powercut/crash-name.h"
#include "powercut/epoch.h"

#include <string.h>

const SpCrashOptions sp_crash_options = {.subsets_max = 10,
    .samples = 256,
    .delays = 4,
    .tears_max = 16,
    .tear_samples = 4,
    .doing = "going through states"};

/* A state's identity. */
typedef struct {
    SpDiskHash hash; /* the key's first field */
    guint stage;     /* milestones that were reached */
} Key;

typedef struct {
    SpEpochs epochs;
    SpEpoch epoch; /* where it stands */
    SpCrashDisk *disk;
    int range;
    SpCrashFunc func;
    void *data;
    GHashTable *seen; /* of Key */
    SpCrashCounts counts;
} Walk;

static gboolean keys_equal(const void *a, const void *b)
{
    return sp_disk_hash_keys_equal(a, b) && ((const Key *)a)->stage == ((const Key *)b)->stage;
}

static guint stage_of(const SpCrashOptions *options, guint latest)
{
    guint stage = 0;

    for (guint i = 0; i < SP_CRASH_MILESTONES; i++)
        stage += options->milestones[i] > 0 && latest >= options->milestones[i];
    return stage;
}

/* The disk is in the state @name now. */
static bool visit_state(Walk *walk, guint at, SpCrashName name)
{
    const SpEpochs *epochs = &walk->epochs;
    SpDiskHash hash = walk->range < 0 ? sp_crash_disk_hash(walk->disk)
                                      : sp_crash_disk_range_hash(walk->disk, (guint)walk->range);
    Key key = {.hash = hash, .stage = stage_of(epochs->options, walk->epoch.end)};
    char text[SP_CRASH_NAME_SIZE];
    SpCrashState state = {.name = text,
        .at = at,
        .latest = walk->epoch.end,
        .is_plain = name.kind == SP_CRASH_PREFIX};

    if (!sp_task_step(epochs->options->task, epochs->options->doing, walk->counts.seen,
            epochs->options->expected, NULL))
        return false;
    walk->counts.seen++;
    if (g_hash_table_contains(walk->seen, &key))
        return true;
    g_hash_table_add(walk->seen, g_memdup2(&key, sizeof key));
    walk->counts.distinct++;
    sp_crash_name_format(&name, text);
    return walk->func(&state, walk->disk, walk->data);
}

/* The disk has what comes before the state: make it, visit it, and undo it. */
static bool visit(Walk *walk, guint at, SpCrashKind kind, guint entry, guint64 detail)
{
    SpCrashName name = {kind, entry, detail};
    gsize mark = sp_crash_disk_mark(walk->disk);
    bool goes_on;

    sp_crash_name_apply(&name, &walk->epochs, walk->disk);
    goes_on = visit_state(walk, at, name);
    sp_crash_disk_undo(walk->disk, mark);
    return goes_on;
}

/* The first sectors of an entry, or the last: as @first and @rest are called. */
static bool visit_tears(Walk *walk, guint entry, SpCrashKind first, SpCrashKind rest)
{
    g_autoptr(GArray) places = sp_epoch_tears(&walk->epochs, entry);
    bool goes_on = true;

    for (guint i = 0; i < places->len && goes_on; i++) {
        guint64 place = g_array_index(places, guint64, i);

        goes_on = visit(walk, entry, first, entry, place) && visit(walk, entry, rest, entry, place);
    }
    return goes_on;
}

static bool visit_holes(Walk *walk, guint entry)
{
    guint count =
        sp_epoch_sectors(&walk->epochs, entry) > 2 ? walk->epochs.options->tear_samples : 0;
    bool goes_on = true;

    for (guint i = 0; i < count && goes_on; i++)
        goes_on = visit(walk, entry, SP_CRASH_HOLES, entry, i);
    return goes_on;
}

static bool visit_subsets(Walk *walk)
{
    guint last = 1u << (walk->epoch.end - walk->epoch.first);
    bool goes_on = true;

    for (guint mask = 1; mask < last && goes_on; mask++)
        goes_on = visit(walk, walk->epoch.end, SP_CRASH_SUBSET, walk->epoch.first, mask);
    return goes_on;
}

static bool visit_survivors_and_samples(Walk *walk)
{
    guint first = walk->epoch.first;
    bool goes_on = true;

    for (guint i = first; i < walk->epoch.end && goes_on; i++)
        goes_on = visit(walk, i + 1, SP_CRASH_ALONE, i, 0);
    for (guint i = 0; i < walk->epochs.options->samples && goes_on; i++)
        goes_on = visit(walk, walk->epoch.end, SP_CRASH_SAMPLE, first, i);
    return goes_on;
}

/* @marks are where the disk stood before each entry of the epoch. */
static bool visit_without(Walk *walk, guint count, guint entry, const gsize *marks)
{
    const gsize *at = marks + (entry - walk->epoch.first);
    gsize mark = sp_crash_disk_mark(walk->disk);
    bool goes_on;

    sp_crash_disk_drop(walk->disk, &walk->epochs.entries[entry], at[0], at[1]);
    goes_on = visit_state(walk, count, (SpCrashName){SP_CRASH_DELAYED, count, entry});
    sp_crash_disk_undo(walk->disk, mark);
    return goes_on;
}

/* Those of this epoch that @entry, applied since @mark, covers in part may have come after it. */
static bool visit_overlaps(Walk *walk, guint entry, gsize mark)
{
    g_autoptr(GPtrArray) covered = sp_crash_disk_covered(walk->disk, mark);
    const SpLogEntry *first = &walk->epochs.entries[walk->epoch.first];
    bool goes_on = true;

    for (guint i = 0; i < covered->len && goes_on; i++) {
        const SpLogEntry *other = covered->pdata[i];

        /* entries are in one array */
        if (other >= first)
            goes_on = visit(
                walk, entry + 1, SP_CRASH_OVERLAP, entry, (guint)(other - walk->epochs.entries));
    }
    return goes_on;
}

/* Each of the last writes may arrive after the one that follows it. */
static bool visit_delays(Walk *walk, guint count, const gsize *marks)
{
    guint last = count - 1, delays = MIN(walk->epochs.options->delays, last - walk->epoch.first);
    bool goes_on = true;

    for (guint i = 1; i <= delays && goes_on; i++)
        goes_on = visit_without(walk, count, last - i, marks);
    return goes_on;
}

/* Write after write, each torn before it is whole. */
static bool visit_prefixes(Walk *walk)
{
    SpEpoch epoch = walk->epoch;
    g_autofree gsize *marks = g_new(gsize, epoch.end - epoch.first + 1);
    bool goes_on = true;

    marks[0] = 0;
    for (guint i = epoch.first; i < epoch.end && goes_on; i++) {
        gsize mark = sp_crash_disk_mark(walk->disk);

        if (!visit_tears(walk, i, SP_CRASH_TORN, SP_CRASH_TORN_REST) || !visit_holes(walk, i))
            return false;
        sp_epoch_apply(&walk->epochs, walk->disk, i);
        marks[i - epoch.first + 1] = sp_crash_disk_mark(walk->disk);
        goes_on = visit(walk, i + 1, SP_CRASH_PREFIX, i + 1, 0) && visit_overlaps(walk, i, mark) &&
                  visit_delays(walk, i + 1, marks);
    }
    for (guint i = epoch.first; i < epoch.end && goes_on; i++)
        goes_on = visit_without(walk, epoch.end, i, marks);
    return goes_on;
}

static bool visit_epoch(Walk *walk)
{
    guint size = walk->epoch.end - walk->epoch.first;
    bool is_small = size <= MIN(walk->epochs.options->subsets_max, SP_SUBSETS_LIMIT);
    bool goes_on = visit(walk, walk->epoch.first, SP_CRASH_PREFIX, walk->epoch.first, 0) &&
                   (is_small ? visit_subsets(walk) : visit_survivors_and_samples(walk));

    for (guint i = walk->epoch.first; i < walk->epoch.end && goes_on; i++)
        goes_on = visit_tears(walk, i, SP_CRASH_ALONE_TORN, SP_CRASH_ALONE_TORN_REST);
    goes_on = goes_on && visit_prefixes(walk);
    sp_crash_disk_settle(walk->disk);
    return goes_on;
}

bool sp_crash_states_each(SpCrashDisk *disk, const SpWriteLog *log, const SpCrashOptions *options,
    int range, SpCrashFunc func, void *data, SpCrashCounts *ret_counts)
{
    Walk walk = {.disk = disk, .range = range, .func = func, .data = data};
    bool goes_on;

    walk.epochs = sp_epochs(log, options);
    walk.epoch = sp_epoch_from(&walk.epochs, 0);
    walk.seen = g_hash_table_new_full(sp_disk_hash_key, keys_equal, g_free, NULL);
    goes_on = visit_epoch(&walk);
    while (goes_on && walk.epoch.end < walk.epochs.count) {
        walk.epoch = sp_epoch_from(&walk.epochs, sp_epoch_next(&walk.epochs, walk.epoch));
        goes_on = visit_epoch(&walk);
    }
    g_hash_table_unref(walk.seen);
    *ret_counts = walk.counts;
    return goes_on;
}
