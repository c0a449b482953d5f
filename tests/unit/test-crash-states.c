/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "powercut/crash-file.h"
#include "powercut/crash-states.h"
#include "written-log.h"

#include <glib/gstdio.h>
#include <string.h>

#define SECTORS 32u
#define DISK_SIZE (SECTORS * WRITTEN_SECTOR)

typedef struct {
    char *path;
    SpCrashDisk *disk;
    SpWriteLog *log;
    guint range;        /* of the disk: sectors 4 to 7 */
    GHashTable *states; /* content, a byte a sector, to name */
    GHashTable *hashes; /* name to SpDiskHash */
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    g_autofree guint8 *base = g_malloc(DISK_SIZE);
    int fd = g_file_open_tmp("test-crash-XXXXXX", &f->path, NULL);

    g_assert_cmpint(fd, >=, 0);
    g_close(fd, NULL);
    memset(base, 'b', DISK_SIZE);
    g_assert_true(g_file_set_contents(f->path, (char *)base, DISK_SIZE, NULL));
    f->disk = sp_crash_disk_new(f->path, NULL);
    g_assert_nonnull(f->disk);
    f->range = sp_crash_disk_add_range(f->disk, 4 * WRITTEN_SECTOR, 4 * WRITTEN_SECTOR);
    f->states = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    f->hashes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    sp_crash_disk_free(f->disk);
    sp_write_log_free(f->log);
    g_hash_table_unref(f->states);
    g_hash_table_unref(f->hashes);
    g_unlink(f->path);
    g_free(f->path);
}

/* Takes @array. */
static void use(Fixture *f, GByteArray *array)
{
    g_autoptr(GBytes) bytes = g_byte_array_free_to_bytes(array);

    f->log = sp_write_log_parse(bytes, DISK_SIZE, NULL);
    g_assert_nonnull(f->log);
}

/* A letter a sector, the first byte of each; all bytes of one are the same here. */
static char *content(SpCrashDisk *disk)
{
    char *text = g_malloc0(SECTORS + 1);
    guint8 sector[WRITTEN_SECTOR];

    for (guint i = 0; i < SECTORS; i++) {
        sp_crash_disk_read(disk, i * WRITTEN_SECTOR, WRITTEN_SECTOR, sector);
        g_assert_cmpint(sector[0], ==, sector[WRITTEN_SECTOR - 1]);
        text[i] = sector[0] ? (char)sector[0] : '.';
    }
    return text;
}

static bool keep(const SpCrashState *state, SpCrashDisk *disk, void *data)
{
    Fixture *f = data;
    SpDiskHash hash = sp_crash_disk_hash(disk);

    /* each content once */
    g_assert_true(g_hash_table_insert(f->states, content(disk), g_strdup(state->name)));
    g_assert_true(
        g_hash_table_insert(f->hashes, g_strdup(state->name), g_memdup2(&hash, sizeof hash)));
    return true;
}

static SpCrashCounts enumerate(Fixture *f, const SpCrashOptions *options)
{
    SpCrashCounts counts;

    g_assert_true(sp_crash_states_each(f->disk, f->log, options, -1, keep, f, &counts));
    g_assert_cmpuint(counts.distinct, ==, g_hash_table_size(f->states));
    return counts;
}

/* The base with @changes, pairs of a sector and a letter, over it. */
static void assert_has(Fixture *f, const char *changes)
{
    char text[SECTORS + 1] = {0};

    memset(text, 'b', SECTORS);
    for (; *changes; changes += 2)
        text[changes[0] - '0'] = changes[1];
    if (!g_hash_table_contains(f->states, text))
        g_error("no state is '%s'", text);
}

/* Each name makes the state again, with its hash, on a disk of its own. */
static void assert_names(Fixture *f, const SpCrashOptions *options)
{
    GHashTableIter iter;
    char *expected, *name;

    g_hash_table_iter_init(&iter, f->states);
    while (g_hash_table_iter_next(&iter, (void **)&expected, (void **)&name)) {
        g_autoptr(SpCrashDisk) disk = sp_crash_disk_new(f->path, NULL);
        g_autofree char *found = NULL;
        SpDiskHash hash;

        g_assert_true(sp_crash_state_make(disk, f->log, options, name, NULL));
        found = content(disk);
        g_assert_cmpstr(found, ==, expected);
        hash = sp_crash_disk_hash(disk);
        g_assert_cmpmem(&hash, sizeof hash, g_hash_table_lookup(f->hashes, name), sizeof hash);
    }
}

static void test_small_epochs(Fixture *f, gconstpointer data)
{
    const SpCrashOptions options = {.subsets_max = 3, .tears_max = 3};
    GByteArray *array = written_log_new();

    written_log_write(array, 1, 1, 'x');
    written_log_write(array, 2, 1, 'y');
    written_log_write(array, 1, 1, 'z'); /* over the first */
    written_log_flush(array);
    written_log_write(array, 5, 3, 'w');
    use(f, array);
    enumerate(f, &options);
    for (const char *const *state = (const char *const[]){"", "1x", "2y", "1z", "1x2y", "1z2y",
             "1z2y5w", "1z2y5w6w", "1z2y5w6w7w", "1z2y6w7w", "1z2y7w", NULL};
         *state; state++)
        assert_has(f, *state);
    g_assert_cmpuint(g_hash_table_size(f->states), ==, 11);
    assert_names(f, &options);
}

