/* SPDX-License-Identifier: MIT */
#include "powercut/crash-states.h"

#include "base/error.h"

#include <stdio.h>
#include <string.h>

#define SUBSETS_LIMIT 16u
#define NAME_SIZE 64

const SpCrashOptions sp_crash_options = {
    .subsets_max = 6, .samples = 16, .tears_max = 16, .tear_samples = 2, .seed = 0};

typedef struct {
    SpCrashDisk *disk;
    const SpLogEntry *entries;
    guint count;
    const SpCrashOptions *options;
    SpCrashFunc func;
    void *data;
    GHashTable *seen; /* of SpDiskHash */
    SpCrashCounts counts;
} Walk;

/* The entries of an epoch, its flush left out. */
typedef struct {
    guint first, end;
} Epoch;

static guint hash_of_hash(const void *key)
{
    return (guint)((const SpDiskHash *)key)->low;
}

static gboolean hashes_equal(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(SpDiskHash)) == 0;
}

static bool visit(Walk *walk, const char *format, ...) G_GNUC_PRINTF(2, 3);
static bool visit(Walk *walk, const char *format, ...)
{
    SpDiskHash hash = sp_crash_disk_hash(walk->disk);
    char name[NAME_SIZE];
    va_list args;

    walk->counts.seen++;
    if (!g_hash_table_add(walk->seen, g_memdup2(&hash, sizeof hash)))
        return true;
    walk->counts.distinct++;
    va_start(args, format);
    g_vsnprintf(name, sizeof name, format, args);
    va_end(args);
    return walk->func(name, walk->disk, walk->data);
}

static void apply(const Walk *walk, guint entry)
{
    sp_crash_disk_apply(walk->disk, &walk->entries[entry], G_MAXUINT64);
}

static guint64 sectors(const Walk *walk, guint entry)
{
    return walk->entries[entry].length / SP_DISK_SECTOR;
}

static Epoch epoch_from(const SpLogEntry *entries, guint count, guint first)
{
    Epoch epoch = {first, first};

    while (epoch.end < count && entries[epoch.end].kind != SP_LOG_FLUSH)
        epoch.end++;
    return epoch;
}

/* A generator of its own for each thing, so that each can be made again without the others. */
static GRand *rand_of(const SpCrashOptions *options, guint entry, guint number)
{
    const guint32 seed[] = {options->seed, entry, number};

    return g_rand_new_with_seed_array(seed, G_N_ELEMENTS(seed));
}

static void apply_sample(const Walk *walk, Epoch epoch, guint number)
{
    GRand *rand = rand_of(walk->options, epoch.first, number);
    double share = g_rand_double(rand);

    for (guint i = epoch.first; i < epoch.end; i++) {
        if (g_rand_double(rand) < share)
            apply(walk, i);
    }
    g_rand_free(rand);
}

static void apply_mask(const Walk *walk, Epoch epoch, guint mask)
{
    for (guint i = epoch.first; i < epoch.end; i++) {
        if (mask >> (i - epoch.first) & 1)
            apply(walk, i);
    }
}

/* The places where a write tears: each once, in no order. */
static GArray *tears(const Walk *walk, guint entry)
{
    GArray *places = g_array_new(FALSE, FALSE, sizeof(guint64));
    guint64 n = sectors(walk, entry);
    GRand *rand;

    if (walk->entries[entry].kind == SP_LOG_FLUSH || n < 2)
        return places;
    if (n <= walk->options->tears_max) {
        for (guint64 place = 1; place < n; place++)
            g_array_append_val(places, place);
        return places;
    }
    rand = rand_of(walk->options, entry, G_MAXUINT32);
    for (guint i = 0; i < walk->options->tear_samples + 2; i++) {
        guint64 place = i == 0   ? 1
                        : i == 1 ? n - 1
                                 : 1 + (guint64)(g_rand_double(rand) * (double)(n - 1));
        g_array_append_val(places, place);
    }
    g_rand_free(rand);
    return places;
}

static bool visit_tears(Walk *walk, guint entry, char kind)
{
    g_autoptr(GArray) places = tears(walk, entry);
    bool goes_on = true;

    for (guint i = 0; i < places->len && goes_on; i++) {
        guint64 place = g_array_index(places, guint64, i);
        gsize mark = sp_crash_disk_mark(walk->disk);

        sp_crash_disk_apply(walk->disk, &walk->entries[entry], place);
        goes_on = visit(walk, "%c%u.%" G_GUINT64_FORMAT, kind, entry, place);
        sp_crash_disk_undo(walk->disk, mark);
    }
    return goes_on;
}

static bool visit_subsets(Walk *walk, Epoch epoch)
{
    guint last = 1u << (epoch.end - epoch.first);
    bool goes_on = true;

    for (guint mask = 1; mask < last && goes_on; mask++) {
        apply_mask(walk, epoch, mask);
        goes_on = visit(walk, "s%u.%x", epoch.first, mask);
        sp_crash_disk_undo(walk->disk, 0);
    }
    return goes_on;
}

static bool visit_survivors_and_samples(Walk *walk, Epoch epoch)
{
    bool goes_on = true;

    for (guint i = epoch.first; i < epoch.end && goes_on; i++) {
        apply(walk, i);
        goes_on = visit(walk, "o%u", i);
        sp_crash_disk_undo(walk->disk, 0);
    }
    for (guint i = 0; i < walk->options->samples && goes_on; i++) {
        apply_sample(walk, epoch, i);
        goes_on = visit(walk, "r%u.%u", epoch.first, i);
        sp_crash_disk_undo(walk->disk, 0);
    }
    return goes_on;
}

