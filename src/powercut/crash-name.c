/* SPDX-License-Identifier: MIT */

/* The kinds of crash states in one table; names; a state made again by its name. */

#include "powercut/crash-name.h"

#include "base/error.h"
#include "powercut/crash-states.h"

#include <string.h>

static void apply_nothing(const SpCrashName *name, const SpEpochs *epochs, SpCrashDisk *disk)
{
}

static void apply_entry(const SpCrashName *name, const SpEpochs *epochs, SpCrashDisk *disk)
{
    sp_epoch_apply(epochs, disk, name->entry);
}

static void apply_first_sectors(const SpCrashName *name, const SpEpochs *epochs, SpCrashDisk *disk)
{
    sp_crash_disk_apply(disk, epochs->entries + name->entry, 0, name->detail);
}

static void apply_last_sectors(const SpCrashName *name, const SpEpochs *epochs, SpCrashDisk *disk)
{
    sp_crash_disk_apply(disk, epochs->entries + name->entry, name->detail, G_MAXUINT64);
}

static void apply_some_sectors(const SpCrashName *name, const SpEpochs *epochs, SpCrashDisk *disk)
{
    sp_epoch_apply_sectors(epochs, disk, name->entry, (guint)name->detail);
}

static void apply_overlap(const SpCrashName *name, const SpEpochs *epochs, SpCrashDisk *disk)
{
    sp_epoch_apply(epochs, disk, name->entry);
    sp_epoch_apply(epochs, disk, (guint)name->detail);
}

static void apply_subset(const SpCrashName *name, const SpEpochs *epochs, SpCrashDisk *disk)
{
    sp_epoch_apply_mask(epochs, disk, sp_epoch_from(epochs, name->entry), (guint)name->detail);
}

static void apply_sample(const SpCrashName *name, const SpEpochs *epochs, SpCrashDisk *disk)
{
    sp_epoch_apply_sample(epochs, disk, sp_epoch_from(epochs, name->entry), (guint)name->detail);
}

/* What the number behind the dot is. */
typedef enum {
    DETAIL_NONE,
    DETAIL_SECTOR, /* of the entry */
    DETAIL_NUMBER, /* of a random choice */
    DETAIL_ENTRY,  /* an earlier one of the same epoch */
    DETAIL_MASK,   /* of the epoch's entries, hexadecimal */
} Detail;

static const struct {
    char letter;
    Detail detail;
    bool is_after_prefix; /* after the entries before N; else after the epoch's begin */
    bool is_of_epoch;     /* the number before the dot is the first entry of an epoch */
    bool counts_entries;  /* N entries are there: as many as the log has are possible */
    void (*apply)(const SpCrashName *name, const SpEpochs *epochs, SpCrashDisk *disk);
} kinds[SP_CRASH_KINDS] = {
    [SP_CRASH_PREFIX] = {'p', DETAIL_NONE, true, false, true, apply_nothing},
    [SP_CRASH_DELAYED] = {'d', DETAIL_ENTRY, true, false, true, apply_nothing},
    [SP_CRASH_ALONE] = {'o', DETAIL_NONE, false, false, false, apply_entry},
    [SP_CRASH_TORN] = {'t', DETAIL_SECTOR, true, false, false, apply_first_sectors},
    [SP_CRASH_TORN_REST] = {'x', DETAIL_SECTOR, true, false, false, apply_last_sectors},
    [SP_CRASH_HOLES] = {'h', DETAIL_NUMBER, true, false, false, apply_some_sectors},
    [SP_CRASH_ALONE_TORN] = {'u', DETAIL_SECTOR, false, false, false, apply_first_sectors},
    [SP_CRASH_ALONE_TORN_REST] = {'y', DETAIL_SECTOR, false, false, false, apply_last_sectors},
    [SP_CRASH_OVERLAP] = {'v', DETAIL_ENTRY, true, false, false, apply_overlap},
    [SP_CRASH_SUBSET] = {'s', DETAIL_MASK, false, true, false, apply_subset},
    [SP_CRASH_SAMPLE] = {'r', DETAIL_NUMBER, false, true, false, apply_sample},
};