static void test_large_epoch(Fixture *f, gconstpointer data)
{
    const SpCrashOptions options = {
        .subsets_max = 2, .samples = 5, .delays = 1, .tears_max = 2, .seed = 7};
    GByteArray *array = written_log_new();

    for (guint i = 0; i < 8; i++)
        written_log_write(array, i, 1, (guint8)('A' + i));
    use(f, array);
    enumerate(f, &options);
    assert_has(f, "0A1B2C");         /* a prefix */
    assert_has(f, "5F");             /* a survivor */
    assert_has(f, "0A1B2C4E");       /* one came before the one in front of it */
    assert_has(f, "0A1B3D4E5F6G7H"); /* one is missing */
    g_assert_cmpuint(g_hash_table_size(f->states), >, 8 + 7 + 6);
    assert_names(f, &options);
}

/* What is missing of two writes to one place is seen only of the last. */
static void test_overlap(Fixture *f, gconstpointer data)
{
    const SpCrashOptions options = {.subsets_max = 0, .tears_max = 0};
    GByteArray *array = written_log_new();

    written_log_write(array, 1, 2, 'x');
    written_log_write(array, 2, 2, 'y');
    written_log_discard(array, 3, 2);
    written_log_discard(array, 4, 1);
    use(f, array);
    enumerate(f, &options);
    assert_has(f, "2y3.4.");   /* without the first */
    assert_has(f, "1x2x3.4."); /* without the second */
    assert_has(f, "1x2y3y4."); /* without the third: the fourth still is there */
    assert_has(f, "1x2y3.4.");
    assert_names(f, &options);
}

static void test_ranges(Fixture *f, gconstpointer data)
{
    GByteArray *array = written_log_new();
    SpDiskHash before, after;
    const SpLogEntry *entries;
    guint count;

    written_log_write(array, 1, 1, 'x');
    written_log_write(array, 5, 1, 'y');
    written_log_write(array, 5, 1, 'b'); /* as the base */
    use(f, array);
    entries = sp_write_log_entries(f->log, &count);
    before = sp_crash_disk_range_hash(f->disk, f->range);
    g_assert_true(before.low == 0 && before.high == 0);
    sp_crash_disk_apply(f->disk, &entries[0], 0, 1);
    after = sp_crash_disk_range_hash(f->disk, f->range);
    g_assert_cmpmem(&before, sizeof before, &after, sizeof after);
    sp_crash_disk_apply(f->disk, &entries[1], 0, 1);
    after = sp_crash_disk_range_hash(f->disk, f->range);
    g_assert_true(after.low != 0 || after.high != 0);
    sp_crash_disk_apply(f->disk, &entries[2], 0, 1);
    after = sp_crash_disk_range_hash(f->disk, f->range);
    g_assert_cmpmem(&before, sizeof before, &after, sizeof after);
}

static void test_file(Fixture *f, gconstpointer data)
{
    g_autofree char *path = g_strconcat(f->path, ".state", NULL);
    g_autoptr(SpCrashFile) file = sp_crash_file_new(f->disk, path, 0, DISK_SIZE, NULL, NULL);
    GByteArray *array = written_log_new();
    const SpLogEntry *entries;
    guint count;

    written_log_write(array, 1, 2, 'x');
    written_log_write(array, 2, 1, 'y');
    use(f, array);
    g_assert_nonnull(file);
    entries = sp_write_log_entries(f->log, &count);
    for (guint step = 0; step < 4; step++) {
        g_autofree char *found = NULL, *now = content(f->disk);
        gsize length;

        g_assert_true(sp_crash_file_update(file, NULL));
        g_assert_true(g_file_get_contents(path, &found, &length, NULL));
        g_assert_cmpuint(length, ==, DISK_SIZE);
        for (guint i = 0; i < SECTORS; i++)
            g_assert_cmpint(found[i * WRITTEN_SECTOR], ==, now[i]);
        if (step < 2)
            sp_crash_disk_apply(f->disk, &entries[step], 0, 2);
        else
            sp_crash_disk_undo(f->disk, 0);
    }
    g_unlink(path);
}

static void test_bad_names(Fixture *f, gconstpointer data)
{
    static const char *const bad[] = {"", "p", "x1", "p9", "p1.2", "d1", "d1.1", "d0.0", "t3.1",
        "t0.9", "s0.ff", "s1.1", "s0", "o3", "p-1", "p1 ", "r1.0", NULL};
    GByteArray *array = written_log_new();

    written_log_write(array, 1, 2, 'x');
    written_log_write(array, 2, 1, 'y');
    written_log_flush(array);
    use(f, array);
    for (const char *const *name = bad; *name; name++) {
        g_autoptr(GError) error = NULL;

        if (sp_crash_state_make(f->disk, f->log, &sp_crash_options, *name, &error))
            g_error("'%s' was made", *name);
        g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(Fixture *, gconstpointer);
    } tests[] = {
        {"/crash-states/small-epochs", test_small_epochs},
        {"/crash-states/large-epoch", test_large_epoch},
        {"/crash-states/overlap", test_overlap},
        {"/crash-states/ranges", test_ranges},
        {"/crash-states/file", test_file},
        {"/crash-states/bad-names", test_bad_names},
    };

    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, Fixture, NULL, set_up, tests[i].func, tear_down);
    return g_test_run();
}
