/* SPDX-License-Identifier: MIT */

/*
 * Logs by chance, and what a power cut can leave of each, worked out the slow way: all that must be
 * among the states is, and nothing that can't be. The contents are a letter a sector.
 */

#include "powercut/crash-states.h"
#include "written-log.h"

#include <glib/gstdio.h>
#include <string.h>

#define SECTORS 12u
#define DISK_SIZE (SECTORS * WRITTEN_SECTOR)
#define ROUNDS 40
#define ENTRIES_MAX 12u
/* of an epoch */
#define WRITES_MAX 4u

enum { FLUSH = 1, FUA = 2, MARK = 8 };

typedef struct {
    char *path;
    SpCrashDisk *disk;
    SpWriteLog *log;
    const SpLogEntry *entries;
    guint count;
    guint begin[ENTRIES_MAX + 1]; /* of each entry's epoch; where the last has ended, too */
    GHashTable *states;           /* content to SpCrashState's name */
} Fixture;

static const SpCrashOptions options = {.subsets_max = WRITES_MAX,
    .samples = 4,
    .delays = 2,
    .tears_max = SECTORS,
    .tear_samples = 2,
    .seed = 3};

static void set_up(Fixture *f, gconstpointer data)
{
    char base[DISK_SIZE];
    int fd = g_file_open_tmp("test-crash-possible-XXXXXX", &f->path, NULL);

    g_assert_cmpint(fd, >=, 0);
    g_close(fd, NULL);
    memset(base, 'b', sizeof base);
    g_assert_true(g_file_set_contents(f->path, base, sizeof base, NULL));
    f->states = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    g_hash_table_unref(f->states);
    g_unlink(f->path);
    g_free(f->path);
}

static void clear_round(Fixture *f)
{
    g_clear_pointer(&f->disk, sp_crash_disk_free);
    g_clear_pointer(&f->log, sp_write_log_free);
    g_hash_table_remove_all(f->states);
}

static void add_write(GByteArray *array, guint number, guint64 flags)
{
    guint first = (guint)g_test_rand_int_range(0, SECTORS);
    guint length = (guint)g_test_rand_int_range(1, (gint32)MIN(5, SECTORS - first) + 1);
    guint at = array->len;

    if (flags == 0 && g_test_rand_int_range(0, 4) == 0) {
        written_log_discard(array, first, length);
        return;
    }
    written_log_write(array, first, length, (guint8)('A' + number));
    written_log_flag(array, at, flags);
}

/* Epochs that end in each way that there is; @begin says where, by the rules of the format. */
static void make_log(Fixture *f)
{
    GByteArray *array = written_log_new();
    guint begin = 0, writes = 0;

    for (guint i = 0; i < ENTRIES_MAX; i++) {
        gint32 choice = writes >= WRITES_MAX ? 0 : g_test_rand_int_range(0, 12);

        f->begin[i] = begin;
        writes++;
        if (choice == 0) {
            written_log_flush(array);
        } else if (choice == 1) {
            add_write(array, i, FUA);
        } else if (choice == 2) {
            add_write(array, i, FLUSH);
            f->begin[i] = begin = i;
            writes = 1;
        } else if (choice == 3) {
            written_log_mark(array, "a note");
        } else {
            add_write(array, i, 0);
        }
        if (choice <= 1) {
            begin = i + 1;
            writes = 0;
        }
    }
    f->begin[ENTRIES_MAX] = begin;
    f->log = written_log_parse(array, DISK_SIZE);
    f->entries = sp_write_log_entries(f->log, &f->count);
    g_assert_cmpuint(f->count, ==, ENTRIES_MAX);
    f->disk = sp_crash_disk_new(f->path, NULL);
    g_assert_nonnull(f->disk);
}

static void overlay(char *text, const SpLogEntry *entry, guint64 from, guint64 to)
{
    guint64 first = entry->offset / WRITTEN_SECTOR;

    for (guint64 i = from; i < MIN(to, entry->length / WRITTEN_SECTOR); i++)
        text[first + i] = entry->data ? (char)entry->data[0] : '.';
}

