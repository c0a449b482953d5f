/* SPDX-License-Identifier: MIT */

/* Requests to a fake agent: the test chooses every byte that it sends. */

#include "base/error.h"
#include "fake-agent.h"
#include "lib/byte-order.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static void test_command(void)
{
    const char *const argv[] = {"echo", "a b", NULL};
    const guint8 exit_3[8] = {0, 0, 0, 0, 3}, signal_9[8] = {1, 0, 0, 0, 9};
    FakeAgent f;
    SpChannel *channel, *killed;
    struct sp_agent_frame frame;

    fake_connect(&f);
    channel = sp_agent_exec(f.agent, argv);
    frame = fake_hear(&f);
    g_assert_cmpint(frame.type, ==, SP_AGENT_FRAME_EXEC);
    g_assert_cmpmem(frame.payload + 12, frame.length - 12, "echo\0a b", 9);
    g_assert_cmpint(fake_hear(&f).type, ==, SP_AGENT_FRAME_END); /* no stdin */
    fake_say(&f, SP_AGENT_FRAME_DATA, frame.channel, SP_STREAM_STDOUT, "out", 3);
    fake_say(&f, SP_AGENT_FRAME_DATA, frame.channel, SP_STREAM_STDERR, "err", 3);
    g_assert_false(sp_channel_is_done(channel, NULL));
    fake_say(&f, SP_AGENT_FRAME_EXIT, frame.channel, 0, exit_3, sizeof exit_3);
    g_assert_true(sp_channel_is_done(channel, NULL));
    g_assert_cmpint(sp_channel_status(channel), ==, 3);
    g_assert_cmpstr(sp_channel_output(channel)->str, ==, "out");
    g_assert_cmpstr(sp_channel_errors(channel)->str, ==, "err");
    /* frames after the end belong to no channel, and do no harm */
    fake_say(&f, SP_AGENT_FRAME_DATA, frame.channel, SP_STREAM_STDOUT, "more", 4);
    g_assert_true(sp_agent_is_ready(f.agent));
    killed = sp_agent_exec(f.agent, argv);
    frame = fake_hear(&f);
    fake_say(&f, SP_AGENT_FRAME_EXIT, frame.channel, 0, signal_9, sizeof signal_9);
    g_assert_cmpint(sp_channel_status(killed), ==, 128 + 9);
    sp_channel_free(channel);
    sp_channel_free(killed);
    fake_tear_down(&f);
}

static void on_terminal(const guint8 *bytes, gsize length, void *data)
{
    g_string_append_len(data, (const char *)bytes, (gssize)length);
    g_string_append_c(data, '|');
}

