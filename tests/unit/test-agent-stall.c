/* SPDX-License-Identifier: MIT */

/* The agent while something stalls: a driver that does not read, a command that does not read, a
 * request that takes long. */

#include "agent-peer.h"

#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define MIB (1024u * 1024)

static void peer_up(Peer *peer, gconstpointer data)
{
    peer_start(peer, NULL, NULL);
    peer_hello(peer, 1);
}

static void peer_down(Peer *peer, gconstpointer data)
{
    peer_stop(peer);
}

static void assert_well(Peer *peer)
{
    PeerResult *result = peer_wait(peer, peer_shell(peer, "echo well"));

    peer_assert_exit(result, 0);
    g_assert_cmpstr(result->output->str, ==, "well\n");
}

/* Send requests, without reading answers, until no more are taken. The socket still has space for a
 * few frames then. */
static void fill(Peer *peer)
{
    guint8 frames[1000][SP_AGENT_FRAME_HEADER_SIZE];
    struct pollfd pollfd = {.fd = peer->fd, .events = POLLOUT};
    guint n = 0;

    /* on channel 0, where a short request has a long answer */
    for (gsize i = 0; i < G_N_ELEMENTS(frames); i++)
        g_assert_cmpint(
            sp_agent_frame_encode_header(frames[i], SP_AGENT_FRAME_EXEC, 0, 0, 0), ==, 0);
    for (; n < 1000 && poll(&pollfd, 1, 300) == 1; n++)
        peer_send_bytes(peer, frames, sizeof frames);
    g_assert_cmpuint(n, >, 10);
    g_assert_cmpuint(n, <, 1000);
}

/* The driver closes the connection without having read: the agent ends all the same. */
static void test_unread_gone(Peer *peer, gconstpointer data)
{
    int fd =
        pidfd_open((pid_t)g_ascii_strtoll(g_subprocess_get_identifier(peer->process), NULL, 10), 0);
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};

    g_assert_cmpint(fd, >=, 0);
    fill(peer);
    shutdown(peer->fd, SHUT_RDWR);
    g_assert_cmpint(poll(&pollfd, 1, 10000), ==, 1);
    close(fd);
}

/* The driver dies within a frame while much waits for it: the next driver's HELLO is found. */
static void test_unread_hello(Peer *peer, gconstpointer data)
{
    guint8 frame[SP_AGENT_FRAME_HEADER_SIZE + 100] = {0};

    g_assert_cmpint(sp_agent_frame_encode_header(frame, SP_AGENT_FRAME_EXEC, 0, 9, 5000), ==, 0);
    /* how much is read in one turn differs */
    for (guint8 nonce = 2; nonce < 7; nonce++) {
        fill(peer);
        peer_send_bytes(peer, frame, sizeof frame);
        peer_hello(peer, nonce);
        assert_well(peer);
    }
}

/* Commands that ended before there was space for their output, and left a process behind. */
static void test_unread_output(Peer *peer, gconstpointer data)
{
    guint32 channels[60];

    for (gsize i = 0; i < G_N_ELEMENTS(channels); i++)
        channels[i] = peer_shell(peer, "sleep 1000 & echo $! >&2; head -c 60000 /dev/zero; exit 5");
    for (gsize i = G_N_ELEMENTS(channels); i-- > 0;) {
        PeerResult *result = peer_wait(peer, channels[i]);
        pid_t pid = (pid_t)g_ascii_strtoll(result->errors->str, NULL, 10);
        peer_assert_exit(result, 5);
        g_assert_cmpuint(result->output->len, ==, 60000);
        g_assert_cmpint(pid, >, 1);
        g_assert_cmpint(kill(pid, SIGKILL), ==, 0);
    }
}

/* The same with commands that write nothing, so that only their end wakes the agent. */
static void test_unread_silent(Peer *peer, gconstpointer data)
{
    guint32 channels[20], flood;
    struct pollfd ends[20];

    for (gsize i = 0; i < G_N_ELEMENTS(channels); i++)
        channels[i] = peer_shell(peer, "sleep 1000 & echo $! $$.; read x; exit 5");
    for (gsize i = 0; i < G_N_ELEMENTS(channels); i++) {
        const GString *output = peer_result(peer, channels[i])->output;
        while (!strchr(output->str, '.'))
            peer_turn(peer);
        ends[i] = (struct pollfd){.events = POLLIN};
        ends[i].fd = pidfd_open((pid_t)g_ascii_strtoll(strchr(output->str, ' '), NULL, 10), 0);
        g_assert_cmpint(ends[i].fd, >=, 0);
    }
    flood = peer_shell(peer, "exec cat /dev/zero");
    peer_wait_output(peer, flood, 4 * MIB);
    for (gsize i = 0; i < G_N_ELEMENTS(channels); i++)
        peer_send_data(peer, channels[i], "\n", 1);
    for (gsize i = 0; i < G_N_ELEMENTS(channels); i++) {
        g_assert_cmpint(poll(&ends[i], 1, 10000), ==, 1);
        close(ends[i].fd);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(channels); i++) {
        PeerResult *result = peer_result(peer, channels[i]);
        while (!result->is_done) {
            g_assert_cmpuint(peer_result(peer, flood)->output->len, <, 512 * MIB);
            peer_turn(peer);
        }
        peer_assert_exit(result, 5);
        g_assert_cmpint(
            kill((pid_t)g_ascii_strtoll(result->output->str, NULL, 10), SIGKILL), ==, 0);
    }
    peer_cancel(peer, flood);
    peer_assert_exit(peer_wait(peer, flood), 128 + SIGKILL);
}