static void overlay_up_to(const Fixture *f, char *text, guint end)
{
    memset(text, 'b', SECTORS);
    text[SECTORS] = '\0';
    for (guint i = 0; i < end; i++)
        overlay(text, &f->entries[i], 0, G_MAXUINT64);
}

static void read_content(const SpCrashDisk *disk, char text[static SECTORS + 1])
{
    guint8 bytes[DISK_SIZE];

    sp_crash_disk_read(disk, 0, DISK_SIZE, bytes);
    for (guint i = 0; i < SECTORS; i++)
        text[i] = bytes[i * WRITTEN_SECTOR] ? (char)bytes[i * WRITTEN_SECTOR] : '.';
    text[SECTORS] = '\0';
}

/* The epoch that was open when @latest entries were there, at its end. */
static guint first_of(const Fixture *f, guint latest)
{
    return latest == 0 ? 0 : f->begin[latest] == latest ? f->begin[latest - 1] : f->begin[latest];
}

/* Each sector has what was durable, or what one of the epoch's writes has brought. */
static void assert_possible(const Fixture *f, const SpCrashState *state, const char *content)
{
    guint first = first_of(f, state->latest);
    char durable[SECTORS + 1];

    overlay_up_to(f, durable, first);
    for (guint sector = 0; sector < SECTORS; sector++) {
        bool is_possible = content[sector] == durable[sector];

        for (guint i = first; i < state->latest && !is_possible; i++) {
            char after[SECTORS + 1] = {0};

            overlay(after, &f->entries[i], 0, G_MAXUINT64);
            is_possible = after[sector] == content[sector];
        }
        if (!is_possible)
            g_error("'%s' has '%s', but '%s' was durable", state->name, content, durable);
    }
}

static void assert_made_again(const Fixture *f, const char *name)
{
    g_autoptr(SpCrashDisk) disk = sp_crash_disk_new(f->path, NULL);
    char expected[SECTORS + 1], found[SECTORS + 1];

    read_content(f->disk, expected);
    g_assert_true(sp_crash_state_make(disk, f->log, &options, name, NULL));
    read_content(disk, found);
    g_assert_cmpstr(found, ==, expected);
    g_assert_true(sp_disk_hash_equal(sp_crash_disk_hash(disk), sp_crash_disk_hash(f->disk)));
}

static bool keep(const SpCrashState *state, SpCrashDisk *disk, void *data)
{
    Fixture *f = data;
    char content[SECTORS + 1];

    read_content(disk, content);
    assert_possible(f, state, content);
    assert_made_again(f, state->name);
    g_assert_cmpuint(state->at, <=, state->latest);
    /* each content once */
    g_assert_true(g_hash_table_insert(f->states, g_strdup(content), g_strdup(state->name)));
    return true;
}

static void assert_has(const Fixture *f, const char *content, const char *what, guint entry)
{
    if (!g_hash_table_contains(f->states, content))
        g_error("%s at entry %u: '%s' is no state", what, entry, content);
}

static void assert_subsets(const Fixture *f, guint first, guint end)
{
    for (guint mask = 0; mask < 1u << (end - first); mask++) {
        char content[SECTORS + 1];

        overlay_up_to(f, content, first);
        for (guint i = first; i < end; i++) {
            if (mask >> (i - first) & 1)
                overlay(content, &f->entries[i], 0, G_MAXUINT64);
        }
        assert_has(f, content, "a subset", first);
    }
}

/* Over the first @before entries one tears; either part of it is there. */
static void assert_tears(const Fixture *f, guint before, guint entry)
{
    for (guint64 place = 1; place < f->entries[entry].length / WRITTEN_SECTOR; place++) {
        char content[SECTORS + 1];

        overlay_up_to(f, content, before);
        overlay(content, &f->entries[entry], 0, place);
        assert_has(f, content, "the beginning of a torn write", entry);
        overlay_up_to(f, content, before);
        overlay(content, &f->entries[entry], place, G_MAXUINT64);
        assert_has(f, content, "the end of a torn write", entry);
    }
}