static void test_terminal(void)
{
    const char *const argv[] = {"vi", "a b", NULL}, *const environment[] = {"TERM=x", NULL};
    const guint8 opening[] = "\1\0\0\0\x18\0\x2c\1\2\0\0\0vi\0a b\0TERM=x";
    const guint8 exit_0[8] = {0}, credit[4] = {5};
    g_autoptr(GString) output = g_string_new(NULL);
    g_autofree guint8 *much = g_malloc0(SP_AGENT_FRAME_PAYLOAD_MAX);
    FakeAgent f;
    SpChannel *channel;
    struct sp_agent_frame frame;

    fake_connect(&f);
    channel = sp_agent_exec_terminal(f.agent, argv, environment, 24, 300, on_terminal, output);
    frame = fake_hear(&f);
    g_assert_cmpint(frame.type, ==, SP_AGENT_FRAME_EXEC);
    g_assert_cmpmem(frame.payload, frame.length, opening, sizeof opening);
    sp_channel_write(channel, (const guint8 *)"\3x", 2);
    frame = fake_hear(&f); /* and no END */
    g_assert_cmpint(frame.type, ==, SP_AGENT_FRAME_DATA);
    g_assert_cmpmem(frame.payload, frame.length, "\3x", 2);
    sp_channel_resize(channel, 70000, 1);
    frame = fake_hear(&f);
    g_assert_cmpint(frame.type, ==, SP_AGENT_FRAME_RESIZE);
    g_assert_cmpmem(frame.payload, frame.length, "\xff\xff\1\0", 4);
    fake_say(&f, SP_AGENT_FRAME_DATA, frame.channel, SP_STREAM_STDOUT, "out", 3);
    fake_say(&f, SP_AGENT_FRAME_DATA, frame.channel, SP_STREAM_STDOUT, NULL, 0);
    g_assert_cmpstr(output->str, ==, "out|");
    g_assert_cmpuint(sp_channel_output(channel)->len, ==, 0);

    /* no more than the credit allows, and a call when there is more */
    for (gsize left = SP_INITIAL_CREDIT - 2; left > 0;) {
        gsize room = sp_channel_room(channel);
        g_assert_cmpuint(room, ==, MIN(left, SP_AGENT_FRAME_PAYLOAD_MAX));
        sp_channel_write(channel, much, SP_AGENT_FRAME_PAYLOAD_MAX);
        frame = fake_hear(&f);
        g_assert_cmpuint(frame.length, ==, room);
        left -= room;
    }
    g_assert_cmpuint(sp_channel_room(channel), ==, 0);
    fake_say(&f, SP_AGENT_FRAME_CREDIT, frame.channel, 0, credit, sizeof credit);
    g_assert_cmpstr(output->str, ==, "out||");
    g_assert_cmpuint(sp_channel_room(channel), ==, 5);

    fake_say(&f, SP_AGENT_FRAME_EXIT, frame.channel, 0, exit_0, sizeof exit_0);
    g_assert_true(sp_channel_is_done(channel, NULL));
    g_assert_cmpuint(sp_channel_room(channel), ==, 0);
    sp_channel_write(channel, much, 1);
    sp_channel_resize(channel, 1, 1);
    sp_channel_free(channel);
    fake_tear_down(&f);
}

