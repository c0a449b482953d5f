/* SPDX-License-Identifier: MIT */

/* "slotproof-agent connect", run by the agent as the driver does it, to a server in this test. */

#include "agent-peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MUCH (3u * 1024 * 1024 + 17)

typedef struct {
    Peer peer;
    int listener;
    char *port;
} Fixture;

static int listen_on(guint family, guint16 *port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr *address = family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
    socklen_t length = family == AF_INET ? sizeof v4 : sizeof v6;
    int fd = socket((int)family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, address, length) < 0) {
        close(fd);
        return -1; /* no such family here */
    }
    g_assert_cmpint(listen(fd, 5), ==, 0);
    g_assert_cmpint(getsockname(fd, address, &length), ==, 0);
    *port = ntohs(family == AF_INET ? v4.sin_port : v6.sin6_port);
    return fd;
}

static void set_up(Fixture *f, gconstpointer data)
{
    guint16 port;

    f->listener = listen_on(AF_INET, &port);
    g_assert_cmpint(f->listener, >=, 0);
    f->port = g_strdup_printf("%u", port);
    peer_start(&f->peer, NULL, NULL);
    peer_hello(&f->peer, 1);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    peer_stop(&f->peer);
    close(f->listener);
    g_free(f->port);
}

static guint32 run_connect(Fixture *f, const char *host, const char *port)
{
    const char *const argv[] = {"/proc/self/exe", "connect", host, port, NULL};
    const char *const env[] = {NULL};

    return peer_exec(&f->peer, 0, argv, env);
}

static int accept_one(Fixture *f)
{
    const struct timeval limit = {.tv_sec = 10};
    int fd = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return fd;
}

static void expect_bytes(int fd, const char *text)
{
    char buffer[100];
    gsize length = text ? strlen(text) : 1;
    ssize_t n = recv(fd, buffer, length, MSG_WAITALL);

    g_assert_cmpmem(buffer, n, text ? text : "", text ? length : 0);
}

static PeerResult *wait_for_end(Fixture *f, guint32 channel)
{
    PeerResult *result = peer_result(&f->peer, channel);

    while (!result->has_end && !result->is_done)
        peer_turn(&f->peer);
    g_assert_true(result->has_end);
    g_assert_false(result->is_done);
    return result;
}

static void test_client_ends_first(Fixture *f, gconstpointer data)
{
    guint32 channel = run_connect(f, "127.0.0.1", f->port);
    PeerResult *result;
    int fd = accept_one(f);

    peer_send_data(&f->peer, channel, "question", 8);
    expect_bytes(fd, "question");
    peer_end(&f->peer, channel);
    expect_bytes(fd, NULL);
    g_assert_cmpint(send(fd, "answer", 6, 0), ==, 6);
    result = peer_wait_output(&f->peer, channel, 6);
    g_assert_false(result->is_done);
    close(fd);
    result = peer_wait(&f->peer, channel);
    peer_assert_exit(result, 0);
    g_assert_cmpstr(result->output->str, ==, "answer");
    g_assert_cmpstr(result->errors->str, ==, SP_CONNECT_END);
}

static void test_server_ends_first(Fixture *f, gconstpointer data)
{
    guint32 channel = run_connect(f, "localhost", f->port);
    int fd = accept_one(f);

    g_assert_cmpint(send(fd, "greeting", 8, 0), ==, 8);
    shutdown(fd, SHUT_WR);
    g_assert_cmpstr(wait_for_end(f, channel)->output->str, ==, "greeting");
    peer_send_data(&f->peer, channel, "late", 4);
    expect_bytes(fd, "late");
    peer_end(&f->peer, channel);
    expect_bytes(fd, NULL);
    peer_assert_exit(peer_wait(&f->peer, channel), 0);
    close(fd);
}

static guint8 byte_at(gsize at)
{
    return (guint8)(at * 7 + at / 256);
}