/* What overlaps may have come in the other order. */
static void assert_orders(const Fixture *f, guint entry)
{
    char before[SECTORS + 1], after[SECTORS + 1];

    if (entry == f->begin[entry])
        return;
    overlay_up_to(f, before, entry + 1);
    memcpy(after, before, sizeof after);
    overlay(after, &f->entries[entry - 1], 0, G_MAXUINT64);
    assert_has(f, after, "another order", entry);
}

static void test_chance(Fixture *f, gconstpointer data)
{
    for (guint round = 0; round < ROUNDS; round++) {
        SpCrashCounts counts;
        char content[SECTORS + 1], found[SECTORS + 1];

        make_log(f);
        g_assert_true(sp_crash_states_each(f->disk, f->log, &options, -1, keep, f, &counts));
        g_assert_cmpuint(counts.distinct, ==, g_hash_table_size(f->states));
        g_assert_cmpuint(counts.seen, >=, counts.distinct);
        overlay_up_to(f, content, f->count);
        read_content(f->disk, found);
        g_assert_cmpstr(found, ==, content);
        for (guint i = 0; i < f->count; i++) {
            assert_subsets(f, f->begin[i], i + 1);
            assert_tears(f, i, i);
            assert_tears(f, f->begin[i], i);
            assert_orders(f, i);
        }
        clear_round(f);
    }
}

static bool count_until(const SpCrashState *state, SpCrashDisk *disk, void *data)
{
    guint *left = data;

    return --*left > 0;
}

static void test_ended(Fixture *f, gconstpointer data)
{
    for (guint last = 1; last < 20; last++) {
        SpCrashCounts counts;
        guint left = last;

        make_log(f);
        g_assert_false(
            sp_crash_states_each(f->disk, f->log, &options, -1, count_until, &left, &counts));
        g_assert_cmpuint(counts.distinct, ==, last);
        clear_round(f);
    }
}

static guint64 count_states(Fixture *f, guint milestone, bool only_range)
{
    SpCrashOptions asked = options;
    SpCrashCounts counts;
    guint left = G_MAXUINT, range;

    asked.milestones[0] = milestone;
    sp_crash_disk_reset(f->disk);
    range = sp_crash_disk_add_range(f->disk, 4 * WRITTEN_SECTOR, WRITTEN_SECTOR);
    g_assert_true(sp_crash_states_each(
        f->disk, f->log, &asked, only_range ? (int)range : -1, count_until, &left, &counts));
    return counts.distinct;
}

/* Written, and taken back: as the base once more, but later. */
static void test_told_apart(Fixture *f, gconstpointer data)
{
    GByteArray *array = written_log_new();

    written_log_write(array, 4, 1, 'x');
    written_log_flush(array);
    written_log_write(array, 4, 1, 'b');
    written_log_flush(array);
    written_log_write(array, 5, 1, 'y');
    f->log = written_log_parse(array, DISK_SIZE);
    f->disk = sp_crash_disk_new(f->path, NULL);
    g_assert_cmpuint(count_states(f, 0, false), ==, 3);
    /* from the epoch on that ends there, x and b are other states */
    g_assert_cmpuint(count_states(f, 3, false), ==, 5);
    g_assert_cmpuint(count_states(f, 4, false), ==, 4);
    g_assert_cmpuint(count_states(f, 6, false), ==, 3);
    g_assert_cmpuint(count_states(f, 0, true), ==, 2);
    clear_round(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/crash-possible/chance", Fixture, NULL, set_up, test_chance, tear_down);
    g_test_add("/crash-possible/ended", Fixture, NULL, set_up, test_ended, tear_down);
    g_test_add("/crash-possible/told-apart", Fixture, NULL, set_up, test_told_apart, tear_down);
    return g_test_run();
}
