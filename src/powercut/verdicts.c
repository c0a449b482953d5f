/* SPDX-License-Identifier: MIT */
#include "powercut/verdicts.h"

typedef struct {
    SpVerdict verdict; /* its hash, the first field, is the key */
    SpProbeCopy *copy; /* both NULL once the verdict is there */
    SpProbe *probe;
} Asked;

struct SpVerdicts {
    const SpVerdictFuncs *funcs;
    guint64 offset, length;
    guint range, jobs;
    const SpTask *task;
    GHashTable *asked; /* of Asked */
    GQueue running;    /* Asked with a probe, the oldest first; not owned */
    GQueue idle;       /* of SpProbeCopy */
};

static void asked_free(void *data)
{
    Asked *asked = data;

    sp_probe_free(asked->probe);
    sp_probe_copy_free(asked->copy);
    g_clear_error(&asked->verdict.error);
    g_free(asked);
}

SpVerdicts *sp_verdicts_new(const SpVerdictFuncs *funcs, guint64 offset, guint64 length,
    guint range, guint jobs, const SpTask *task)
{
    SpVerdicts *verdicts = g_new0(SpVerdicts, 1);

    verdicts->funcs = funcs;
    verdicts->offset = offset;
    verdicts->length = length;
    verdicts->range = range;
    verdicts->jobs = MAX(jobs, 1);
    verdicts->task = task;
    verdicts->asked =
        g_hash_table_new_full(sp_disk_hash_key, sp_disk_hash_keys_equal, NULL, asked_free);
    g_queue_init(&verdicts->running);
    g_queue_init(&verdicts->idle);
    return verdicts;
}

void sp_verdicts_free(SpVerdicts *verdicts)
{
    if (!verdicts)
        return;
    g_queue_clear(&verdicts->running);
    g_queue_clear_full(&verdicts->idle, (GDestroyNotify)sp_probe_copy_free);
    g_hash_table_unref(verdicts->asked);
    g_free(verdicts);
}

static void finish(SpVerdicts *verdicts, Asked *asked)
{
    if (!asked->probe)
        return;
    g_queue_remove(&verdicts->running, asked);
    (void)verdicts->funcs->finish(
        asked->probe, &verdicts->task->interrupt, &asked->verdict, &asked->verdict.error);
    g_clear_pointer(&asked->probe, sp_probe_free);
    g_queue_push_tail(&verdicts->idle, g_steal_pointer(&asked->copy));
}

static void start(SpVerdicts *verdicts, const SpCrashDisk *disk, Asked *asked)
{
    GError **error = &asked->verdict.error;

    asked->copy = g_queue_pop_head(&verdicts->idle);
    if (!asked->copy)
        asked->copy =
            sp_probe_copy_new(disk, verdicts->offset, verdicts->length, verdicts->task, error);
    if (!asked->copy)
        return;
    asked->probe = verdicts->funcs->start(asked->copy, error);
    if (asked->probe)
        g_queue_push_tail(&verdicts->running, asked);
    else
        g_queue_push_tail(&verdicts->idle, g_steal_pointer(&asked->copy));
}

static Asked *ask(SpVerdicts *verdicts, const SpCrashDisk *disk)
{
    SpDiskHash hash = sp_crash_disk_range_hash(disk, verdicts->range);
    Asked *asked = g_hash_table_lookup(verdicts->asked, &hash);

    if (asked)
        return asked;
    if (g_queue_get_length(&verdicts->running) >= verdicts->jobs)
        finish(verdicts, g_queue_peek_head(&verdicts->running));
    asked = g_new0(Asked, 1);
    asked->verdict.hash = hash;
    start(verdicts, disk, asked);
    g_hash_table_add(verdicts->asked, asked);
    return asked;
}

void sp_verdicts_prepare(SpVerdicts *verdicts, const SpCrashDisk *disk)
{
    (void)ask(verdicts, disk);
}

const SpVerdict *sp_verdicts_get(SpVerdicts *verdicts, const SpCrashDisk *disk)
{
    Asked *asked = ask(verdicts, disk);

    finish(verdicts, asked);
    return &asked->verdict;
}

guint sp_verdicts_count(const SpVerdicts *verdicts)
{
    return g_hash_table_size(verdicts->asked);
}