/* Reads as fast as possible, and discards: returns how much DATA came before the ERROR of @channel.
 */
static gsize skip_to_error(Peer *peer, guint8 *buffer, gsize *used, guint32 channel)
{
    struct pollfd pollfd = {.fd = peer->fd, .events = POLLIN};
    bool is_there = false;
    gsize total = 0;

    while (!is_there) {
        struct sp_agent_frame frame;
        gsize at = 0;
        ssize_t n;
        g_assert_cmpint(poll(&pollfd, 1, 10000), ==, 1);
        n = recv(peer->fd, buffer + *used, MIB - *used, 0);
        g_assert_cmpint(n, >, 0);
        *used += (gsize)n;
        while ((n = sp_agent_frame_decode(buffer + at, *used - at, &frame)) > 0) {
            is_there = is_there || (frame.type == SP_AGENT_FRAME_ERROR && frame.channel == channel);
            total += is_there ? 0 : frame.length;
            at += (gsize)n;
        }
        g_assert_cmpint(n, ==, 0);
        g_assert_cmpuint(total, <, 16 * MIB);
        *used -= at;
        memmove(buffer, buffer + at, *used);
    }
    return total;
}

/* A long file does not keep other requests waiting, even if its DATA never has to wait for the
 * driver: little more comes before an answer than was on its way already. */
static void test_long_get(Peer *peer, gconstpointer data)
{
    g_autofree char *path = NULL;
    g_autofree guint8 *buffer = g_malloc(MIB);
    int fd = g_file_open_tmp("agent-XXXXXX", &path, NULL);
    gsize used = 0, total = 0;

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(ftruncate(fd, (off_t)64 << 30), ==, 0);
    close(fd);
    peer_get(peer, path);
    for (int i = 0; i < 100; i++)
        total += skip_to_error(peer, buffer, &used, peer_get(peer, "/no/such"));
    g_assert_cmpuint(total, >, 0);
    g_assert_cmpint(g_unlink(path), ==, 0);
}

/* More than a terminal takes at once, twice. */
static void test_pty_input(Peer *peer, gconstpointer data)
{
    const char *const argv[] = {"sh", "-c",
        "stty raw -echo; echo up; head -c 300000 | cksum; head -c 300000 | cksum", NULL};
    g_autofree char *bytes = g_malloc(300000);
    guint32 channel = peer_exec(peer, SP_EXEC_PTY, argv, NULL);
    guint32 plain = peer_shell(peer, "head -c 300000 | cksum");
    g_autofree char *sum = NULL, *expected = NULL;

    for (gsize i = 0; i < 300000; i++)
        bytes[i] = (char)((i * 2654435761u) >> 24);
    peer_send_data(peer, plain, bytes, 300000);
    sum = g_strdup(peer_wait(peer, plain)->output->str);
    expected = g_strconcat("up\n", sum, sum, NULL);
    peer_wait_output(peer, channel, strlen("up\n"));
    peer_send_data(peer, channel, bytes, 300000);
    peer_wait_output(peer, channel, strlen("up\n") + strlen(sum));
    peer_send_data(peer, channel, bytes, 300000);
    peer_assert_exit(peer_wait(peer, channel), 0);
    g_assert_cmpstr(peer_result(peer, channel)->output->str, ==, expected);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(Peer *, gconstpointer);
    } tests[] = {
        {"/agent-stall/unread-gone", test_unread_gone},
        {"/agent-stall/unread-hello", test_unread_hello},
        {"/agent-stall/unread-output", test_unread_output},
        {"/agent-stall/unread-silent", test_unread_silent},
        {"/agent-stall/long-get", test_long_get},
        {"/agent-stall/pty-input", test_pty_input},
    };

    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, Peer, NULL, peer_up, tests[i].func, peer_down);
    return g_test_run();
}
