/* SPDX-License-Identifier: MIT */
#include "lib/frame.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#define PAYLOAD "some bytes"

/* A frame in a buffer of exactly its size, so that a sanitizer sees a read past its end. */
static uint8_t *make(enum sp_frame_type type, uint16_t stream, uint32_t channel,
    const void *payload, size_t length, size_t *ret_size)
{
    uint8_t *data = g_malloc(SP_FRAME_HEADER_SIZE + length);

    g_assert_cmpint(sp_frame_encode_header(data, type, stream, channel, length), ==, 0);
    memcpy(data + SP_FRAME_HEADER_SIZE, payload, length);
    *ret_size = SP_FRAME_HEADER_SIZE + length;
    return data;
}

static void test_round_trip(void)
{
    for (int type = SP_FRAME_HELLO; type < SP_FRAME_TYPE_END_; type++) {
        size_t size;
        uint16_t stream = type == SP_FRAME_DATA ? SP_STREAM_STDERR : 0;
        g_autofree uint8_t *data =
            make((enum sp_frame_type)type, stream, 0x89abcdef, PAYLOAD, sizeof PAYLOAD, &size);
        struct sp_frame frame;

        g_assert_cmpint(sp_frame_decode(data, size, &frame), ==, (ssize_t)size);
        g_assert_cmpint(frame.type, ==, type);
        g_assert_cmpuint(frame.stream, ==, stream);
        g_assert_cmpuint(frame.channel, ==, 0x89abcdef);
        g_assert_cmpmem(frame.payload, frame.length, PAYLOAD, sizeof PAYLOAD);
    }
}

static void test_truncated(void)
{
    size_t size;
    g_autofree uint8_t *data = make(SP_FRAME_DATA, 1, 7, PAYLOAD, sizeof PAYLOAD, &size);

    for (size_t length = 0; length < size; length++) {
        g_autofree uint8_t *part = g_memdup2(data, length);
        struct sp_frame frame = {.channel = 99};

        g_assert_cmpint(sp_frame_decode(part, length, &frame), ==, 0);
        g_assert_cmpuint(frame.channel, ==, 99);
    }
}

static void test_broken(void)
{
    static const struct {
        size_t offset;
        uint8_t value;
        ssize_t error;
    } faults[] = {
        {0, 0, -EPROTO},
        {1, 0, -EPROTO},
        {1, SP_FRAME_TYPE_END_, -EPROTO},
        {2, 3, -EPROTO}, /* no such stream */
        {3, 1, -EPROTO},
        {10, 5, -EMSGSIZE},
        {11, 0x80, -EMSGSIZE},
    };
    uint8_t header[SP_FRAME_HEADER_SIZE];
    struct sp_frame frame;

    for (size_t i = 0; i < G_N_ELEMENTS(faults); i++) {
        size_t size;
        g_autofree uint8_t *data = make(SP_FRAME_DATA, 1, 7, PAYLOAD, sizeof PAYLOAD, &size);
        data[faults[i].offset] = faults[i].value;
        g_assert_cmpint(sp_frame_decode(data, size, &frame), ==, faults[i].error);
        /* known from the header alone */
        g_assert_cmpint(sp_frame_decode(data, SP_FRAME_HEADER_SIZE, &frame), ==, faults[i].error);
    }
    g_assert_cmpint(sp_frame_encode_header(header, 0, 0, 1, 0), ==, -EINVAL);
    g_assert_cmpint(sp_frame_encode_header(header, SP_FRAME_TYPE_END_, 0, 1, 0), ==, -EINVAL);
    g_assert_cmpint(
        sp_frame_encode_header(header, SP_FRAME_DATA, 0, 1, SP_FRAME_PAYLOAD_MAX), ==, 0);
    g_assert_cmpint(sp_frame_encode_header(header, SP_FRAME_DATA, 0, 1, SP_FRAME_PAYLOAD_MAX + 1),
        ==, -EMSGSIZE);
}

static void test_find_hello(void)
{
    const char garbage[] = "slotproof-agen\xa9\x01junk slotproof-agent";
    size_t size;
    g_autofree uint8_t *hello =
        make(SP_FRAME_HELLO, 0, 0, SP_HELLO_MAGIC, SP_HELLO_MAGIC_SIZE, &size);
    g_autoptr(GByteArray) stream = g_byte_array_new();

    g_byte_array_append(stream, (const guint8 *)garbage, sizeof garbage);
    g_assert_cmpint(sp_frame_find_hello(stream->data, stream->len), ==, -EAGAIN);
    for (size_t i = 0; i < size; i++) {
        g_assert_cmpint(sp_frame_find_hello(stream->data, stream->len), ==, -EAGAIN);
        g_byte_array_append(stream, hello + i, 1);
    }
    g_assert_cmpint(sp_frame_find_hello(stream->data, stream->len), ==, sizeof garbage);
    /* the magic string with another header in front of it is none */
    stream->data[sizeof garbage + 4] = 1;
    g_assert_cmpint(sp_frame_find_hello(stream->data, stream->len), ==, -EAGAIN);
}

static void test_payload(void)
{
    const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 'a', 'b', 0, 'c'};
    const struct sp_frame frame = {.payload = bytes, .length = sizeof bytes};
    struct sp_payload p;
    const uint8_t *raw;
    const char *text;
    uint16_t u16;
    uint32_t u32;

    sp_payload_init(&p, &frame);
    g_assert_cmpint(sp_payload_take_u16(&p, &u16), ==, 0);
    g_assert_cmphex(u16, ==, 0x0201);
    g_assert_cmpint(sp_payload_take_u32(&p, &u32), ==, 0);
    g_assert_cmphex(u32, ==, 0x06050403);
    g_assert_cmpint(sp_payload_take_string(&p, &text), ==, 0);
    g_assert_cmpstr(text, ==, "ab");
    /* no NUL, too few bytes: nothing is taken */
    g_assert_cmpint(sp_payload_take_string(&p, &text), ==, -EBADMSG);
    g_assert_cmpint(sp_payload_take_u16(&p, &u16), ==, -EBADMSG);
    g_assert_cmpint(sp_payload_take_u32(&p, &u32), ==, -EBADMSG);
    g_assert_cmpint(sp_payload_take_bytes(&p, 2, &raw), ==, -EBADMSG);
    g_assert_cmpint(sp_payload_take_bytes(&p, 1, &raw), ==, 0);
    g_assert_cmpuint(p.left, ==, 0);
    g_assert_cmpint(sp_payload_take_string(&p, &text), ==, -EBADMSG);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/frame/round-trip", test_round_trip);
    g_test_add_func("/frame/truncated", test_truncated);
    g_test_add_func("/frame/broken", test_broken);
    g_test_add_func("/frame/find-hello", test_find_hello);
    g_test_add_func("/frame/payload", test_payload);
    return g_test_run();
}
