/* SPDX-License-Identifier: MIT */
#include "lib/agent-frame.h"
#include "lib/byte-order.h"

#include <errno.h>
#include <glib.h>
#include <stdbool.h>
#include <string.h>

#define PAYLOAD "some bytes"

/* A frame in a buffer of exactly its size, so that a sanitizer sees a read past its end. */
static uint8_t *make(enum sp_agent_frame_type type, uint16_t stream, uint32_t channel,
    const void *payload, size_t length, size_t *ret_size)
{
    uint8_t *data = g_malloc(SP_AGENT_FRAME_HEADER_SIZE + length);

    g_assert_cmpint(sp_agent_frame_encode_header(data, type, stream, channel, length), ==, 0);
    memcpy(data + SP_AGENT_FRAME_HEADER_SIZE, payload, length);
    *ret_size = SP_AGENT_FRAME_HEADER_SIZE + length;
    return data;
}

static void test_round_trip(void)
{
    for (int type = SP_AGENT_FRAME_HELLO; type < SP_AGENT_FRAME_TYPE_END_; type++) {
        size_t size;
        uint16_t stream = type == SP_AGENT_FRAME_DATA ? SP_STREAM_STDERR : 0;
        g_autofree uint8_t *data = make(
            (enum sp_agent_frame_type)type, stream, 0x89abcdef, PAYLOAD, sizeof PAYLOAD, &size);
        struct sp_agent_frame frame;

        g_assert_cmpint(sp_agent_frame_decode(data, size, &frame), ==, (ssize_t)size);
        g_assert_cmpint(frame.type, ==, type);
        g_assert_cmpuint(frame.stream, ==, stream);
        g_assert_cmpuint(frame.channel, ==, 0x89abcdef);
        g_assert_cmpmem(frame.payload, frame.length, PAYLOAD, sizeof PAYLOAD);
    }
}

static void test_truncated(void)
{
    size_t size;
    g_autofree uint8_t *data = make(SP_AGENT_FRAME_DATA, 1, 7, PAYLOAD, sizeof PAYLOAD, &size);

    for (size_t length = 0; length < size; length++) {
        g_autofree uint8_t *part = g_memdup2(data, length);
        struct sp_agent_frame frame = {.channel = 99};

        g_assert_cmpint(sp_agent_frame_decode(part, length, &frame), ==, 0);
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
        {1, SP_AGENT_FRAME_TYPE_END_, -EPROTO},
        {2, 3, -EPROTO}, /* no such stream */
        {3, 1, -EPROTO},
        {10, 5, -EMSGSIZE},
        {11, 0x80, -EMSGSIZE},
    };
    uint8_t header[SP_AGENT_FRAME_HEADER_SIZE];
    struct sp_agent_frame frame;

    for (size_t i = 0; i < G_N_ELEMENTS(faults); i++) {
        size_t size;
        g_autofree uint8_t *data = make(SP_AGENT_FRAME_DATA, 1, 7, PAYLOAD, sizeof PAYLOAD, &size);
        data[faults[i].offset] = faults[i].value;
        g_assert_cmpint(sp_agent_frame_decode(data, size, &frame), ==, faults[i].error);
        /* known from the header alone */
        g_assert_cmpint(
            sp_agent_frame_decode(data, SP_AGENT_FRAME_HEADER_SIZE, &frame), ==, faults[i].error);
    }
    g_assert_cmpint(sp_agent_frame_encode_header(header, 0, 0, 1, 0), ==, -EINVAL);
    g_assert_cmpint(
        sp_agent_frame_encode_header(header, SP_AGENT_FRAME_TYPE_END_, 0, 1, 0), ==, -EINVAL);
    g_assert_cmpint(
        sp_agent_frame_encode_header(header, SP_AGENT_FRAME_DATA, 0, 1, SP_AGENT_FRAME_PAYLOAD_MAX),
        ==, 0);
    g_assert_cmpint(sp_agent_frame_encode_header(
                        header, SP_AGENT_FRAME_DATA, 0, 1, SP_AGENT_FRAME_PAYLOAD_MAX + 1),
        ==, -EMSGSIZE);
}

static void test_find_hello(void)
{
    const char garbage[] = "slotproof-agen\xa9\x01junk slotproof-agent";
    size_t size;
    g_autofree uint8_t *hello =
        make(SP_AGENT_FRAME_HELLO, 0, 0, SP_HELLO_MAGIC, SP_HELLO_MAGIC_SIZE, &size);
    g_autoptr(GByteArray) stream = g_byte_array_new();

    g_byte_array_append(stream, (const guint8 *)garbage, sizeof garbage);
    g_assert_cmpint(sp_agent_frame_find_hello(stream->data, stream->len), ==, -EAGAIN);
    for (size_t i = 0; i < size; i++) {
        g_assert_cmpint(sp_agent_frame_find_hello(stream->data, stream->len), ==, -EAGAIN);
        g_byte_array_append(stream, hello + i, 1);
    }
    g_assert_cmpint(sp_agent_frame_find_hello(stream->data, stream->len), ==, sizeof garbage);
    /* the magic string after another header does not count */
    stream->data[sizeof garbage + 4] = 1;
    g_assert_cmpint(sp_agent_frame_find_hello(stream->data, stream->len), ==, -EAGAIN);
    /* nor is one with only part of a header, of which nothing may be read before the start */
    for (size_t cut = 1; cut < size; cut++) {
        g_autofree uint8_t *rest = g_memdup2(hello + cut, size - cut);
        g_assert_cmpint(sp_agent_frame_find_hello(rest, size - cut), ==, -EAGAIN);
    }
}

