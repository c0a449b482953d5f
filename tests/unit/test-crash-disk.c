/* SPDX-License-Identifier: MIT */

/* The disk against a model of it that knows of each sector which write it is of. */

#include "powercut/crash-disk.h"

#include <glib/gstdio.h>
#include <string.h>
#include <xxhash.h>

/* The map is in parts: what is written lies around the border of two. */
#define BORDER 16384u
#define FIRST (BORDER - 24)
#define WINDOW 48u
#define SECTORS (BORDER + 64)
#define ENTRIES 12u
#define LENGTH_MAX 20u
#define STEPS 4000
#define RANGES 3u

/* Ranges overlap, and one has the border in it; sectors of the window. */
static const guint range_first[RANGES] = {0, 10, 30}, range_end[RANGES] = {20, 40, 31};

typedef struct {
    const SpLogEntry *entry[WINDOW]; /* NULL: the base's */
} Model;

typedef struct {
    const SpLogEntry *entry;
    guint64 from, to;
} Operation;

typedef struct {
    char *path;
    guint8 *base; /* of the window */
    SpCrashDisk *disk;
    SpLogEntry entries[ENTRIES];
    Model settled, now;
    GArray *operations; /* since it was settled, of Operation */
    GArray *marks;      /* of gsize: before each operation */
} Fixture;

static void fill(guint8 *data, guint count, guint8 salt)
{
    for (guint i = 0; i < count * SP_DISK_SECTOR; i++)
        data[i] = (guint8)(1 + salt * 31 + i / SP_DISK_SECTOR * 7 + i % 5);
}

/* Some bring what the base has in part, some are discards. */
static SpLogEntry make_entry(const Fixture *f, guint number)
{
    guint first = (guint)g_test_rand_int_range(0, WINDOW - LENGTH_MAX);
    guint count = (guint)g_test_rand_int_range(1, LENGTH_MAX + 1);
    SpLogEntry entry = {.kind = SP_LOG_DISCARD,
        .offset = (FIRST + first) * SP_DISK_SECTOR,
        .length = count * SP_DISK_SECTOR};
    guint8 *data;

    if (number % 4 == 0)
        return entry;
    data = g_malloc(entry.length);
    fill(data, count, (guint8)(number + 1));
    if (number % 4 == 1)
        memcpy(data, f->base + first * SP_DISK_SECTOR, (count + 1) / 2 * SP_DISK_SECTOR);
    entry.kind = SP_LOG_WRITE;
    entry.data = data;
    return entry;
}

static void set_up(Fixture *f, gconstpointer data)
{
    g_autofree guint8 *bytes = g_malloc0((gsize)SECTORS * SP_DISK_SECTOR);
    int fd = g_file_open_tmp("test-crash-disk-XXXXXX", &f->path, NULL);

    g_assert_cmpint(fd, >=, 0);
    g_close(fd, NULL);
    fill(bytes + (gsize)FIRST * SP_DISK_SECTOR, WINDOW, 0);
    f->base = g_memdup2(bytes + (gsize)FIRST * SP_DISK_SECTOR, (gsize)WINDOW * SP_DISK_SECTOR);
    g_assert_true(
        g_file_set_contents(f->path, (char *)bytes, (gssize)SECTORS * SP_DISK_SECTOR, NULL));
    f->disk = sp_crash_disk_new(f->path, NULL);
    g_assert_nonnull(f->disk);
    for (guint i = 0; i < RANGES; i++)
        sp_crash_disk_add_range(f->disk, (FIRST + range_first[i]) * SP_DISK_SECTOR,
            (range_end[i] - range_first[i]) * SP_DISK_SECTOR);
    for (guint i = 0; i < ENTRIES; i++)
        f->entries[i] = make_entry(f, i);
    f->operations = g_array_new(FALSE, FALSE, sizeof(Operation));
    f->marks = g_array_new(FALSE, FALSE, sizeof(gsize));
}

static void tear_down(Fixture *f, gconstpointer data)
{
    sp_crash_disk_free(f->disk);
    for (guint i = 0; i < ENTRIES; i++)
        g_free((guint8 *)f->entries[i].data);
    g_array_unref(f->operations);
    g_array_unref(f->marks);
    g_unlink(f->path);
    g_free(f->path);
    g_free(f->base);
}

/* All operations but @left_out, over what was settled. */
static Model replay(const Fixture *f, guint left_out)
{
    Model model = f->settled;

    for (guint i = 0; i < f->operations->len; i++) {
        const Operation *operation = &g_array_index(f->operations, Operation, i);
        guint64 first = operation->entry->offset / SP_DISK_SECTOR - FIRST;

        for (guint64 j = operation->from; j < operation->to && i != left_out; j++)
            model.entry[first + j] = operation->entry;
    }
    return model;
}