/* More than all buffers hold, in both directions, while the reader waits. */
static void test_much(Fixture *f, gconstpointer data)
{
    g_autofree guint8 *bytes = g_malloc(MUCH);
    g_autofree guint8 *got = g_malloc(MUCH);
    guint32 channel = run_connect(f, "127.0.0.1", f->port);
    PeerResult *result;
    gsize sent = 0;
    int fd = accept_one(f);

    for (gsize i = 0; i < MUCH; i++)
        bytes[i] = byte_at(i);
    peer_send_data(&f->peer, channel, bytes, SP_INITIAL_CREDIT);
    while (sent < MUCH) {
        ssize_t n = send(fd, bytes + sent, MIN(MUCH - sent, 65536), MSG_DONTWAIT);

        if (n < 0)
            peer_turn(&f->peer);
        else
            sent += (gsize)n;
    }
    result = peer_wait_output(&f->peer, channel, MUCH);
    g_assert_cmpmem(result->output->str, result->output->len, bytes, MUCH);
    g_assert_cmpint(recv(fd, got, SP_INITIAL_CREDIT, MSG_WAITALL), ==, SP_INITIAL_CREDIT);
    g_assert_cmpmem(got, SP_INITIAL_CREDIT, bytes, SP_INITIAL_CREDIT);
    close(fd);
    peer_end(&f->peer, channel);
    peer_assert_exit(peer_wait(&f->peer, channel), 0);
}

/* An answer that came before the connection was lost is passed on. */
static void test_broken(Fixture *f, gconstpointer data)
{
    const struct linger reset = {.l_onoff = 1};
    guint32 channel = run_connect(f, "127.0.0.1", f->port);
    PeerResult *result;
    int fd = accept_one(f);

    g_assert_cmpint(send(fd, "half", 4, 0), ==, 4);
    peer_wait_output(&f->peer, channel, 4);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(fd);
    wait_for_end(f, channel);
    /* nothing listens there, and no end is reported */
    peer_send_data(&f->peer, channel, "question", 8);
    result = peer_wait(&f->peer, channel);
    peer_assert_exit(result, 1);
    g_assert_nonnull(strstr(result->errors->str, "reset by peer"));
    g_assert_false(g_str_has_prefix(result->errors->str, SP_CONNECT_END));
}

static void test_refused(Fixture *f, gconstpointer data)
{
    static const char *const hosts[] = {"127.0.0.1", "localhost"};
    PeerResult *result;

    close(f->listener);
    for (gsize i = 0; i < G_N_ELEMENTS(hosts); i++) {
        result = peer_wait(&f->peer, run_connect(f, hosts[i], f->port));
        peer_assert_exit(result, 1);
        g_assert_nonnull(strstr(result->errors->str, f->port));
        g_assert_nonnull(strstr(result->errors->str, hosts[i]));
    }
    result = peer_wait(&f->peer, run_connect(f, "no..such-host", f->port));
    peer_assert_exit(result, 1);
    result = peer_wait(&f->peer, run_connect(f, "127.0.0.1", NULL));
    peer_assert_exit(result, 2);
    g_assert_nonnull(strstr(result->errors->str, "connect HOST PORT"));
    f->listener = dup(0);
}

/* A service that listens on IPv6's localhost only. */
static void test_other_family(Fixture *f, gconstpointer data)
{
    guint16 port;
    int listener = listen_on(AF_INET6, &port);
    g_autofree char *text = NULL;
    guint32 channel;
    int fd;

    if (listener < 0) {
        g_test_skip("the host has no IPv6");
        return;
    }
    close(f->listener);
    f->listener = listener;
    text = g_strdup_printf("%u", port);
    channel = run_connect(f, "localhost", text);
    fd = accept_one(f);
    close(fd);
    wait_for_end(f, channel);
    peer_end(&f->peer, channel);
    peer_assert_exit(peer_wait(&f->peer, channel), 0);
}

/* The output of any command ends with END when the command closes it. */
static void test_closed_output(Fixture *f, gconstpointer data)
{
    guint32 channel = peer_shell(&f->peer, "echo out; exec >&-; read word; exit 3");

    g_assert_cmpstr(wait_for_end(f, channel)->output->str, ==, "out\n");
    peer_send_data(&f->peer, channel, "go\n", 3);
    peer_assert_exit(peer_wait(&f->peer, channel), 3);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*test)(Fixture *f, gconstpointer data);
    } tests[] = {
        {"/agent-connect/client-ends-first", test_client_ends_first},
        {"/agent-connect/server-ends-first", test_server_ends_first},
        {"/agent-connect/much", test_much},
        {"/agent-connect/broken", test_broken},
        {"/agent-connect/refused", test_refused},
        {"/agent-connect/other-family", test_other_family},
        {"/agent-connect/closed-output", test_closed_output},
    };

    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, Fixture, NULL, set_up, tests[i].test, tear_down);
    return g_test_run();
}
