/* SPDX-License-Identifier: MIT */

/* A watch of a port looks for a listening socket, and makes no connection if that is enough. */

#include "agent-peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Returns a new socket bound to a free port of @address; -1 if the host has no such address. */
static int bind_to(const char *address, bool is_v6_only, guint *ret_port)
{
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } name = {0};
    bool is_v6 = strchr(address, ':');
    socklen_t length = is_v6 ? sizeof name.in6 : sizeof name.in;
    int only = is_v6_only, fd;

    name.any.sa_family = is_v6 ? AF_INET6 : AF_INET;
    g_assert_cmpint(inet_pton(name.any.sa_family, address,
                        is_v6 ? (void *)&name.in6.sin6_addr : (void *)&name.in.sin_addr),
        ==, 1);
    fd = socket(name.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && is_v6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
    if (fd < 0 || bind(fd, &name.any, length) < 0) {
        g_test_message("no address %s here", address);
        close(fd);
        return -1;
    }
    g_assert_cmpint(getsockname(fd, &name.any, &length), ==, 0);
    *ret_port = ntohs(name.in.sin_port);
    return fd;
}

static const struct {
    const char *listens, *asked;
    bool is_v6_only, is_open;
} cases[] = {
    {"127.0.0.1", "127.0.0.1", false, true},
    {"127.0.0.1", "localhost", false, true},
    {"127.0.0.1", "127.0.0.2", false, false},
    {"127.0.0.2", "127.0.0.2", false, true},
    {"127.0.0.2", "localhost", false, false},
    {"127.0.0.1", "::1", false, false},
    {"0.0.0.0", "127.0.0.2", false, true},
    {"0.0.0.0", "::1", false, false},
    {"::1", "::1", false, true},
    {"::1", "localhost", false, true},
    {"::1", "127.0.0.1", false, false},
    {"::", "::1", true, true},
    {"::", "127.0.0.1", false, true},
    {"::", "127.0.0.1", true, false},
    {"::ffff:127.0.0.1", "127.0.0.1", false, true},
    {"::ffff:127.0.0.1", "127.0.0.2", false, false},
};

/* Watched for many times the agent's polling interval. */
static void assert_nobody_connects(int fd)
{
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};

    g_assert_cmpint(poll(&pollfd, 1, 300), ==, 0);
}

static void test_listeners(void)
{
    Peer peer;

    peer_start(&peer, NULL, NULL);
    peer_hello(&peer, 1);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *what = NULL;
        guint32 channel;
        guint port;
        int fd = bind_to(cases[i].listens, cases[i].is_v6_only, &port);

        if (fd < 0)
            continue;
        g_assert_cmpint(listen(fd, 8), ==, 0);
        what = g_strdup_printf("%s %u", cases[i].asked, port);
        g_test_message("%s, asked for %s", cases[i].listens, what);
        channel = peer_watch(&peer, SP_WATCH_PORT, what);
        g_assert_cmpstr(peer_wait_states(&peer, channel, 1)[0], ==, cases[i].is_open ? "1" : "0");
        assert_nobody_connects(fd);
        close(fd);
        if (cases[i].is_open)
            g_assert_cmpstr(peer_wait_states(&peer, channel, 2)[0], ==, "0");
        peer_cancel(&peer, channel);
        peer_assert_error(peer_wait(&peer, channel), ECANCELED);
    }
    peer_stop(&peer);
}

/* Whatever listens, a port is open exactly if a connection to it can be made. */
static void test_as_connections_do(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        const char *asked = g_str_equal(cases[i].asked, "localhost") ? "127.0.0.1" : cases[i].asked;
        struct sockaddr_in6 name = {.sin6_family = strchr(asked, ':') ? AF_INET6 : AF_INET};
        guint port;
        int fd = bind_to(cases[i].listens, cases[i].is_v6_only, &port), client;
        bool is_open;

        if (fd < 0)
            continue;
        g_assert_cmpint(listen(fd, 8), ==, 0);
        name.sin6_port = htons((guint16)port);
        inet_pton(name.sin6_family, asked,
            name.sin6_family == AF_INET ? (void *)&((struct sockaddr_in *)&name)->sin_addr
                                        : (void *)&name.sin6_addr);
        client = socket(name.sin6_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        is_open = connect(client, (struct sockaddr *)&name, sizeof name) == 0;
        if (!g_str_equal(cases[i].asked, "localhost"))
            g_assert_cmpint(is_open, ==, cases[i].is_open);
        close(client);
        close(fd);
    }
}

/* A watch of a unix socket does connect, but not all the time. */
static void test_pace(void)
{
    g_autofree char *directory = g_dir_make_tmp("agent-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(directory, "socket", NULL);
    g_autofree char *what = g_strconcat("stream ", path, NULL);
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    guint32 channel;
    Peer peer;

    peer_start(&peer, NULL, NULL);
    peer_hello(&peer, 1);
    g_strlcpy(name.sun_path, path, sizeof name.sun_path);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&name, sizeof name), ==, 0);
    g_assert_cmpint(listen(fd, 64), ==, 0);
    channel = peer_watch(&peer, SP_WATCH_UNIX, what);
    g_assert_cmpstr(peer_wait_states(&peer, channel, 1)[0], ==, "1");
    close(accept(fd, NULL, NULL));
    assert_nobody_connects(fd);
    close(fd);
    g_assert_cmpstr(peer_wait_states(&peer, channel, 2)[0], ==, "0");
    peer_stop(&peer);
    unlink(path);
    g_assert_cmpint(rmdir(directory), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/agent-listen/listeners", test_listeners);
    g_test_add_func("/agent-listen/as-connections-do", test_as_connections_do);
    g_test_add_func("/agent-listen/pace", test_pace);
    return g_test_run();
}