static bool visit_without(Walk *walk, guint count, guint entry, const gsize *marks, guint first)
{
    gsize mark = sp_crash_disk_mark(walk->disk);
    bool goes_on;

    sp_crash_disk_drop(walk->disk, marks[entry - first], marks[entry - first + 1]);
    goes_on = visit(walk, "d%u.%u", count, entry);
    sp_crash_disk_undo(walk->disk, mark);
    return goes_on;
}

/* Write after write, each torn before it is whole, and each once later than the one behind it. */
static bool visit_prefixes(Walk *walk, Epoch epoch)
{
    g_autofree gsize *marks = g_new(gsize, epoch.end - epoch.first + 1);
    bool goes_on = true;

    marks[0] = 0;
    for (guint i = epoch.first; i < epoch.end && goes_on; i++) {
        goes_on = visit_tears(walk, i, 't');
        apply(walk, i);
        marks[i - epoch.first + 1] = sp_crash_disk_mark(walk->disk);
        goes_on = goes_on && visit(walk, "p%u", i + 1);
        if (goes_on && i > epoch.first)
            goes_on = visit_without(walk, i + 1, i - 1, marks, epoch.first);
    }
    for (guint i = epoch.first; i < epoch.end && goes_on; i++)
        goes_on = visit_without(walk, epoch.end, i, marks, epoch.first);
    return goes_on;
}

static bool visit_epoch(Walk *walk, Epoch epoch)
{
    bool is_small = epoch.end - epoch.first <= MIN(walk->options->subsets_max, SUBSETS_LIMIT);
    bool goes_on = is_small ? visit_subsets(walk, epoch) : visit_survivors_and_samples(walk, epoch);

    for (guint i = epoch.first; i < epoch.end && goes_on; i++)
        goes_on = visit_tears(walk, i, 'u');
    goes_on = goes_on && visit_prefixes(walk, epoch);
    sp_crash_disk_settle(walk->disk);
    return goes_on;
}

bool sp_crash_states_each(SpCrashDisk *disk, const SpWriteLog *log, const SpCrashOptions *options,
    SpCrashFunc func, void *data, SpCrashCounts *ret_counts)
{
    Walk walk = {.disk = disk, .options = options, .func = func, .data = data};
    bool goes_on;

    walk.entries = sp_write_log_entries(log, &walk.count);
    walk.seen = g_hash_table_new_full(hash_of_hash, hashes_equal, g_free, NULL);
    goes_on = visit(&walk, "p0");
    for (guint at = 0; at < walk.count && goes_on;) {
        Epoch epoch = epoch_from(walk.entries, walk.count, at);

        goes_on = visit_epoch(&walk, epoch);
        at = epoch.end + 1;
    }
    g_hash_table_unref(walk.seen);
    *ret_counts = walk.counts;
    return goes_on;
}

typedef struct {
    char kind;
    guint entry;
    guint64 detail;
} Name;

static bool parse_name(const char *text, Name *ret_name)
{
    bool has_detail = *text && strchr("dtusr", *text);
    char *end;

    if (!*text || !strchr("podtusr", *text) || !g_ascii_isdigit(text[1]))
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

/* The first entry of the epoch in which @entry is. */
static guint epoch_begin(const SpLogEntry *entries, guint entry)
{
    while (entry > 0 && entries[entry - 1].kind != SP_LOG_FLUSH)
        entry--;
    return entry;
}

static bool is_of_log(const Walk *walk, const Name *name, Epoch epoch)
{
    guint size = epoch.end - epoch.first;

    switch (name->kind) {
    case 'p':
        return name->entry <= walk->count;
    case 'd':
        return name->entry <= walk->count && name->entry > 0 && name->detail < name->entry &&
               name->detail >= epoch_begin(walk->entries, name->entry - 1);
    case 's':
        return name->entry == epoch.first && size <= SUBSETS_LIMIT && name->detail >> size == 0;
    case 'r':
        return name->entry == epoch.first;
    default:
        return name->entry < walk->count && name->detail <= sectors(walk, name->entry);
    }
}

static void make(const Walk *walk, const Name *name, Epoch epoch)
{
    bool is_prefix = strchr("pdt", name->kind) != NULL;
    guint before = is_prefix ? name->entry : epoch.first;

    for (guint i = 0; i < before; i++) {
        if (name->kind != 'd' || i != name->detail)
            apply(walk, i);
    }
    if (name->kind == 'o')
        apply(walk, name->entry);
    else if (name->kind == 't' || name->kind == 'u')
        sp_crash_disk_apply(walk->disk, &walk->entries[name->entry], name->detail);
    else if (name->kind == 's')
        apply_mask(walk, epoch, (guint)name->detail);
    else if (name->kind == 'r')
        apply_sample(walk, epoch, (guint)name->detail);
}

bool sp_crash_state_make(SpCrashDisk *disk, const SpWriteLog *log, const SpCrashOptions *options,
    const char *text, GError **error)
{
    Walk walk = {.disk = disk, .options = options};
    Epoch epoch;
    Name name;

    walk.entries = sp_write_log_entries(log, &walk.count);
    if (parse_name(text, &name)) {
        epoch = epoch_from(
            walk.entries, walk.count, epoch_begin(walk.entries, MIN(name.entry, walk.count)));
        if (is_of_log(&walk, &name, epoch)) {
            make(&walk, &name, epoch);
            sp_crash_disk_settle(disk);
            return true;
        }
    }
    g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "'%s' is no state of this log of %u entries", text,
        walk.count);
    return false;
}

guint sp_crash_state_entry(const SpWriteLog *log, const char *text)
{
    const SpLogEntry *entries;
    Name name = {0};
    guint count;

    entries = sp_write_log_entries(log, &count);
    if (!parse_name(text, &name))
        return 0;
    if (name.kind == 's' || name.kind == 'r')
        return epoch_from(entries, count, name.entry).end;
    return MIN(name.entry, count);
}