static void test_cancel_and_errors(void)
{
    const char *const argv[] = {"sleep", NULL};
    const guint8 enoent[] = {2, 0, 0, 0, 'g', 'o', 'n', 'e'};
    FakeAgent f;
    SpChannel *channel;
    g_autoptr(GError) error = NULL;
    guint32 id;

    fake_connect(&f);
    channel = sp_agent_exec(f.agent, argv);
    id = fake_hear(&f).channel;
    fake_hear(&f);
    sp_channel_free(channel);
    struct sp_agent_frame frame = fake_hear(&f);
    g_assert_cmpint(frame.type, ==, SP_AGENT_FRAME_CANCEL);
    g_assert_cmpuint(frame.channel, ==, id);
    channel = sp_agent_watch(f.agent, SP_WATCH_FILE, "/x");
    id = fake_hear(&f).channel;
    fake_say(&f, SP_AGENT_FRAME_STATE, id, 0, "0", 2);
    g_assert_cmpstr(sp_channel_state(channel, NULL)[0], ==, "0");
    fake_say(&f, SP_AGENT_FRAME_ERROR, id, 0, enoent, sizeof enoent);
    g_assert_true(sp_channel_is_done(channel, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_GUEST);
    g_assert_cmpstr(error->message, ==, "gone");
    sp_channel_free(channel);
    fake_tear_down(&f);
}

/* A file arrives whole, and never exceeds the credit. */
static void test_put(void)
{
    const gsize size = 3 * 1024 * 1024 + 17;
    guint8 credit[4], done[8] = {0};
    FakeAgent f;
    int fd = memfd_create("put", MFD_CLOEXEC);
    gsize got = 0, granted = SP_INITIAL_CREDIT;
    SpChannel *channel;
    struct sp_agent_frame frame;
    guint32 id;

    for (gsize i = 0; i < size; i++) {
        guint8 byte = (guint8)(i * 7 + i / 256);
        if (write(fd, &byte, 1) != 1)
            g_error("memfd");
    }
    lseek(fd, 0, SEEK_SET);
    fake_connect(&f);
    channel = sp_agent_put(f.agent, fd, "/target", 0640);
    frame = fake_hear(&f);
    id = frame.channel;
    g_assert_cmpint(frame.type, ==, SP_AGENT_FRAME_PUT);
    g_assert_cmpint(frame.payload[0] | frame.payload[1] << 8, ==, 0640);
    for (;;) {
        if (got == granted) {
            /* nothing is sent without credit */
            fake_turn();
            g_assert_cmpint(recv(f.fd, credit, 1, MSG_DONTWAIT | MSG_PEEK), ==, -1);
            sp_put_le32(credit, SP_INITIAL_CREDIT);
            fake_say(&f, SP_AGENT_FRAME_CREDIT, id, 0, credit, sizeof credit);
            granted += SP_INITIAL_CREDIT;
        }
        frame = fake_hear(&f);
        if (frame.type == SP_AGENT_FRAME_END)
            break;
        g_assert_cmpint(frame.type, ==, SP_AGENT_FRAME_DATA);
        for (gsize i = 0; i < frame.length; i++) {
            gsize at = got + i;
            g_assert_cmpint(frame.payload[i], ==, (guint8)(at * 7 + at / 256));
        }
        got += frame.length;
        g_assert_cmpuint(got, <=, granted);
    }
    g_assert_cmpuint(got, ==, size);
    g_assert_false(sp_channel_is_done(channel, NULL));
    fake_say(&f, SP_AGENT_FRAME_EXIT, id, 0, done, sizeof done);
    g_assert_true(sp_channel_is_done(channel, NULL));
    sp_channel_free(channel);
    fake_tear_down(&f);
}

/* A guest can't write to the host's file that is sent to it. */
static void test_put_answered_by_data(void)
{
    g_autoptr(GError) error = NULL;
    int fd = memfd_create("put", MFD_CLOEXEC), copy = dup(fd);
    char buffer[16] = "";
    FakeAgent f;
    SpChannel *channel;
    guint32 id;

    fake_connect(&f);
    channel = sp_agent_put(f.agent, fd, "/target", 0640);
    id = fake_hear(&f).channel;
    fake_say(&f, SP_AGENT_FRAME_DATA, id, SP_STREAM_STDOUT, "evil", 4);
    g_assert_true(sp_channel_is_done(channel, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_PROTOCOL);
    g_assert_cmpint(pread(copy, buffer, sizeof buffer, 0), ==, 0);
    sp_channel_free(channel);
    fake_tear_down(&f);
    close(copy);
}

static void test_get(void)
{
    const guint8 done[8] = {0};
    char buffer[16] = "";
    int fd = memfd_create("get", MFD_CLOEXEC), copy = dup(fd);
    FakeAgent f;
    SpChannel *channel;
    guint32 id;

    fake_connect(&f);
    channel = sp_agent_get(f.agent, "/source", fd);
    id = fake_hear(&f).channel;
    fake_say(&f, SP_AGENT_FRAME_DATA, id, SP_STREAM_STDOUT, "con", 3);
    fake_say(&f, SP_AGENT_FRAME_DATA, id, SP_STREAM_STDOUT, "tent", 4);
    fake_say(&f, SP_AGENT_FRAME_END, id, SP_STREAM_STDOUT, NULL, 0);
    fake_say(&f, SP_AGENT_FRAME_EXIT, id, 0, done, sizeof done);
    g_assert_true(sp_channel_is_done(channel, NULL));
    g_assert_cmpint(pread(copy, buffer, sizeof buffer, 0), ==, 7);
    g_assert_cmpstr(buffer, ==, "content");
    sp_channel_free(channel);
    close(copy);
    fake_tear_down(&f);
}

static void assert_lost(SpChannel *channel, const char *reason, int taken_fd)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(sp_channel_is_done(channel, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_MACHINE);
    g_assert_cmpstr(error->message, ==, reason);
    g_assert_cmpint(fcntl(taken_fd, F_GETFD), ==, -1);
}

/* After a reset the guest gets nothing more of a file that was being sent. */
static void test_reset_in_put(void)
{
    guint8 credit[4];
    const guint8 done[8] = {0};
    int fd = memfd_create("put", MFD_CLOEXEC), next;
    FakeAgent f;
    SpChannel *channel, *again;
    struct sp_agent_frame frame;
    guint32 id;

    g_assert_cmpint(ftruncate(fd, 3 * 1024 * 1024), ==, 0);
    fake_connect(&f);
    channel = sp_agent_put(f.agent, fd, "/target", 0640);
    id = fake_hear(&f).channel;
    g_assert_cmpint(fake_hear(&f).type, ==, SP_AGENT_FRAME_DATA);
    sp_agent_reset(f.agent, "the guest was reset");
    assert_lost(channel, "the guest was reset", fd);
    /* what the driver had not sent yet is not sent any more */
    g_assert_cmpuint(fake_connect_again(&f), <=, 4 * FAKE_SOCKET_HOLDS);
    sp_put_le32(credit, SP_INITIAL_CREDIT);
    fake_say(&f, SP_AGENT_FRAME_CREDIT, id, 0, credit, sizeof credit);
    next = memfd_create("next", MFD_CLOEXEC);
    g_assert_cmpint(pwrite(next, "next", 4, 0), ==, 4);
    again = sp_agent_put(f.agent, next, "/target", 0640);
    frame = fake_hear(&f);
    g_assert_cmpint(frame.type, ==, SP_AGENT_FRAME_PUT);
    g_assert_cmpuint(frame.channel, !=, id);
    id = frame.channel;
    frame = fake_hear(&f);
    g_assert_cmpuint(frame.channel, ==, id);
    g_assert_cmpmem(frame.payload, frame.length, "next", 4);
    g_assert_cmpint(fake_hear(&f).type, ==, SP_AGENT_FRAME_END);
    fake_say(&f, SP_AGENT_FRAME_EXIT, id, 0, done, sizeof done);
    g_assert_true(sp_channel_is_done(again, NULL));
    sp_channel_free(channel);
    sp_channel_free(again);
    fake_tear_down(&f);
}

/* Half a frame from before the reset is not joined with what follows it. */
static void test_reset_in_get(void)
{
    guint8 half[SP_AGENT_FRAME_HEADER_SIZE + 2] = {0};
    char buffer[16] = "";
    int fd = memfd_create("get", MFD_CLOEXEC), copy = dup(fd);
    FakeAgent f;
    SpChannel *channel;
    guint32 id;

    fake_connect(&f);
    channel = sp_agent_get(f.agent, "/source", fd);
    id = fake_hear(&f).channel;
    fake_say(&f, SP_AGENT_FRAME_DATA, id, SP_STREAM_STDOUT, "con", 3);
    sp_agent_frame_encode_header(half, SP_AGENT_FRAME_DATA, SP_STREAM_STDOUT, id, 4);
    g_assert_cmpint(write(f.fd, half, sizeof half), ==, sizeof half);
    fake_turn();
    sp_agent_reset(f.agent, "the guest was reset");
    assert_lost(channel, "the guest was reset", fd);
    fake_connect_again(&f);
    fake_say(&f, SP_AGENT_FRAME_DATA, id, SP_STREAM_STDOUT, "tent", 4);
    g_assert_true(sp_agent_is_ready(f.agent));
    g_assert_cmpint(pread(copy, buffer, sizeof buffer, 0), ==, 3);
    g_assert_cmpstr(buffer, ==, "con");
    sp_channel_free(channel);
    close(copy);
    fake_tear_down(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/agent-channel/command", test_command);
    g_test_add_func("/agent-channel/terminal", test_terminal);
    g_test_add_func("/agent-channel/cancel-and-errors", test_cancel_and_errors);
    g_test_add_func("/agent-channel/put", test_put);
    g_test_add_func("/agent-channel/put-answered-by-data", test_put_answered_by_data);
    g_test_add_func("/agent-channel/get", test_get);
    g_test_add_func("/agent-channel/reset-in-put", test_reset_in_put);
    g_test_add_func("/agent-channel/reset-in-get", test_reset_in_get);
    return g_test_run();
}
