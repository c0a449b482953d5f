/* SPDX-License-Identifier: MIT */

/* The driver's end against an agent whose every byte the test chooses. */

#include "base/error.h"
#include "base/wait.h"
#include "machine/agent-client.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* What the driver has sent and the test not read; the kernel takes twice as much for its own. */
#define SOCKET_HOLDS 65536

typedef struct {
    SpAgent *agent;
    int fd;
    GByteArray *heard; /* frames of the driver's not looked at yet */
    guint8 hello[SP_HELLO_MAGIC_SIZE + 4 + SP_NONCE_SIZE + SP_BOOT_ID_SIZE];
} Fixture;

static void turn(void)
{
    while (g_main_context_iteration(NULL, FALSE))
        ;
}

static void say(Fixture *f, enum sp_frame_type type, guint32 channel, uint16_t stream,
    const void *payload, gsize length)
{
    guint8 header[SP_FRAME_HEADER_SIZE];

    g_assert_cmpint(sp_frame_encode_header(header, type, stream, channel, length), ==, 0);
    g_assert_cmpint(write(f->fd, header, sizeof header), ==, sizeof header);
    if (length > 0)
        g_assert_cmpint(write(f->fd, payload, length), ==, length);
    turn();
}

/* The driver's next frame; its payload lives until the next call. */
static struct sp_frame hear(Fixture *f)
{
    static guint8 buffer[2 * SP_FRAME_PAYLOAD_MAX];
    struct sp_frame frame;
    ssize_t n;