static void expected_sector(const Fixture *f, const Model *model, guint sector, guint8 *buffer)
{
    const SpLogEntry *entry = model->entry[sector];
    const guint8 *from = f->base + sector * SP_DISK_SECTOR;

    if (entry && entry->data)
        from = entry->data + ((guint64)(FIRST + sector) * SP_DISK_SECTOR - entry->offset);
    if (entry && !entry->data)
        memset(buffer, 0, SP_DISK_SECTOR);
    else
        memcpy(buffer, from, SP_DISK_SECTOR);
}

/* From scratch, as crash-disk.h says. */
static SpDiskHash expected_hash(const Fixture *f, const Model *model, guint first, guint end)
{
    SpDiskHash hash = {0};
    guint8 now[SP_DISK_SECTOR];

    for (guint i = first; i < end; i++) {
        XXH128_hash_t a, b;

        expected_sector(f, model, i, now);
        a = XXH3_128bits_withSeed(now, SP_DISK_SECTOR, FIRST + i);
        b = XXH3_128bits_withSeed(f->base + i * SP_DISK_SECTOR, SP_DISK_SECTOR, FIRST + i);
        hash.low ^= a.low64 ^ b.low64;
        hash.high ^= a.high64 ^ b.high64;
    }
    return hash;
}

static void assert_pieces(const Fixture *f, const Model *model)
{
    g_autoptr(GArray) pieces = sp_crash_disk_pieces(f->disk, FIRST, FIRST + WINDOW);
    Model found = {0};
    guint64 behind = 0;

    for (guint i = 0; i < pieces->len; i++) {
        const SpDiskPiece *piece = &g_array_index(pieces, SpDiskPiece, i);

        g_assert_cmpuint(piece->first, >=, behind);
        g_assert_cmpuint(piece->first, <, piece->end);
        for (guint64 j = piece->first; j < piece->end; j++)
            found.entry[j - FIRST] = piece->entry;
        behind = piece->end;
    }
    g_assert_cmpmem(&found, sizeof found, model, sizeof *model);
}

static void assert_reads(const Fixture *f, const Model *model)
{
    guint8 expected[WINDOW * SP_DISK_SECTOR], found[WINDOW * SP_DISK_SECTOR];
    guint begin = (guint)g_test_rand_int_range(0, sizeof found - 1);
    guint length = (guint)g_test_rand_int_range(1, (gint32)(sizeof found - begin));

    for (guint i = 0; i < WINDOW; i++)
        expected_sector(f, model, i, expected + i * SP_DISK_SECTOR);
    sp_crash_disk_read(f->disk, (guint64)FIRST * SP_DISK_SECTOR, sizeof found, found);
    g_assert_cmpmem(found, sizeof found, expected, sizeof expected);
    /* not whole sectors */
    sp_crash_disk_read(f->disk, (guint64)FIRST * SP_DISK_SECTOR + begin, length, found);
    g_assert_cmpmem(found, length, expected + begin, length);
}

static void assert_is(const Fixture *f, const Model *model)
{
    SpDiskHash whole = expected_hash(f, model, 0, WINDOW);

    g_assert_true(sp_disk_hash_equal(sp_crash_disk_hash(f->disk), whole));
    for (guint i = 0; i < RANGES; i++) {
        SpDiskHash hash = expected_hash(f, model, range_first[i], range_end[i]);

        g_assert_true(sp_disk_hash_equal(sp_crash_disk_range_hash(f->disk, i), hash));
    }
    assert_pieces(f, model);
    assert_reads(f, model);
}

/* The entries that lost a sector to the last operation. */
static void assert_covered(const Fixture *f, const Model *before, gsize mark)
{
    g_autoptr(GPtrArray) covered = sp_crash_disk_covered(f->disk, mark);
    const Operation *last = &g_array_index(f->operations, Operation, f->operations->len - 1);
    guint64 first = last->entry->offset / SP_DISK_SECTOR - FIRST;
    guint expected = 0;

    for (guint i = 0; i < ENTRIES; i++) {
        bool is_covered = false;

        for (guint64 j = last->from; j < last->to; j++)
            is_covered = is_covered || before->entry[first + j] == &f->entries[i];
        expected += is_covered;
        g_assert_cmpint(g_ptr_array_find(covered, &f->entries[i], NULL), ==, is_covered);
    }
    g_assert_cmpuint(covered->len, ==, expected);
}