void sp_crash_name_format(const SpCrashName *name, char buffer[SP_CRASH_NAME_SIZE])
{
    char letter = kinds[name->kind].letter;

    switch (kinds[name->kind].detail) {
    case DETAIL_NONE:
        g_snprintf(buffer, SP_CRASH_NAME_SIZE, "%c%u", letter, name->entry);
        break;
    case DETAIL_MASK:
        g_snprintf(buffer, SP_CRASH_NAME_SIZE, "%c%u.%" G_GINT64_MODIFIER "x", letter, name->entry,
            name->detail);
        break;
    default:
        g_snprintf(buffer, SP_CRASH_NAME_SIZE, "%c%u.%" G_GUINT64_FORMAT, letter, name->entry,
            name->detail);
        break;
    }
}

static bool find_crash_kind(char letter, SpCrashKind *ret_kind)
{
    for (guint i = 0; i < SP_CRASH_KINDS; i++) {
        if (kinds[i].letter != letter)
            continue;
        *ret_kind = (SpCrashKind)i;
        return true;
    }
    return false;
}

bool sp_crash_name_parse(const char *text, SpCrashName *ret_name)
{
    SpCrashName name = {.detail = 0};
    guint base;
    char *end;

    if (!find_crash_kind(*text, &name.kind) || !g_ascii_isdigit(text[1]))
        return false;
    name.entry = (guint)MIN(g_ascii_strtoull(text + 1, &end, 10), G_MAXUINT);
    if (kinds[name.kind].detail != DETAIL_NONE) {
        base = kinds[name.kind].detail == DETAIL_MASK ? 16 : 10;
        if (*end != '.' || !(base == 16 ? g_ascii_isxdigit(end[1]) : g_ascii_isdigit(end[1])))
            return false;
        name.detail = g_ascii_strtoull(end + 1, &end, base);
    }
    if (*end != '\0')
        return false;
    *ret_name = name;
    return true;
}

bool sp_crash_name_is_of(const SpCrashName *name, const SpEpochs *epochs)
{
    guint begin, size, entry = name->entry;

    if (kinds[name->kind].counts_entries) {
        if (entry > epochs->count || kinds[name->kind].detail == DETAIL_NONE)
            return entry <= epochs->count;
        return name->detail < entry && name->detail >= sp_epoch_begin(epochs, entry - 1);
    }
    if (entry >= epochs->count)
        return false;
    begin = sp_epoch_begin(epochs, entry);
    size = sp_epoch_from(epochs, begin).end - begin;
    if (kinds[name->kind].is_of_epoch && entry != begin)
        return false;
    switch (kinds[name->kind].detail) {
    case DETAIL_MASK:
        return size <= SP_SUBSETS_LIMIT && name->detail >> size == 0;
    case DETAIL_NUMBER:
        return name->detail <= G_MAXUINT;
    case DETAIL_ENTRY:
        return name->detail < entry && name->detail >= begin;
    default:
        return name->detail <= sp_epoch_sectors(epochs, entry);
    }
}

guint sp_crash_name_before(const SpCrashName *name, const SpEpochs *epochs)
{
    return kinds[name->kind].is_after_prefix ? name->entry : sp_epoch_begin(epochs, name->entry);
}

void sp_crash_name_apply(const SpCrashName *name, const SpEpochs *epochs, SpCrashDisk *disk)
{
    kinds[name->kind].apply(name, epochs, disk);
}

static bool make_state(
    const SpCrashName *name, const SpEpochs *epochs, SpCrashDisk *disk, GError **error)
{
    guint before = sp_crash_name_before(name, epochs);

    for (guint i = 0; i < before; i++) {
        if (!sp_task_step(epochs->options->task, "making the state", i, before, error))
            return false;
        if (name->kind != SP_CRASH_DELAYED || i != name->detail)
            sp_epoch_apply(epochs, disk, i);
    }
    sp_crash_name_apply(name, epochs, disk);
    return true;
}

bool sp_crash_state_make(SpCrashDisk *disk, const SpWriteLog *log, const SpCrashOptions *options,
    const char *text, GError **error)
{
    SpEpochs epochs = sp_epochs(log, options);
    SpCrashName name;

    if (!sp_crash_name_parse(text, &name) || !sp_crash_name_is_of(&name, &epochs)) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "'%s' is not a state of this log of %u entries", text, epochs.count);
        return false;
    }
    if (!make_state(&name, &epochs, disk, error))
        return false;
    sp_crash_disk_settle(disk);
    return true;
}
