/* SPDX-License-Identifier: MIT */

/* The agent's PUT, GET and WATCH of files and sockets. */

#include "agent-peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MIB (1024u * 1024)

typedef struct {
    Peer peer;
    char *directory, *path;
} Fixture;

static void fixture_up(Fixture *f, gconstpointer data)
{
    f->directory = g_dir_make_tmp("agent-XXXXXX", NULL);
    g_assert_nonnull(f->directory);
    f->path = g_build_filename(f->directory, "file", NULL);
    peer_start(&f->peer, NULL, NULL);
    peer_hello(&f->peer, 1);
}

static guint count_files(Fixture *f)
{
    g_autoptr(GDir) dir = g_dir_open(f->directory, 0, NULL);
    guint n = 0;

    while (g_dir_read_name(dir))
        n++;
    return n;
}

/* The agent has ended, and nothing that it wrote is left but what the test expects. */
static void fixture_down(Fixture *f, gconstpointer data)
{
    peer_stop(&f->peer);
    g_unlink(f->path);
    g_assert_cmpint(g_rmdir(f->directory), ==, 0);
    g_free(f->directory);
    g_free(f->path);
}

static GByteArray *make_bytes(guint length)
{
    GByteArray *bytes = g_byte_array_sized_new(length);

    g_byte_array_set_size(bytes, length);
    for (guint i = 0; i < length; i++)
        bytes->data[i] = (guint8)((i * 2654435761u) >> 24);
    return bytes;
}

static void assert_content(const char *path, const GByteArray *bytes)
{
    g_autofree char *content = NULL;
    gsize length;

    g_assert_true(g_file_get_contents(path, &content, &length, NULL));
    g_assert_cmpuint(length, ==, bytes->len);
    g_assert_true(length == 0 || memcmp(content, bytes->data, length) == 0);
}

static guint32 put(Fixture *f, const GByteArray *bytes, guint32 mode)
{
    guint32 channel = peer_put(&f->peer, f->path, mode);

    peer_send_data(&f->peer, channel, bytes->data, bytes->len);
    peer_end(&f->peer, channel);
    return channel;
}

static void test_put(Fixture *f, gconstpointer data)
{
    static const guint lengths[] = {0, 1, 65536, 262144, 5 * MIB + 17};
    static const guint32 modes[] = {0644, 0600, 0750, 04755, 0400};
    GStatBuf st;

    for (gsize i = 0; i < G_N_ELEMENTS(lengths); i++) {
        g_autoptr(GByteArray) bytes = make_bytes(lengths[i]);
        PeerResult *result = peer_wait(&f->peer, put(f, bytes, modes[i]));
        peer_assert_exit(result, 0);
        assert_content(f->path, bytes);
        g_assert_cmpint(g_stat(f->path, &st), ==, 0);
        g_assert_cmpuint(st.st_mode & 07777, ==, modes[i]);
        g_assert_cmpuint(count_files(f), ==, 1);
    }
}

/* The old file stays until the new one is complete. */
static void test_put_replaces(Fixture *f, gconstpointer data)
{
    g_autoptr(GByteArray) old = make_bytes(100), new = make_bytes(300000);
    guint32 channel;

    peer_assert_exit(peer_wait(&f->peer, put(f, old, 0644)), 0);
    channel = peer_put(&f->peer, f->path, 0644);
    peer_send_data(&f->peer, channel, new->data, new->len);
    while (peer_result(&f->peer, channel)->credit == 0)
        peer_turn(&f->peer);
    assert_content(f->path, old);
    peer_end(&f->peer, channel);
    peer_assert_exit(peer_wait(&f->peer, channel), 0);
    assert_content(f->path, new);
}

static void assert_put_fails(Fixture *f, const char *path, guint32 number)
{
    PeerResult *result = peer_wait(&f->peer, peer_put(&f->peer, path, 0644));

    peer_assert_error(result, number);
    g_assert_nonnull(strstr(result->message, path));
}

static void test_put_fails(Fixture *f, gconstpointer data)
{
    g_autofree char *nowhere = g_strconcat(f->directory, "/no/such", NULL);
    g_autofree char *name = g_strnfill(250, 'n');
    g_autofree char *longest = g_strconcat(f->directory, "/", name, NULL);
    guint32 channel;

    assert_put_fails(f, nowhere, ENOENT);
    peer_assert_error(peer_wait(&f->peer, peer_put(&f->peer, "", 0644)), ENOENT);
    channel = peer_put(&f->peer, f->directory, 0644);
    peer_end(&f->peer, channel);
    peer_assert_error(peer_wait(&f->peer, channel), EISDIR);
    channel = peer_put(&f->peer, longest, 0644);
    peer_end(&f->peer, channel);
    peer_assert_exit(peer_wait(&f->peer, channel), 0);
    g_assert_cmpint(g_unlink(longest), ==, 0);
    g_assert_cmpuint(count_files(f), ==, 0);
}

