/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "written-log.h"

#include <string.h>

#define DISK_SIZE (64u * WRITTEN_SECTOR)

static GByteArray *make(void)
{
    GByteArray *log = written_log_new();

    written_log_write(log, 3, 2, 0xaa);
    written_log_flush(log);
    written_log_discard(log, 10, 4);
    written_log_write(log, 63, 1, 0xbb);
    return log;
}

/* Takes @array. */
static SpWriteLog *parse(GByteArray *array, GError **error)
{
    g_autoptr(GBytes) bytes = g_byte_array_free_to_bytes(array);

    return sp_write_log_parse(bytes, DISK_SIZE, error);
}

static void assert_refused(GByteArray *array, const char *pattern)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(parse(array, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
    g_assert_true(g_pattern_match_simple(pattern, error->message));
}

static void test_whole(void)
{
    g_autoptr(SpWriteLog) log = parse(make(), NULL);
    const SpLogEntry *entries;
    guint count;

    g_assert_nonnull(log);
    entries = sp_write_log_entries(log, &count);
    g_assert_cmpuint(count, ==, 4);
    g_assert_cmpint(entries[0].kind, ==, SP_LOG_WRITE);
    g_assert_cmpuint(entries[0].offset, ==, 3 * WRITTEN_SECTOR);
    g_assert_cmpuint(entries[0].length, ==, 2 * WRITTEN_SECTOR);
    g_assert_cmpuint(entries[0].data[2 * WRITTEN_SECTOR - 1], ==, 0xaa);
    g_assert_cmpint(entries[1].kind, ==, SP_LOG_FLUSH);
    g_assert_cmpint(entries[2].kind, ==, SP_LOG_DISCARD);
    g_assert_cmpuint(entries[2].length, ==, 4 * WRITTEN_SECTOR);
    g_assert_null(entries[2].data);
    g_assert_cmpuint(entries[3].data[0], ==, 0xbb);
    g_assert_null(sp_write_log_truncation(log));
}

/* QEMU counts its entries only now and then. */
static void test_more_than_promised(void)
{
    GByteArray *array = make();
    g_autoptr(SpWriteLog) log = NULL;
    guint count;

    written_log_promise(array, 1);
    g_byte_array_set_size(array, array->len + 3 * WRITTEN_SECTOR);
    memset(array->data + array->len - 3 * WRITTEN_SECTOR, 0, 3 * WRITTEN_SECTOR);
    log = parse(array, NULL);
    g_assert_nonnull(log);
    sp_write_log_entries(log, &count);
    g_assert_cmpuint(count, ==, 4);
    g_assert_null(sp_write_log_truncation(log));
}

static void test_tail_cut_off(void)
{
    GByteArray *array = make();
    g_autoptr(SpWriteLog) log = NULL;
    guint count;

    written_log_promise(array, 3);
    g_byte_array_set_size(array, array->len - 1);
    log = parse(array, NULL);
    g_assert_nonnull(log);
    sp_write_log_entries(log, &count);
    g_assert_cmpuint(count, ==, 3);
    g_assert_nonnull(strstr(sp_write_log_truncation(log), "within entry 3"));
}

static guint count_of(const SpWriteLog *log)
{
    guint count;

    (void)sp_write_log_entries(log, &count);
    return count;
}

/* Where each entry of make() ends, in sectors. */
static const guint ends[] = {4, 5, 6, 8};

/* @array has lost all but the first @expected of the four entries that it promises. Takes it. */
static void assert_cut(GByteArray *array, guint expected)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SpWriteLog) log = parse(array, &error);

    if (expected == 0) {
        g_assert_null(log);
        g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
        g_assert_nonnull(strstr(error->message, "cut off before its first entry"));
        return;
    }
    g_assert_no_error(error);
    g_assert_cmpuint(count_of(log), ==, expected);
    g_assert_cmpuint(sp_write_log_promised(log), ==, 4);
    g_assert_nonnull(strstr(sp_write_log_truncation(log), "of the 4 that it promises"));
}

/* Cut at each byte: what is before is used, and that it was cut is said. */
static void test_cut_off(void)
{
    g_autoptr(GByteArray) whole = make();

    g_assert_cmpuint(whole->len, ==, ends[3] * WRITTEN_SECTOR);
    for (guint length = WRITTEN_SECTOR; length < whole->len; length++) {
        guint expected = 0;

        while (ends[expected] * WRITTEN_SECTOR <= length)
            expected++;
        assert_cut(g_byte_array_append(g_byte_array_new(), whole->data, length), expected);
    }
}

/* The same, and zeros up to the old end, as a crash of the host leaves it. */
static void test_blank_tail(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(ends) - 1; i++) {
        GByteArray *array = make();
        gsize end = ends[i] * WRITTEN_SECTOR;

        memset(array->data + end, 0, array->len - end);
        assert_cut(array, i + 1);
    }
}

static void test_refused(void)
{
    GByteArray *array = make();

    array->data[0] ^= 1;
    assert_refused(array, "*no log of writes*");
    array = make();
    array->data[8] = 2;
    assert_refused(array, "*version 2*");
    array = make();
    array->data[25] = 3;
    assert_refused(array, "*sectors of 768 bytes*");
    array = make();
    array->data[WRITTEN_SECTOR + 16] = 0x20;
    assert_refused(array, "entry 0 *is broken");
    array = make();
    memset(array->data + WRITTEN_SECTOR, 0xff, 8);
    assert_refused(array, "entry 0 *is broken");
    array = make();
    written_log_write(array, 63, 2, 1);
    assert_refused(array, "entry 4 *another disk");
    array = g_byte_array_new();
    assert_refused(array, "*no log of writes*");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/write-log/whole", test_whole);
    g_test_add_func("/write-log/more-than-promised", test_more_than_promised);
    g_test_add_func("/write-log/tail-cut-off", test_tail_cut_off);
    g_test_add_func("/write-log/cut-off", test_cut_off);
    g_test_add_func("/write-log/blank-tail", test_blank_tail);
    g_test_add_func("/write-log/refused", test_refused);
    return g_test_run();
}
