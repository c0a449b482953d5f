/* SPDX-License-Identifier: MIT */
#include "fake-agent.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void fake_turn(void)
{
    while (g_main_context_iteration(NULL, FALSE))
        ;
}

void fake_say(FakeAgent *f, enum sp_agent_frame_type type, guint32 channel, uint16_t stream,
    const void *payload, gsize length)
{
    guint8 header[SP_AGENT_FRAME_HEADER_SIZE];

    g_assert_cmpint(sp_agent_frame_encode_header(header, type, stream, channel, length), ==, 0);
    g_assert_cmpint(write(f->fd, header, sizeof header), ==, sizeof header);
    if (length > 0)
        g_assert_cmpint(write(f->fd, payload, length), ==, length);
    fake_turn();
}

struct sp_agent_frame fake_hear(FakeAgent *f)
{
    static guint8 buffer[2 * SP_AGENT_FRAME_PAYLOAD_MAX];
    struct sp_agent_frame frame;
    ssize_t n;

    for (;;) {
        fake_turn();
        n = sp_agent_frame_decode(f->heard->data, f->heard->len, &frame);
        g_assert_cmpint(n, >=, 0);
        if (n > 0)
            break;
        n = recv(f->fd, buffer, sizeof buffer, MSG_DONTWAIT);
        g_assert_true(n > 0 || errno == EAGAIN);
        if (n > 0)
            g_byte_array_append(f->heard, buffer, (guint)n);
    }
    memcpy(buffer, frame.payload, frame.length);
    frame.payload = buffer;
    g_byte_array_remove_range(f->heard, 0, (guint)n);
    return frame;
}

void fake_hear_hello(FakeAgent *f)
{
    struct sp_agent_frame frame = fake_hear(f);

    g_assert_cmpint(frame.type, ==, SP_AGENT_FRAME_HELLO);
    g_assert_cmpuint(frame.length, ==, SP_HELLO_MAGIC_SIZE + 4 + SP_NONCE_SIZE);
    memset(f->hello, 0x42, sizeof f->hello);
    memcpy(f->hello, frame.payload, frame.length);
}

void fake_set_up(FakeAgent *f)
{
    int pair[2], held = FAKE_SOCKET_HOLDS;

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
    g_assert_cmpint(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &held, sizeof held), ==, 0);
    f->agent = sp_agent_new(pair[0]);
    f->fd = pair[1];
    f->heard = g_byte_array_new();
    fake_hear_hello(f);
}

void fake_connect(FakeAgent *f)
{
    fake_set_up(f);
    fake_say(f, SP_AGENT_FRAME_HELLO, 0, 0, f->hello, sizeof f->hello);
    g_assert_true(sp_agent_is_ready(f->agent));
}

void fake_tear_down(FakeAgent *f)
{
    sp_agent_free(f->agent);
    close(f->fd);
    g_byte_array_unref(f->heard);
}

gsize fake_connect_again(FakeAgent *f)
{
    guint8 buffer[65536];
    ssize_t at;

    while ((at = sp_agent_frame_find_hello(f->heard->data, f->heard->len)) < 0) {
        ssize_t n = recv(f->fd, buffer, sizeof buffer, MSG_DONTWAIT);

        g_assert_true(n > 0 || errno == EAGAIN);
        if (n > 0)
            g_byte_array_append(f->heard, buffer, (guint)n);
        fake_turn();
    }
    g_byte_array_remove_range(f->heard, 0, (guint)at);
    fake_hear_hello(f);
    fake_say(f, SP_AGENT_FRAME_HELLO, 0, 0, f->hello, sizeof f->hello);
    g_assert_true(sp_agent_is_ready(f->agent));
    return (gsize)at;
}
