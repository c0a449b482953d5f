/* SPDX-License-Identifier: MIT */

/* A crash state made again by its name. */

#include "base/error.h"
#include "powercut/crash-states.h"
#include "powercut/epoch.h"

#include <string.h>

typedef struct {
    char kind;
    guint entry;
    guint64 detail;
} Name;

static bool parse_name(const char *text, Name *ret_name)
{
    bool has_detail = *text && strchr("dtxhuyvsr", *text);
    char *end;

    if (!*text || !strchr("podtxhuyvsr", *text) || !g_ascii_isdigit(text[1]))
        return false;
    ret_name->kind = *text;
    ret_name->entry = (guint)MIN(g_ascii_strtoull(text + 1, &end, 10), G_MAXUINT);
    ret_name->detail = 0;
    if (has_detail) {
        if (*end != '.' || !g_ascii_isxdigit(end[1]))
            return false;
        ret_name->detail = g_ascii_strtoull(end + 1, &end, *text == 's' ? 16 : 10);
    }
    return *end == '\0';
}

static bool is_of_log(const SpEpochs *epochs, const Name *name)
{
    guint begin, size;

    if (name->kind == 'p')
        return name->entry <= epochs->count;
    if (name->kind == 'd')
        return name->entry <= epochs->count && name->detail < name->entry &&
               name->detail >= sp_epoch_begin(epochs, name->entry - 1);
    if (name->entry >= epochs->count)
        return false;
    begin = sp_epoch_begin(epochs, name->entry);
    size = sp_epoch_from(epochs, begin).end - begin;
    switch (name->kind) {
    case 's':
        return name->entry == begin && size <= SP_SUBSETS_LIMIT && name->detail >> size == 0;
    case 'r':
        return name->entry == begin && name->detail <= G_MAXUINT;
    case 'v':
        return name->detail < name->entry && name->detail >= begin;
    case 'h':
        return name->detail <= G_MAXUINT;
    default:
        return name->detail <= sp_epoch_sectors(epochs, name->entry);
    }
}

static bool make(const SpEpochs *epochs, SpCrashDisk *disk, const Name *name, GError **error)
{
    bool is_prefix = strchr("pdtxhv", name->kind) != NULL;
    guint before = is_prefix ? name->entry : sp_epoch_begin(epochs, name->entry);
    const SpLogEntry *entry = epochs->entries + name->entry;

    for (guint i = 0; i < before; i++) {
        if (!sp_task_step(epochs->options->task, "making the state", i, before, error))
            return false;
        if (name->kind != 'd' || i != name->detail)
            sp_epoch_apply(epochs, disk, i);
    }
    switch (name->kind) {
    case 'o':
        sp_epoch_apply(epochs, disk, name->entry);
        break;
    case 't':
    case 'u':
        sp_crash_disk_apply(disk, entry, 0, name->detail);
        break;
    case 'x':
    case 'y':
        sp_crash_disk_apply(disk, entry, name->detail, G_MAXUINT64);
        break;
    case 'h':
        sp_epoch_apply_sectors(epochs, disk, name->entry, (guint)name->detail);
        break;
    case 'v':
        sp_epoch_apply(epochs, disk, name->entry);
        sp_epoch_apply(epochs, disk, (guint)name->detail);
        break;
    case 's':
        sp_epoch_apply_mask(epochs, disk, sp_epoch_from(epochs, name->entry), (guint)name->detail);
        break;
    case 'r':
        sp_epoch_apply_sample(
            epochs, disk, sp_epoch_from(epochs, name->entry), (guint)name->detail);
        break;
    default:
        break;
    }
    return true;
}

bool sp_crash_state_make(SpCrashDisk *disk, const SpWriteLog *log, const SpCrashOptions *options,
    const char *text, GError **error)
{
    SpEpochs epochs = sp_epochs(log, options);
    Name name;

    if (!parse_name(text, &name) || !is_of_log(&epochs, &name)) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "'%s' is no state of this log of %u entries",
            text, epochs.count);
        return false;
    }
    if (!make(&epochs, disk, &name, error))
        return false;
    sp_crash_disk_settle(disk);
    return true;
}