static void apply_some(Fixture *f)
{
    const SpLogEntry *entry = &f->entries[g_test_rand_int_range(0, ENTRIES)];
    gint32 count = (gint32)(entry->length / SP_DISK_SECTOR);
    Operation operation = {entry, 0, (guint64)count};
    gsize mark = sp_crash_disk_mark(f->disk);
    Model before = f->now;

    if (count > 1 && g_test_rand_bit()) {
        operation.from = (guint64)g_test_rand_int_range(0, count);
        operation.to = (guint64)g_test_rand_int_range((gint32)operation.from, count + 1);
    }
    g_array_append_val(f->operations, operation);
    g_array_append_val(f->marks, mark);
    /* what is beyond its end is cut off */
    sp_crash_disk_apply(f->disk, entry, operation.from,
        operation.to == (guint64)count ? G_MAXUINT64 : operation.to);
    f->now = replay(f, G_MAXUINT);
    assert_covered(f, &before, mark);
}

static bool is_once(const Fixture *f, const SpLogEntry *entry)
{
    guint count = 0;

    for (guint i = 0; i < f->operations->len; i++)
        count += g_array_index(f->operations, Operation, i).entry == entry;
    for (guint i = 0; i < WINDOW; i++)
        count += f->settled.entry[i] == entry;
    return count == 1;
}

static void drop_each(Fixture *f)
{
    gsize mark = sp_crash_disk_mark(f->disk);

    for (guint i = 0; i < f->operations->len; i++) {
        const SpLogEntry *entry = g_array_index(f->operations, Operation, i).entry;
        gsize begin = g_array_index(f->marks, gsize, i);
        gsize end = i + 1 < f->marks->len ? g_array_index(f->marks, gsize, i + 1) : mark;
        Model without = replay(f, i);

        if (!is_once(f, entry))
            continue;
        sp_crash_disk_drop(f->disk, entry, begin, end);
        assert_is(f, &without);
        sp_crash_disk_undo(f->disk, mark);
        assert_is(f, &f->now);
    }
}

static void undo_some(Fixture *f)
{
    guint kept = (guint)g_test_rand_int_range(0, (gint32)f->operations->len);

    sp_crash_disk_undo(f->disk, g_array_index(f->marks, gsize, kept));
    g_array_set_size(f->operations, kept);
    g_array_set_size(f->marks, kept);
    f->now = replay(f, G_MAXUINT);
}

static void settle(Fixture *f)
{
    sp_crash_disk_settle(f->disk);
    g_assert_cmpuint(sp_crash_disk_mark(f->disk), ==, 0);
    f->settled = f->now;
    g_array_set_size(f->operations, 0);
    g_array_set_size(f->marks, 0);
}

static void reset(Fixture *f)
{
    sp_crash_disk_reset(f->disk);
    f->now = (Model){0};
    g_assert_true(sp_disk_hash_is_base(sp_crash_disk_hash(f->disk)));
    settle(f);
}

static void test_model(Fixture *f, gconstpointer data)
{
    for (guint step = 0; step < STEPS; step++) {
        gint32 choice = g_test_rand_int_range(0, 100);

        if (choice == 0)
            reset(f);
        else if (choice < 4)
            settle(f);
        else if (choice < 20 && f->operations->len > 0)
            undo_some(f);
        else if (choice < 25)
            drop_each(f);
        else
            apply_some(f);
        assert_is(f, &f->now);
    }
}

/* What lies in several parts comes and goes as what lies in one. */
static void test_across_parts(Fixture *f, gconstpointer data)
{
    const SpLogEntry all = {
        .kind = SP_LOG_DISCARD, .offset = 0, .length = (guint64)SECTORS * SP_DISK_SECTOR};
    g_autoptr(GArray) pieces = NULL;
    SpDiskHash whole;
    Model zeros;

    for (guint i = 0; i < WINDOW; i++)
        zeros.entry[i] = &all;
    sp_crash_disk_apply(f->disk, &all, 0, G_MAXUINT64);
    /* the rest is zeros in the base */
    whole = expected_hash(f, &zeros, 0, WINDOW);
    g_assert_true(sp_disk_hash_equal(sp_crash_disk_hash(f->disk), whole));
    pieces = sp_crash_disk_pieces(f->disk, 0, SECTORS);
    g_assert_cmpuint(pieces->len, ==, 2);
    g_assert_cmpuint(g_array_index(pieces, SpDiskPiece, 1).first, ==, BORDER);
    sp_crash_disk_undo(f->disk, 0);
    assert_is(f, &f->now);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/crash-disk/model", Fixture, NULL, set_up, test_model, tear_down);
    g_test_add("/crash-disk/across-parts", Fixture, NULL, set_up, test_across_parts, tear_down);
    return g_test_run();
}
