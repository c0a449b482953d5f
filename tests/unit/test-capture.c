/* SPDX-License-Identifier: MIT */
#include "network/capture.h"

#include <glib/gstdio.h>
#include <string.h>

typedef struct {
    char *dir, *path;
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    f->dir = g_dir_make_tmp("slotproof-test-XXXXXX", NULL);
    f->path = g_build_filename(f->dir, "net.pcapng", NULL);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    g_unlink(f->path);
    g_rmdir(f->dir);
    g_free(f->path);
    g_free(f->dir);
}

static SpCapture *open_capture(Fixture *f)
{
    g_autoptr(GError) error = NULL;
    SpCapture *capture = sp_capture_new(f->path, &error);

    g_assert_no_error(error);
    return capture;
}

static guint32 number_at(const char *bytes)
{
    guint32 number;

    memcpy(&number, bytes, sizeof number);
    return number;
}

/* The blocks of a file, each as its type and what is between its two lengths. */
typedef struct {
    guint32 type;
    const char *body;
    gsize length;
} Block;

static guint read_blocks(const char *bytes, gsize length, Block *blocks, guint max)
{
    guint count = 0;

    while (length > 0) {
        guint32 size;

        g_assert_cmpuint(length, >=, 12);
        g_assert_cmpuint(count, <, max);
        size = number_at(bytes + 4);
        g_assert_cmpuint(size, >=, 12);
        g_assert_cmpuint(size, <=, length);
        g_assert_cmpuint(size % 4, ==, 0);
        g_assert_cmpuint(number_at(bytes + size - 4), ==, size);
        blocks[count++] = (Block){.type = number_at(bytes), .body = bytes + 8, .length = size - 12};
        bytes += size;
        length -= size;
    }
    return count;
}

#define TIME_US G_GINT64_CONSTANT(1700000000123456)

/* Section 4 of the draft, block for block: frames of each length modulo 4. */
static void test_blocks(Fixture *f, gconstpointer data)
{
    static const char frame[] = "0123456789abcdefgh";
    SpCapture *capture = open_capture(f);
    g_autofree char *bytes = NULL;
    Block blocks[8];
    gsize length;

    g_assert_cmpuint(sp_capture_add_interface(capture, "wan"), ==, 0);
    g_assert_cmpuint(sp_capture_add_interface(capture, "lan"), ==, 1);
    for (guint i = 0; i < 4; i++)
        sp_capture_frame(capture, i % 2, TIME_US + i, (const guint8 *)frame, 14 + i);
    sp_capture_free(capture);
    g_assert_true(g_file_get_contents(f->path, &bytes, &length, NULL));
    g_assert_cmpuint(read_blocks(bytes, length, blocks, G_N_ELEMENTS(blocks)), ==, 7);

    g_assert_cmphex(blocks[0].type, ==, 0x0a0d0d0a);
    g_assert_cmphex(number_at(blocks[0].body), ==, 0x1a2b3c4d);
    g_assert_cmpuint(blocks[0].length, ==, 16);
    g_assert_cmphex(blocks[1].type, ==, 1);
    g_assert_cmpuint(number_at(blocks[1].body) & 0xffff, ==, 1);      /* Ethernet */
    g_assert_cmpuint(number_at(blocks[1].body + 8), ==, 3 << 16 | 2); /* if_name of 3 bytes */
    g_assert_cmpmem(blocks[1].body + 12, 4, "wan", 4);
    g_assert_cmpmem(blocks[2].body + 12, 4, "lan", 4);
    g_assert_cmpuint(number_at(blocks[2].body + 16), ==, 0); /* the end of the options */
    for (guint i = 0; i < 4; i++) {
        const Block *block = &blocks[3 + i];
        guint64 time = (guint64)number_at(block->body + 4) << 32 | number_at(block->body + 8);

        g_assert_cmphex(block->type, ==, 6);
        g_assert_cmpuint(number_at(block->body), ==, i % 2);
        g_assert_cmpuint(time, ==, TIME_US + i);
        g_assert_cmpuint(number_at(block->body + 12), ==, 14 + i);
        g_assert_cmpuint(number_at(block->body + 16), ==, 14 + i);
        g_assert_cmpuint(block->length, ==, 20 + 16 + (i > 2 ? 4 : 0));
        g_assert_cmpmem(block->body + 20, 14 + i, frame, 14 + i);
    }
}