static void test_payload(void)
{
    const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 'a', 'b', 0, 'c'};
    const struct sp_agent_frame frame = {.payload = bytes, .length = sizeof bytes};
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

/* What sp_agent_frame_decode() returns for a header, without its payload. */
static void test_header_alone(void)
{
    size_t size;
    g_autofree uint8_t *data = make(SP_AGENT_FRAME_DATA, 2, 7, PAYLOAD, sizeof PAYLOAD, &size);
    struct sp_agent_frame frame = {.channel = 99};

    for (size_t length = 0; length < SP_AGENT_FRAME_HEADER_SIZE; length++) {
        g_autofree uint8_t *part = g_memdup2(data, length);
        g_assert_cmpint(sp_agent_frame_decode_header(part, length, &frame), ==, 0);
        g_assert_cmpuint(frame.channel, ==, 99);
    }
    g_assert_cmpint(sp_agent_frame_decode_header(data, SP_AGENT_FRAME_HEADER_SIZE, &frame), ==, 12);
    g_assert_cmpuint(frame.type, ==, SP_AGENT_FRAME_DATA);
    g_assert_cmpuint(frame.stream, ==, 2);
    g_assert_cmpuint(frame.channel, ==, 7);
    g_assert_cmpuint(frame.length, ==, sizeof PAYLOAD);
    g_assert_null(frame.payload);
}

/* Every type, and every stream that it may not have, both ways. */
static void test_streams(void)
{
    for (int type = SP_AGENT_FRAME_HELLO; type < SP_AGENT_FRAME_TYPE_END_; type++) {
        bool has_stream = type == SP_AGENT_FRAME_DATA || type == SP_AGENT_FRAME_END ||
                          type == SP_AGENT_FRAME_CREDIT;
        for (uint16_t stream = 0; stream < 5; stream++) {
            bool is_right = stream <= (has_stream ? SP_STREAM_STDERR : 0);
            uint8_t header[SP_AGENT_FRAME_HEADER_SIZE];
            struct sp_agent_frame frame;
            g_assert_cmpint(
                sp_agent_frame_encode_header(header, (enum sp_agent_frame_type)type, stream, 1, 0),
                ==, is_right ? 0 : -EINVAL);
            g_assert_cmpint(
                sp_agent_frame_encode_header(header, (enum sp_agent_frame_type)type, 0, 1, 0), ==,
                0);
            sp_put_le16(header + 2, stream);
            g_assert_cmpint(sp_agent_frame_decode(header, sizeof header, &frame), ==,
                is_right ? (ssize_t)SP_AGENT_FRAME_HEADER_SIZE : -EPROTO);
        }
    }
}

/* Pieces of all sizes, of which only as much is kept as sp_agent_frame_find_hello() needs. */
static void test_find_hello_in_pieces(void)
{
    const guint keep = SP_AGENT_FRAME_HEADER_SIZE + SP_HELLO_MAGIC_SIZE - 1;
    size_t size;
    g_autofree uint8_t *hello =
        make(SP_AGENT_FRAME_HELLO, 0, 0, SP_HELLO_MAGIC, SP_HELLO_MAGIC_SIZE, &size);
    g_autoptr(GByteArray) stream = g_byte_array_new();
    guint begin;

    for (int i = 0; i < 100; i++)
        g_byte_array_append(stream, (const guint8 *)"\xa9\x01slotproof", 11);
    begin = stream->len;
    g_byte_array_append(stream, hello, (guint)size);
    for (guint piece = 1; piece < 200; piece++) {
        g_autoptr(GByteArray) kept = g_byte_array_new();
        guint dropped = 0, at = 0;
        ssize_t found = -EAGAIN;

        while (found < 0 && at < stream->len) {
            guint n = MIN(piece, stream->len - at);
            g_byte_array_append(kept, stream->data + at, n);
            at += n;
            found = sp_agent_frame_find_hello(kept->data, kept->len);
            if (found < 0 && kept->len > keep) {
                dropped += kept->len - keep;
                g_byte_array_remove_range(kept, 0, kept->len - keep);
            }
        }
        g_assert_cmpint(found, >=, 0);
        g_assert_cmpuint(dropped + (guint)found, ==, begin);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/agent-frame/round-trip", test_round_trip);
    g_test_add_func("/agent-frame/truncated", test_truncated);
    g_test_add_func("/agent-frame/broken", test_broken);
    g_test_add_func("/agent-frame/find-hello", test_find_hello);
    g_test_add_func("/agent-frame/payload", test_payload);
    g_test_add_func("/agent-frame/header-alone", test_header_alone);
    g_test_add_func("/agent-frame/streams", test_streams);
    g_test_add_func("/agent-frame/find-hello-in-pieces", test_find_hello_in_pieces);
    return g_test_run();
}