static guint32 put_half(Fixture *f)
{
    g_autoptr(GByteArray) bytes = make_bytes(MIB);
    guint32 channel = peer_put(&f->peer, f->path, 0644);

    peer_send_data(&f->peer, channel, bytes->data, bytes->len);
    while (peer_result(&f->peer, channel)->credit == 0)
        peer_turn(&f->peer);
    g_assert_cmpuint(count_files(f), ==, 1); /* the temporary one */
    return channel;
}

static void test_put_cancel(Fixture *f, gconstpointer data)
{
    guint32 channel = put_half(f);

    peer_cancel(&f->peer, channel);
    peer_assert_error(peer_wait(&f->peer, channel), ECANCELED);
    g_assert_cmpuint(count_files(f), ==, 0);
    put_half(f);
    peer_hello(&f->peer, 2);
    g_assert_cmpuint(count_files(f), ==, 0);
    put_half(f);
    peer_send_bytes(&f->peer, "garbage", 7);
    peer_hello(&f->peer, 3);
    g_assert_cmpuint(count_files(f), ==, 0);
    put_half(f); /* and the connection ends: see fixture_down() */
}

static void test_put_credit(Fixture *f, gconstpointer data)
{
    g_autoptr(GByteArray) bytes = make_bytes(SP_AGENT_FRAME_PAYLOAD_MAX);
    guint32 channel = peer_put(&f->peer, f->path, 0644);
    gsize sent = 0;

    /* Data is written as it comes, and credit is granted again, so this is never too much. */
    while (sent < 8 * MIB) {
        while (sent + bytes->len > SP_INITIAL_CREDIT + peer_result(&f->peer, channel)->credit)
            peer_turn(&f->peer);
        peer_send(&f->peer, SP_AGENT_FRAME_DATA, channel, bytes->data, bytes->len);
        sent += bytes->len;
    }
    peer_end(&f->peer, channel);
    peer_assert_exit(peer_wait(&f->peer, channel), 0);
    g_assert_cmpuint(peer_result(&f->peer, channel)->credit, ==, sent);
}

static void test_get(Fixture *f, gconstpointer data)
{
    static const guint lengths[] = {0, 1, 262144, 262145, 9 * MIB + 3};

    for (gsize i = 0; i < G_N_ELEMENTS(lengths); i++) {
        g_autoptr(GByteArray) bytes = make_bytes(lengths[i]);
        guint32 channels[3];
        g_assert_true(
            g_file_set_contents(f->path, (const char *)bytes->data, (gssize)bytes->len, NULL));
        for (gsize j = 0; j < G_N_ELEMENTS(channels); j++)
            channels[j] = peer_get(&f->peer, f->path);
        for (gsize j = 0; j < G_N_ELEMENTS(channels); j++) {
            PeerResult *result = peer_wait(&f->peer, channels[j]);
            peer_assert_exit(result, 0);
            g_assert_true(result->has_end);
            g_assert_cmpuint(result->output->len, ==, bytes->len);
            g_assert_true(
                bytes->len == 0 || memcmp(result->output->str, bytes->data, bytes->len) == 0);
        }
    }
}

static void test_get_fails(Fixture *f, gconstpointer data)
{
    PeerResult *result = peer_wait(&f->peer, peer_get(&f->peer, f->path));

    peer_assert_error(result, ENOENT);
    g_assert_nonnull(strstr(result->message, f->path));
    peer_assert_error(peer_wait(&f->peer, peer_get(&f->peer, f->directory)), EISDIR);
    peer_assert_error(peer_wait(&f->peer, peer_get(&f->peer, "/dev/zero")), ENXIO);
    peer_send(&f->peer, SP_AGENT_FRAME_GET, ++f->peer.last_channel, "/etc", 4); /* no NUL */
    peer_assert_error(peer_wait(&f->peer, f->peer.last_channel), EPROTO);
}

static void assert_state(Fixture *f, guint32 channel, guint n, const char *state)
{
    char **strings = peer_wait_states(&f->peer, channel, n);

    g_assert_cmpuint(peer_result(&f->peer, channel)->states->len, ==, n);
    g_assert_cmpuint(g_strv_length(strings), ==, 1);
    g_assert_cmpstr(strings[0], ==, state);
}