    for (;;) {
        turn();
        n = sp_frame_decode(f->heard->data, f->heard->len, &frame);
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

/* Take the driver's HELLO and make the answer to it. */
static void hear_hello(Fixture *f)
{
    struct sp_frame frame = hear(f);

    g_assert_cmpint(frame.type, ==, SP_FRAME_HELLO);
    g_assert_cmpuint(frame.length, ==, SP_HELLO_MAGIC_SIZE + 4 + SP_NONCE_SIZE);
    memset(f->hello, 0x42, sizeof f->hello);
    memcpy(f->hello, frame.payload, frame.length);
}

static void set_up(Fixture *f)
{
    int pair[2], held = SOCKET_HOLDS;

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
    g_assert_cmpint(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &held, sizeof held), ==, 0);
    f->agent = sp_agent_new(pair[0]);
    f->fd = pair[1];
    f->heard = g_byte_array_new();
    hear_hello(f);
}

static void connect_agent(Fixture *f)
{
    set_up(f);
    say(f, SP_FRAME_HELLO, 0, 0, f->hello, sizeof f->hello);
    g_assert_true(sp_agent_is_ready(f->agent));
}

static void tear_down(Fixture *f)
{
    sp_agent_free(f->agent);
    close(f->fd);
    g_byte_array_unref(f->heard);
}

static void test_hello(void)
{
    guint8 junk[100000];
    Fixture f;

    set_up(&f);
    memset(junk, SP_FRAME_MAGIC, sizeof junk);
    g_assert_cmpint(write(f.fd, junk, sizeof junk), ==, sizeof junk);
    /* an answer to somebody else's HELLO, then ours in two pieces */
    f.hello[SP_HELLO_MAGIC_SIZE + 4] ^= 1;
    say(&f, SP_FRAME_HELLO, 0, 0, f.hello, sizeof f.hello);
    g_assert_false(sp_agent_is_ready(f.agent));
    f.hello[SP_HELLO_MAGIC_SIZE + 4] ^= 1;
    say(&f, SP_FRAME_HELLO, 0, 0, f.hello, sizeof f.hello);
    g_assert_true(sp_agent_is_ready(f.agent));
    g_assert_cmpint(sp_agent_boot_id(f.agent)[0], ==, 0x42);
    tear_down(&f);

    set_up(&f);
    f.hello[SP_HELLO_MAGIC_SIZE] = 99;
    say(&f, SP_FRAME_HELLO, 0, 0, f.hello, sizeof f.hello);
    g_assert_error(sp_agent_error(f.agent), SP_ERROR, SP_ERROR_PROTOCOL);
    g_assert_nonnull(strstr(sp_agent_error(f.agent)->message, "version 99"));
    tear_down(&f);
}

/* Send @bytes again and again, to at least @total bytes. */
static void flood(Fixture *f, const guint8 *bytes, gsize length, gsize total)
{
    g_autoptr(GByteArray) chunk = g_byte_array_new();

    while (chunk->len < 65536)
        g_byte_array_append(chunk, bytes, (guint)length);
    for (gsize sent = 0; sent < total; sent += chunk->len) {
        g_assert_cmpint(write(f->fd, chunk->data, chunk->len), ==, chunk->len);
        turn();
    }
}

/* The rest of an earlier life of the guest is passed over, but not for ever. */
static void test_garbage_before_hello(void)
{
    guint8 hello[SP_FRAME_HEADER_SIZE + SP_HELLO_MAGIC_SIZE + 4 + SP_NONCE_SIZE + SP_BOOT_ID_SIZE];
    Fixture f;

    set_up(&f);
    flood(&f, (const guint8 *)"login: ", 7, 15 * 1024 * 1024);
    say(&f, SP_FRAME_HELLO, 0, 0, f.hello, sizeof f.hello);
    g_assert_true(sp_agent_is_ready(f.agent));
    tear_down(&f);

    set_up(&f);
    flood(&f, (const guint8 *)"login: ", 7, 17 * 1024 * 1024);
    g_assert_error(sp_agent_error(f.agent), SP_ERROR, SP_ERROR_PROTOCOL);
    g_assert_nonnull(strstr(sp_agent_error(f.agent)->message, "is not slotproof's agent"));
    /* who says that is still read from, and no longer listened to */
    flood(&f, (const guint8 *)"login: ", 7, 1024 * 1024);
    say(&f, SP_FRAME_HELLO, 0, 0, f.hello, sizeof f.hello);
    g_assert_false(sp_agent_is_ready(f.agent));
    tear_down(&f);

    /* answers to somebody else are no better */
    set_up(&f);
    f.hello[SP_HELLO_MAGIC_SIZE + 4] ^= 1;
    sp_frame_encode_header(hello, SP_FRAME_HELLO, 0, 0, sizeof f.hello);
    memcpy(hello + SP_FRAME_HEADER_SIZE, f.hello, sizeof f.hello);
    flood(&f, hello, sizeof hello, 17 * 1024 * 1024);
    g_assert_error(sp_agent_error(f.agent), SP_ERROR, SP_ERROR_PROTOCOL);
    tear_down(&f);
}

static void test_command(void)
{
    const char *const argv[] = {"echo", "a b", NULL};
    const guint8 exit_3[8] = {0, 0, 0, 0, 3}, signal_9[8] = {1, 0, 0, 0, 9};
    Fixture f;
    SpChannel *channel, *killed;
    struct sp_frame frame;

    connect_agent(&f);
    channel = sp_agent_exec(f.agent, argv);
    frame = hear(&f);
    g_assert_cmpint(frame.type, ==, SP_FRAME_EXEC);
    g_assert_cmpmem(frame.payload + 12, frame.length - 12, "echo\0a b", 9);
    g_assert_cmpint(hear(&f).type, ==, SP_FRAME_END); /* no stdin */
    say(&f, SP_FRAME_DATA, frame.channel, SP_STREAM_STDOUT, "out", 3);
    say(&f, SP_FRAME_DATA, frame.channel, SP_STREAM_STDERR, "err", 3);
    g_assert_false(sp_channel_is_done(channel, NULL));
    say(&f, SP_FRAME_EXIT, frame.channel, 0, exit_3, sizeof exit_3);
    g_assert_true(sp_channel_is_done(channel, NULL));
    g_assert_cmpint(sp_channel_status(channel), ==, 3);
    g_assert_cmpstr(sp_channel_output(channel)->str, ==, "out");
    g_assert_cmpstr(sp_channel_errors(channel)->str, ==, "err");
    /* what comes after the end belongs to nobody, and harms nobody */
    say(&f, SP_FRAME_DATA, frame.channel, SP_STREAM_STDOUT, "more", 4);
    g_assert_true(sp_agent_is_ready(f.agent));
    killed = sp_agent_exec(f.agent, argv);
    frame = hear(&f);
    say(&f, SP_FRAME_EXIT, frame.channel, 0, signal_9, sizeof signal_9);
    g_assert_cmpint(sp_channel_status(killed), ==, 128 + 9);
    sp_channel_free(channel);
    sp_channel_free(killed);
    tear_down(&f);
}

static void test_cancel_and_errors(void)
{
    const char *const argv[] = {"sleep", NULL};
    const guint8 enoent[] = {2, 0, 0, 0, 'g', 'o', 'n', 'e'};
    Fixture f;
    SpChannel *channel;
    g_autoptr(GError) error = NULL;
    guint32 id;

    connect_agent(&f);
    channel = sp_agent_exec(f.agent, argv);
    id = hear(&f).channel;
    hear(&f);
    sp_channel_free(channel);
    struct sp_frame frame = hear(&f);
    g_assert_cmpint(frame.type, ==, SP_FRAME_CANCEL);
    g_assert_cmpuint(frame.channel, ==, id);
    channel = sp_agent_watch(f.agent, SP_WATCH_FILE, "/x");
    id = hear(&f).channel;
    say(&f, SP_FRAME_STATE, id, 0, "0", 2);
    g_assert_cmpstr(sp_channel_state(channel, NULL)[0], ==, "0");
    say(&f, SP_FRAME_ERROR, id, 0, enoent, sizeof enoent);
    g_assert_true(sp_channel_is_done(channel, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_GUEST);
    g_assert_cmpstr(error->message, ==, "gone");
    sp_channel_free(channel);
    tear_down(&f);
}

/* A file arrives whole, and never more of it than credit was given. */
static void test_put(void)
{
    const gsize size = 3 * 1024 * 1024 + 17;
    guint8 credit[4], done[8] = {0};
    Fixture f;
    int fd = memfd_create("put", MFD_CLOEXEC);
    gsize got = 0, granted = SP_INITIAL_CREDIT;
    SpChannel *channel;
    struct sp_frame frame;
    guint32 id;

    for (gsize i = 0; i < size; i++) {
        guint8 byte = (guint8)(i * 7 + i / 256);
        if (write(fd, &byte, 1) != 1)
            g_error("memfd");
    }
    lseek(fd, 0, SEEK_SET);
    connect_agent(&f);
    channel = sp_agent_put(f.agent, fd, "/target", 0640);
    frame = hear(&f);
    id = frame.channel;
    g_assert_cmpint(frame.type, ==, SP_FRAME_PUT);
    g_assert_cmpint(frame.payload[0] | frame.payload[1] << 8, ==, 0640);
    for (;;) {
        if (got == granted) {
            /* nothing comes without credit */
            turn();
            g_assert_cmpint(recv(f.fd, credit, 1, MSG_DONTWAIT | MSG_PEEK), ==, -1);
            sp_put_u32(credit, SP_INITIAL_CREDIT);
            say(&f, SP_FRAME_CREDIT, id, 0, credit, sizeof credit);
            granted += SP_INITIAL_CREDIT;
        }
        frame = hear(&f);
        if (frame.type == SP_FRAME_END)
            break;
        g_assert_cmpint(frame.type, ==, SP_FRAME_DATA);
        for (gsize i = 0; i < frame.length; i++) {
            gsize at = got + i;
            g_assert_cmpint(frame.payload[i], ==, (guint8)(at * 7 + at / 256));
        }
        got += frame.length;
        g_assert_cmpuint(got, <=, granted);
    }
    g_assert_cmpuint(got, ==, size);
    g_assert_false(sp_channel_is_done(channel, NULL));
    say(&f, SP_FRAME_EXIT, id, 0, done, sizeof done);
    g_assert_true(sp_channel_is_done(channel, NULL));
    sp_channel_free(channel);
    tear_down(&f);
}

static void test_get(void)
{
    const guint8 done[8] = {0};
    char buffer[16] = "";
    int fd = memfd_create("get", MFD_CLOEXEC), copy = dup(fd);
    Fixture f;
    SpChannel *channel;
    guint32 id;

    connect_agent(&f);
    channel = sp_agent_get(f.agent, "/source", fd);
    id = hear(&f).channel;
    say(&f, SP_FRAME_DATA, id, SP_STREAM_STDOUT, "con", 3);
    say(&f, SP_FRAME_DATA, id, SP_STREAM_STDOUT, "tent", 4);
    say(&f, SP_FRAME_END, id, SP_STREAM_STDOUT, NULL, 0);
    say(&f, SP_FRAME_EXIT, id, 0, done, sizeof done);
    g_assert_true(sp_channel_is_done(channel, NULL));
    g_assert_cmpint(pread(copy, buffer, sizeof buffer, 0), ==, 7);
    g_assert_cmpstr(buffer, ==, "content");
    sp_channel_free(channel);
    close(copy);
    tear_down(&f);
}

/* Take what was sent up to the next HELLO, a frame that broke off included, and answer it. Returns
 * how many bytes stood before it. */
static gsize connect_again(Fixture *f)
{
    guint8 buffer[65536];
    ssize_t at;

    while ((at = sp_frame_find_hello(f->heard->data, f->heard->len)) < 0) {
        ssize_t n = recv(f->fd, buffer, sizeof buffer, MSG_DONTWAIT);

        g_assert_true(n > 0 || errno == EAGAIN);
        if (n > 0)
            g_byte_array_append(f->heard, buffer, (guint)n);
        turn();
    }
    g_byte_array_remove_range(f->heard, 0, (guint)at);
    hear_hello(f);
    say(f, SP_FRAME_HELLO, 0, 0, f->hello, sizeof f->hello);
    g_assert_true(sp_agent_is_ready(f->agent));
    return (gsize)at;
}

static void assert_lost(SpChannel *channel, const char *reason, int taken_fd)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(sp_channel_is_done(channel, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_MACHINE);
    g_assert_cmpstr(error->message, ==, reason);
    g_assert_cmpint(fcntl(taken_fd, F_GETFD), ==, -1);
}

/* Nothing of a file that was on its way gets into the guest's next life. */
static void test_reset_in_put(void)
{
    guint8 credit[4];
    const guint8 done[8] = {0};
    int fd = memfd_create("put", MFD_CLOEXEC), next;
    Fixture f;
    SpChannel *channel, *again;
    struct sp_frame frame;
    guint32 id;

    g_assert_cmpint(ftruncate(fd, 3 * 1024 * 1024), ==, 0);
    connect_agent(&f);
    channel = sp_agent_put(f.agent, fd, "/target", 0640);
    id = hear(&f).channel;
    g_assert_cmpint(hear(&f).type, ==, SP_FRAME_DATA);
    sp_agent_reset(f.agent, "the guest was reset");
    assert_lost(channel, "the guest was reset", fd);
    /* of what had not left the driver nothing does any more */
    g_assert_cmpuint(connect_again(&f), <=, 4 * SOCKET_HOLDS);
    sp_put_u32(credit, SP_INITIAL_CREDIT);
    say(&f, SP_FRAME_CREDIT, id, 0, credit, sizeof credit);
    next = memfd_create("next", MFD_CLOEXEC);
    g_assert_cmpint(pwrite(next, "next", 4, 0), ==, 4);
    again = sp_agent_put(f.agent, next, "/target", 0640);
    frame = hear(&f);
    g_assert_cmpint(frame.type, ==, SP_FRAME_PUT);
    g_assert_cmpuint(frame.channel, !=, id);
    id = frame.channel;
    frame = hear(&f);
    g_assert_cmpuint(frame.channel, ==, id);
    g_assert_cmpmem(frame.payload, frame.length, "next", 4);
    g_assert_cmpint(hear(&f).type, ==, SP_FRAME_END);
    say(&f, SP_FRAME_EXIT, id, 0, done, sizeof done);
    g_assert_true(sp_channel_is_done(again, NULL));
    sp_channel_free(channel);
    sp_channel_free(again);
    tear_down(&f);
}

/* Half a frame before the reset is no part of what comes after it. */
static void test_reset_in_get(void)
{
    guint8 half[SP_FRAME_HEADER_SIZE + 2] = {0};
    char buffer[16] = "";
    int fd = memfd_create("get", MFD_CLOEXEC), copy = dup(fd);
    Fixture f;
    SpChannel *channel;
    guint32 id;

    connect_agent(&f);
    channel = sp_agent_get(f.agent, "/source", fd);
    id = hear(&f).channel;
    say(&f, SP_FRAME_DATA, id, SP_STREAM_STDOUT, "con", 3);
    sp_frame_encode_header(half, SP_FRAME_DATA, SP_STREAM_STDOUT, id, 4);
    g_assert_cmpint(write(f.fd, half, sizeof half), ==, sizeof half);
    turn();
    sp_agent_reset(f.agent, "the guest was reset");
    assert_lost(channel, "the guest was reset", fd);
    connect_again(&f);
    say(&f, SP_FRAME_DATA, id, SP_STREAM_STDOUT, "tent", 4);
    g_assert_true(sp_agent_is_ready(f.agent));
    g_assert_cmpint(pread(copy, buffer, sizeof buffer, 0), ==, 3);
    g_assert_cmpstr(buffer, ==, "con");
    sp_channel_free(channel);
    close(copy);
    tear_down(&f);
}

/* One that is there but takes nothing costs the connection, not the driver's life. */
static void test_closed(void)
{
    const char *const argv[] = {"true", NULL};
    g_autoptr(GError) error = NULL;
    Fixture f;
    SpChannel *channel;

    connect_agent(&f);
    g_assert_cmpint(shutdown(f.fd, SHUT_RD), ==, 0);
    channel = sp_agent_exec(f.agent, argv);
    turn();
    g_assert_cmpint(shutdown(f.fd, SHUT_WR), ==, 0);
    turn();
    g_assert_true(sp_channel_is_done(channel, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_MACHINE);
    g_assert_nonnull(strstr(error->message, "was closed"));
    sp_channel_free(channel);
    tear_down(&f);
}

/* What breaks the protocol ends every request with the reason, and a reset begins anew. */
static void breaks(const guint8 *bytes, gsize length, const char *words)
{
    const char *const argv[] = {"true", NULL};
    g_autoptr(GError) error = NULL;
    Fixture f;
    SpChannel *channel;

    connect_agent(&f);
    channel = sp_agent_exec(f.agent, argv);
    hear(&f);
    hear(&f);
    g_assert_cmpint(write(f.fd, bytes, length), ==, length);
    turn();
    g_assert_true(sp_channel_is_done(channel, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_PROTOCOL);
    g_assert_nonnull(strstr(error->message, words));
    sp_channel_free(channel);
    sp_agent_reset(f.agent, "again");
    hear_hello(&f);
    say(&f, SP_FRAME_HELLO, 0, 0, f.hello, sizeof f.hello);
    g_assert_true(sp_agent_is_ready(f.agent));
    tear_down(&f);
}

static void test_broken(void)
{
    const guint8 too_long[SP_FRAME_HEADER_SIZE] = {
        SP_FRAME_MAGIC, SP_FRAME_DATA, 1, 0, 1, 0, 0, 0, 0, 0, 0x10, 0};
    const guint8 bad_exit[SP_FRAME_HEADER_SIZE + 8] = {
        SP_FRAME_MAGIC, SP_FRAME_EXIT, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, 7};
    /* of a status that no process has */
    const guint8 bad_status[SP_FRAME_HEADER_SIZE + 8] = {
        SP_FRAME_MAGIC, SP_FRAME_EXIT, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    /* more than may ever be granted: at once, and on top of what was granted at first and since */
    const guint8 much_credit[SP_FRAME_HEADER_SIZE + 4] = {
        SP_FRAME_MAGIC, SP_FRAME_CREDIT, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 0xff, 0xff, 0xff, 0xff};
    const guint8 more_credit[2 * SP_FRAME_HEADER_SIZE + 8] = {SP_FRAME_MAGIC, SP_FRAME_CREDIT, 0, 0,
        1, 0, 0, 0, 4, 0, 0, 0, 0xff, 0xff, 0xef, 0x7f, /* and one byte more */
        SP_FRAME_MAGIC, SP_FRAME_CREDIT, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 1};
    const guint8 odd[SP_FRAME_HEADER_SIZE] = {SP_FRAME_MAGIC, SP_FRAME_EXEC, 0, 0, 1};
    const guint8 bad_state[SP_FRAME_HEADER_SIZE + 1] = {
        SP_FRAME_MAGIC, SP_FRAME_STATE, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 'x'};

    breaks((const guint8 *)"hello", 5, "garbage");
    breaks(too_long, sizeof too_long, "longer than allowed");
    breaks(bad_exit, sizeof bad_exit, "does not belong");
    breaks(bad_status, sizeof bad_status, "does not belong");
    breaks(much_credit, sizeof much_credit, "does not belong");
    breaks(more_credit, sizeof more_credit, "does not belong");
    breaks(odd, sizeof odd, "does not belong");
    breaks(bad_state, sizeof bad_state, "does not belong");
}

static void test_lost(void)
{
    const char *const argv[] = {"true", NULL};
    g_autoptr(GError) error = NULL;
    Fixture f;
    SpChannel *channel, *late;

    connect_agent(&f);
    channel = sp_agent_exec(f.agent, argv);
    sp_agent_reset(f.agent, "the guest was reset");
    g_assert_true(sp_channel_is_done(channel, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_MACHINE);
    g_assert_cmpstr(error->message, ==, "the guest was reset");
    g_clear_error(&error);
    late = sp_agent_exec(f.agent, argv);
    g_assert_true(sp_channel_is_done(late, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_MACHINE);
    sp_channel_free(channel);
    sp_channel_free(late);
    tear_down(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/agent-client/hello", test_hello);
    g_test_add_func("/agent-client/garbage-before-hello", test_garbage_before_hello);
    g_test_add_func("/agent-client/command", test_command);
    g_test_add_func("/agent-client/cancel-and-errors", test_cancel_and_errors);
    g_test_add_func("/agent-client/put", test_put);
    g_test_add_func("/agent-client/get", test_get);
    g_test_add_func("/agent-client/reset-in-put", test_reset_in_put);
    g_test_add_func("/agent-client/reset-in-get", test_reset_in_get);
    g_test_add_func("/agent-client/closed", test_closed);
    g_test_add_func("/agent-client/broken", test_broken);
    g_test_add_func("/agent-client/lost", test_lost);
    return g_test_run();
}
