/* SPDX-License-Identifier: MIT */

/* Epochs, and the random choices in them. */

#include "powercut/epoch.h"

/* One write of this many in a sample is torn. */
#define TORN_ONE_IN 8

/* The uses of generators, so that no two are the same. */
enum { FOR_SAMPLES = 0, FOR_TEARS = 1, FOR_SECTORS = 2 };

SpEpochs sp_epochs(const SpWriteLog *log, const SpCrashOptions *options)
{
    SpEpochs epochs = {.options = options};

    epochs.entries = sp_write_log_entries(log, &epochs.count);
    return epochs;
}

SpEpoch sp_epoch_from(const SpEpochs *epochs, guint first)
{
    SpEpoch epoch = {first, first};

    while (epoch.end < epochs->count && epochs->entries[epoch.end].kind != SP_LOG_FLUSH &&
           (epoch.end == first || !epochs->entries[epoch.end].begins_epoch))
        epoch.end++;
    return epoch;
}

guint sp_epoch_begin(const SpEpochs *epochs, guint entry)
{
    while (entry > 0 && !epochs->entries[entry].begins_epoch)
        entry--;
    return entry;
}

guint sp_epoch_next(const SpEpochs *epochs, SpEpoch epoch)
{
    bool is_flush = epoch.end < epochs->count && epochs->entries[epoch.end].kind == SP_LOG_FLUSH;

    return is_flush ? epoch.end + 1 : epoch.end;
}

guint64 sp_epoch_sectors(const SpEpochs *epochs, guint entry)
{
    return epochs->entries[entry].length / SP_DISK_SECTOR;
}

/* Each choice has its own generator, so that it can be repeated without the others. */
static GRand *rand_of(const SpEpochs *epochs, guint use, guint entry, guint number)
{
    const guint32 seed[] = {epochs->options->seed, use, entry, number};

    return g_rand_new_with_seed_array(seed, G_N_ELEMENTS(seed));
}

/* From 1 up to, not including, @n. */
static guint64 place_within(GRand *rand, guint64 n)
{
    return 1 + (guint64)(g_rand_double(rand) * (double)(n - 1));
}

void sp_epoch_apply(const SpEpochs *epochs, SpCrashDisk *disk, guint entry)
{
    sp_crash_disk_apply(disk, &epochs->entries[entry], 0, G_MAXUINT64);
}

void sp_epoch_apply_sectors(const SpEpochs *epochs, SpCrashDisk *disk, guint entry, guint number)
{
    GRand *rand = rand_of(epochs, FOR_SECTORS, entry, number);
    guint64 n = sp_epoch_sectors(epochs, entry), step = n / 64 + 1;

    /* whole runs of long ones */
    for (guint64 i = 0; i < n; i += step) {
        if (g_rand_boolean(rand))
            sp_crash_disk_apply(disk, &epochs->entries[entry], i, i + step);
    }
    g_rand_free(rand);
}

void sp_epoch_apply_mask(const SpEpochs *epochs, SpCrashDisk *disk, SpEpoch epoch, guint mask)
{
    for (guint i = epoch.first; i < epoch.end; i++) {
        if (mask >> (i - epoch.first) & 1)
            sp_epoch_apply(epochs, disk, i);
    }
}

static void apply_torn(const SpEpochs *epochs, SpCrashDisk *disk, guint entry, GRand *rand)
{
    guint64 place = place_within(rand, sp_epoch_sectors(epochs, entry));

    if (g_rand_boolean(rand))
        sp_crash_disk_apply(disk, &epochs->entries[entry], 0, place);
    else
        sp_crash_disk_apply(disk, &epochs->entries[entry], place, G_MAXUINT64);
}

void sp_epoch_apply_sample(const SpEpochs *epochs, SpCrashDisk *disk, SpEpoch epoch, guint number)
{
    GRand *rand = rand_of(epochs, FOR_SAMPLES, epoch.first, number);
    double share = g_rand_double(rand);

    for (guint i = epoch.first; i < epoch.end; i++) {
        if (g_rand_double(rand) >= share)
            continue;
        if (g_rand_int_range(rand, 0, TORN_ONE_IN) == 0 && sp_epoch_sectors(epochs, i) > 1)
            apply_torn(epochs, disk, i, rand);
        else
            sp_epoch_apply(epochs, disk, i);
    }
    g_rand_free(rand);
}

GArray *sp_epoch_tears(const SpEpochs *epochs, guint entry)
{
    GArray *places = g_array_new(FALSE, FALSE, sizeof(guint64));
    guint64 n = sp_epoch_sectors(epochs, entry), last = n - 1, first = 1;
    GRand *rand;

    if (n < 2)
        return places;
    if (n <= epochs->options->tears_max) {
        for (guint64 place = 1; place < n; place++)
            g_array_append_val(places, place);
        return places;
    }
    g_array_append_val(places, first);
    g_array_append_val(places, last);
    rand = rand_of(epochs, FOR_TEARS, entry, 0);
    for (guint i = 0; i < epochs->options->tear_samples; i++) {
        guint64 place = place_within(rand, n);

        g_array_append_val(places, place);
    }
    g_rand_free(rand);
    return places;
}
