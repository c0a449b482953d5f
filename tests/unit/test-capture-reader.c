/* SPDX-License-Identifier: MIT */
#include "network/capture-reader.h"

#include "base/error.h"
#include "network/capture.h"

#include <glib/gstdio.h>
#include <string.h>

#define TIME_US G_GINT64_CONSTANT(1700000000123456)

typedef struct {
    char *dir, *path;
    SpCapture *capture;
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    f->dir = g_dir_make_tmp("slotproof-test-XXXXXX", NULL);
    f->path = g_build_filename(f->dir, "network-1.pcapng", NULL);
    f->capture = sp_capture_new(f->path, &error);
    g_assert_no_error(error);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    sp_capture_free(f->capture);
    g_unlink(f->path);
    g_rmdir(f->dir);
    g_free(f->path);
    g_free(f->dir);
}

/* An IPv4 packet of UDP to @port, in a frame as short as Ethernet allows, or longer. */
static void add_udp(Fixture *f, guint interface, guint16 port, gsize length)
{
    g_autofree guint8 *frame = g_malloc0(length);
    static const guint8 header[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 0,
        0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0x12, 0x34};

    memcpy(frame, header, sizeof header);
    frame[sizeof header] = (guint8)(port >> 8);
    frame[sizeof header + 1] = (guint8)port;
    sp_capture_frame(f->capture, interface, TIME_US, frame, length);
}

/* Three packets; the last is to port 53 like the first, and has another length. */
static void add_three(Fixture *f)
{
    guint interface = sp_capture_add_interface(f->capture, "gateway.0");

    add_udp(f, interface, 53, 60);
    add_udp(f, interface, 67, 60);
    /* as when a machine is started later */
    interface = sp_capture_add_interface(f->capture, "client.0");
    add_udp(f, interface, 53, 61);
}

static GPtrArray *read_good(Fixture *f, const char *filter)
{
    g_autoptr(GError) error = NULL;
    GPtrArray *frames;

    sp_capture_flush(f->capture);
    frames = sp_capture_read_frames(f->path, filter, &error);
    g_assert_no_error(error);
    g_assert_nonnull(frames);
    return frames;
}

static gsize length_of(GPtrArray *frames, guint i)
{
    return g_bytes_get_size(g_ptr_array_index(frames, i));
}

static void test_filter(Fixture *f, gconstpointer data)
{
    g_autoptr(GPtrArray) all = NULL, every = NULL, some = NULL, none = NULL;
    const guint8 *bytes;
    gsize length;

    add_three(f);
    all = read_good(f, NULL);
    every = read_good(f, "");
    some = read_good(f, "udp dst port 53 and src host 10.0.0.1");
    none = read_good(f, "tcp");
    g_assert_cmpuint(all->len, ==, 3);
    g_assert_cmpuint(every->len, ==, 3);
    g_assert_cmpuint(none->len, ==, 0);
    g_assert_cmpuint(some->len, ==, 2);
    g_assert_cmpuint(length_of(some, 0), ==, 60);
    g_assert_cmpuint(length_of(some, 1), ==, 61);
    bytes = g_bytes_get_data(g_ptr_array_index(all, 1), &length);
    g_assert_cmpuint(length, ==, 60);
    g_assert_cmpuint(bytes[37], ==, 67);
}

/* A filter is checked even if the capture is empty. */
static void test_bad_filter(Fixture *f, gconstpointer data)
{
    static const char *const filters[] = {"frob", "udp port", "port 99999", "(", "tcp and"};

    for (gsize i = 0; i < G_N_ELEMENTS(filters); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(sp_capture_read_frames(f->path, filters[i], &error));
        g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
        g_assert_nonnull(strstr(error->message, filters[i]));
        /* libpcap's message, which must not be empty */
        g_assert_false(g_str_has_suffix(error->message, "language: "));
    }
}

/* Before a port was plugged in, and before a frame was received. */
static void test_empty(Fixture *f, gconstpointer data)
{
    g_autoptr(GPtrArray) before = read_good(f, "tcp");
    g_autoptr(GPtrArray) after = NULL;

    g_assert_cmpuint(before->len, ==, 0);
    sp_capture_add_interface(f->capture, "gateway.0");
    after = read_good(f, NULL);
    g_assert_cmpuint(after->len, ==, 0);
}