static void test_watch_file(Fixture *f, gconstpointer data)
{
    guint32 quiet = peer_watch(&f->peer, SP_WATCH_FILE, "/");
    guint32 channel = peer_watch(&f->peer, SP_WATCH_FILE, f->path);

    assert_state(f, channel, 1, "0");
    for (guint n = 2; n < 8; n += 2) {
        g_assert_true(g_file_set_contents(f->path, "x", 1, NULL));
        assert_state(f, channel, n, "1");
        g_assert_cmpint(g_unlink(f->path), ==, 0);
        assert_state(f, channel, n + 1, "0");
    }
    assert_state(f, quiet, 1, "1"); /* looked at as often, but nothing changed */
    peer_cancel(&f->peer, channel);
    peer_assert_error(peer_wait(&f->peer, channel), ECANCELED);
}

/* A socket bound to a free port, which accepts no connection until it listens. */
static int bind_port(int family, char **ret_port)
{
    struct sockaddr_in6 address = {.sin6_family = (sa_family_t)family};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&address;
    socklen_t length = family == AF_INET ? sizeof *v4 : sizeof address;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (family == AF_INET)
        v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else
        address.sin6_addr = in6addr_loopback;
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) < 0) {
        if (fd >= 0)
            close(fd);
        return -1;
    }
    g_assert_cmpint(getsockname(fd, (struct sockaddr *)&address, &length), ==, 0);
    *ret_port = g_strdup_printf("%u", ntohs(address.sin6_port)); /* where sin_port is as well */
    return fd;
}

static void assert_port(Fixture *f, int family, const char *address)
{
    g_autofree char *port = NULL, *what = NULL;
    int fd = bind_port(family, &port);
    guint32 channel;

    if (fd < 0) {
        g_test_message("no addresses of family %d here", family);
        return;
    }
    what = g_strdup_printf("%s %s", address, port);
    channel = peer_watch(&f->peer, SP_WATCH_PORT, what);
    assert_state(f, channel, 1, "0");
    g_assert_cmpint(listen(fd, 128), ==, 0);
    assert_state(f, channel, 2, "1");
    close(fd);
    assert_state(f, channel, 3, "0");
    peer_cancel(&f->peer, channel);
    peer_assert_error(peer_wait(&f->peer, channel), ECANCELED);
}

static void test_watch_port(Fixture *f, gconstpointer data)
{
    static const char *const bad[] = {"127.0.0.1", "127.0.0.1 http", "no..such-host 80", ""};

    assert_port(f, AF_INET, "127.0.0.1");
    assert_port(f, AF_INET, "localhost");
    assert_port(f, AF_INET6, "::1");
    assert_port(f, AF_INET6, "localhost");
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        PeerResult *result = peer_wait(&f->peer, peer_watch(&f->peer, SP_WATCH_PORT, bad[i]));
        peer_assert_error(result, strchr(bad[i], ' ') ? EADDRNOTAVAIL : EINVAL);
    }
}

static void assert_unix(Fixture *f, int type, const char *word)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_autofree char *what = g_strdup_printf("%s %s", word, f->path);
    guint32 channel = peer_watch(&f->peer, SP_WATCH_UNIX, what);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

    assert_state(f, channel, 1, "0");
    g_strlcpy(address.sun_path, f->path, sizeof address.sun_path);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    if (type == SOCK_STREAM)
        g_assert_cmpint(listen(fd, 1), ==, 0);
    assert_state(f, channel, 2, "1");
    close(fd);
    assert_state(f, channel, 3, "0");
    g_assert_cmpint(g_unlink(f->path), ==, 0);
    peer_cancel(&f->peer, channel);
    peer_assert_error(peer_wait(&f->peer, channel), ECANCELED);
}

static void test_watch_unix(Fixture *f, gconstpointer data)
{
    g_autofree char *name = g_strnfill(200, 'n');
    g_autofree char *too_long = g_strconcat("stream /", name, NULL);

    assert_unix(f, SOCK_STREAM, "stream");
    assert_unix(f, SOCK_DGRAM, "dgram");
    peer_assert_error(peer_wait(&f->peer, peer_watch(&f->peer, SP_WATCH_UNIX, "raw /x")), EINVAL);
    peer_assert_error(
        peer_wait(&f->peer, peer_watch(&f->peer, SP_WATCH_UNIX, too_long)), ENAMETOOLONG);
    peer_assert_error(peer_wait(&f->peer, peer_watch(&f->peer, 99, "x")), EINVAL);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(Fixture *, gconstpointer);
    } tests[] = {
        {"/agent-files/put", test_put},
        {"/agent-files/put-replaces", test_put_replaces},
        {"/agent-files/put-fails", test_put_fails},
        {"/agent-files/put-cancel", test_put_cancel},
        {"/agent-files/put-credit", test_put_credit},
        {"/agent-files/get", test_get},
        {"/agent-files/get-fails", test_get_fails},
        {"/agent-files/watch-file", test_watch_file},
        {"/agent-files/watch-port", test_watch_port},
        {"/agent-files/watch-unix", test_watch_unix},
    };

    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, Fixture, NULL, fixture_up, tests[i].func, fixture_down);
    return g_test_run();
}