/* More than the buffer holds, and a name that is longer than an option can be. */
static void test_large(Fixture *f, gconstpointer data)
{
    g_autofree char *name = g_strnfill(100000, 'n');
    g_autofree guint8 *frame = g_malloc0(65550);
    SpCapture *capture = open_capture(f);
    g_autofree char *bytes = NULL;
    Block blocks[40];
    gsize length;

    sp_capture_add_interface(capture, name);
    for (guint i = 0; i < 20; i++)
        sp_capture_frame(capture, 0, TIME_US, frame, 65550);
    sp_capture_flush(capture);
    g_assert_true(g_file_get_contents(f->path, &bytes, &length, NULL));
    g_assert_cmpuint(read_blocks(bytes, length, blocks, G_N_ELEMENTS(blocks)), ==, 22);
    g_assert_cmpuint(blocks[1].length, <, 300);
    g_assert_null(sp_capture_error(capture));
    sp_capture_free(capture);
}

/* An existing file is replaced, not appended to. */
static void test_replaced(Fixture *f, gconstpointer data)
{
    g_autofree char *bytes = NULL;
    Block blocks[2];
    gsize length;

    g_assert_true(g_file_set_contents(f->path, "something longer than a section header", -1, NULL));
    sp_capture_free(open_capture(f));
    g_assert_true(g_file_get_contents(f->path, &bytes, &length, NULL));
    g_assert_cmpuint(read_blocks(bytes, length, blocks, G_N_ELEMENTS(blocks)), ==, 1);
}

static void test_tshark(Fixture *f, gconstpointer data)
{
    g_autofree char *tshark = g_find_program_in_path("tshark");
    /* an ARP request, so that a dissector has something to read */
    static const guint8 arp[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 6, 0, 1,
        8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2};
    const char *const argv[] = {tshark, "-n", "-r", f->path, "-T", "fields", "-e",
        "frame.interface_name", "-e", "frame.time_epoch", "-e", "arp.dst.proto_ipv4", NULL};
    g_autofree char *output = NULL, *errors = NULL;
    g_autoptr(GError) error = NULL;
    SpCapture *capture = open_capture(f);
    int status;

    sp_capture_add_interface(capture, "gateway.0");
    sp_capture_add_interface(capture, "client.0");
    sp_capture_frame(capture, 1, TIME_US, arp, sizeof arp);
    sp_capture_free(capture);
    if (!tshark) {
        g_test_skip("tshark is not there to read the capture");
        return;
    }
    g_assert_true(g_spawn_sync(
        NULL, (char **)argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, &output, &errors, &status, &error));
    g_assert_cmpint(status, ==, 0);
    g_assert_cmpstr(output, ==, "client.0\t1700000000.123456000\t10.0.0.2\n");
    g_assert_null(strstr(errors, "cut short"));
    g_assert_null(strstr(errors, "malformed"));
}

/* Reported once, and no reason to stop. */
static void test_full(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SpCapture) capture = sp_capture_new("/dev/full", &error);
    guint8 frame[60] = {0};
    const GError *first;

    g_assert_no_error(error);
    sp_capture_frame(capture, sp_capture_add_interface(capture, "a"), 0, frame, sizeof frame);
    sp_capture_flush(capture);
    first = sp_capture_error(capture);
    g_assert_nonnull(first);
    g_assert_nonnull(strstr(first->message, "/dev/full"));
    g_assert_nonnull(strstr(first->message, "No space left"));
    sp_capture_frame(capture, 0, 0, frame, sizeof frame);
    sp_capture_flush(capture);
    g_assert_true(sp_capture_error(capture) == first);
    g_assert_null(sp_capture_new("/nowhere/at/all", &error));
    g_assert_nonnull(error);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/capture/blocks", Fixture, NULL, set_up, test_blocks, tear_down);
    g_test_add("/capture/large", Fixture, NULL, set_up, test_large, tear_down);
    g_test_add("/capture/replaced", Fixture, NULL, set_up, test_replaced, tear_down);
    g_test_add("/capture/tshark", Fixture, NULL, set_up, test_tshark, tear_down);
    g_test_add_func("/capture/full", test_full);
    return g_test_run();
}