/* Truncated at every byte after the section header's type, a file has the frames that are whole. */
static void test_truncated(Fixture *f, gconstpointer data)
{
    g_autofree char *bytes = NULL;
    gsize length, ends[4] = {0};
    guint whole = 0;

    add_three(f);
    sp_capture_flush(f->capture);
    g_assert_true(g_file_get_contents(f->path, &bytes, &length, NULL));
    for (gsize at = 0, n = 0; at < length;) {
        guint32 type, size;

        memcpy(&type, bytes + at, sizeof type);
        memcpy(&size, bytes + at + 4, sizeof size);
        at += size;
        if (type == 6)
            ends[n++] = at;
    }
    g_assert_cmpuint(ends[2], ==, length);
    for (gsize cut = 4; cut <= length; cut++) {
        g_autoptr(GPtrArray) frames = NULL;

        g_assert_true(g_file_set_contents(f->path, bytes, (gssize)cut, NULL));
        whole += cut == ends[whole];
        frames = read_good(f, NULL);
        g_assert_cmpuint(frames->len, ==, whole);
    }
    g_assert_cmpuint(whole, ==, 3);
}

static void expect_no_capture(Fixture *f, const char *bytes, gsize length)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(g_file_set_contents(f->path, bytes, (gssize)length, NULL));
    g_assert_null(sp_capture_read_frames(f->path, NULL, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_HOST);
    g_assert_nonnull(strstr(error->message, f->path));
}

/* A file that is broken in another way is not mistaken for one that is still being written. */
static void test_garbage(Fixture *f, gconstpointer data)
{
    g_autofree char *bytes = NULL;
    gsize length, first;
    guint32 size;

    add_three(f);
    sp_capture_flush(f->capture);
    g_assert_true(g_file_get_contents(f->path, &bytes, &length, NULL));
    expect_no_capture(f, "", 0);
    expect_no_capture(f, "no capture at all, but long enough for one", 42);
    /* the length of the block after the two headers */
    memcpy(&size, bytes + 4, sizeof size);
    first = size;
    memcpy(&size, bytes + first + 4, sizeof size);
    first += size;
    memset(bytes + first + 4, 0, 4);
    expect_no_capture(f, bytes, length);
    memset(bytes + first + 4, 0xff, 4);
    expect_no_capture(f, bytes, length);
}

static void test_other_link(Fixture *f, gconstpointer data)
{
    g_autofree char *bytes = NULL;
    gsize length;
    guint32 size;

    sp_capture_add_interface(f->capture, "radio");
    sp_capture_flush(f->capture);
    g_assert_true(g_file_get_contents(f->path, &bytes, &length, NULL));
    memcpy(&size, bytes + 4, sizeof size);
    bytes[size + 8] = 105; /* IEEE 802.11 */
    expect_no_capture(f, bytes, length);
}

/* The memory for matching frames is limited; skipped frames don't count. */
static void test_much(Fixture *f, gconstpointer data)
{
    g_autoptr(GPtrArray) some = NULL;
    g_autoptr(GError) error = NULL;

    add_three(f);
    for (gsize total = 0; total <= SP_CAPTURE_READ_MAX; total += 65000)
        add_udp(f, 0, 9, 65000);
    some = read_good(f, "port 53");
    g_assert_cmpuint(some->len, ==, 2);
    g_assert_null(sp_capture_read_frames(f->path, "udp", &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
    g_assert_nonnull(strstr(error->message, "narrower"));
}

static void test_missing(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(sp_capture_read_frames("/nowhere/at/all", NULL, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_HOST);
    g_assert_nonnull(strstr(error->message, "/nowhere/at/all"));
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*test)(Fixture *f, gconstpointer data);
    } tests[] = {
        {"/capture-reader/filter", test_filter},
        {"/capture-reader/bad-filter", test_bad_filter},
        {"/capture-reader/empty", test_empty},
        {"/capture-reader/truncated", test_truncated},
        {"/capture-reader/garbage", test_garbage},
        {"/capture-reader/other-link", test_other_link},
        {"/capture-reader/much", test_much},
        {"/capture-reader/missing", test_missing},
    };

    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, Fixture, NULL, set_up, tests[i].test, tear_down);
    return g_test_run();
}
