/* SPDX-License-Identifier: MIT */

/* Forwarded ports as seen by their clients; the test plays the guest's agent. */

#include "agent/forward.h"

#include "base/error.h"
#include "fake-agent.h"
#include "lib/byte-order.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIECE 60000u

typedef struct {
    FakeAgent fake;
    bool has_agent;
    SpForward *forward;
} Fixture;

static SpAgent *get_agent(void *data)
{
    Fixture *f = data;

    return f->has_agent ? f->fake.agent : NULL;
}

static SpForward *forward_new(Fixture *f, guint port, GError **error)
{
    const SpForwardConfig config = {
        .host_port = port, .guest_port = 443, .machine = "gateway", .agent = get_agent, .data = f};

    return sp_forward_new(&config, error);
}

static void set_up(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    fake_connect(&f->fake);
    f->has_agent = true;
    f->forward = forward_new(f, 0, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(sp_forward_port(f->forward), >, 1023);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    sp_forward_free(f->forward);
    fake_tear_down(&f->fake);
}

static int client_new(Fixture *f)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
        .sin_port = htons((guint16)sp_forward_port(f->forward)),
        .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_cmpint(connect(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    fake_turn();
    return fd;
}

/* The next frame, which must be of this type. */
static struct sp_agent_frame hear(Fixture *f, enum sp_agent_frame_type type)
{
    struct sp_agent_frame frame = fake_hear(&f->fake);

    g_assert_cmpint(frame.type, ==, type);
    return frame;
}

/* Connect a client; returns its channel, which must run the expected command. */
static int connect_client(Fixture *f, guint32 *ret_channel)
{
    static const char argv[] = "/proc/self/exe\0connect\0localhost\0"
                               "443";
    int fd = client_new(f);
    struct sp_agent_frame frame = hear(f, SP_AGENT_FRAME_EXEC);

    g_assert_cmpmem(frame.payload + 12, frame.length - 12, argv, sizeof argv);
    *ret_channel = frame.channel;
    return fd;
}

static void say(Fixture *f, guint32 channel, const char *text)
{
    fake_say(&f->fake, SP_AGENT_FRAME_DATA, channel, SP_STREAM_STDOUT, text, strlen(text));
}

/* In order; the agent may read the two streams in either order. */
static void say_end(Fixture *f, guint32 channel)
{
    fake_say(&f->fake, SP_AGENT_FRAME_END, channel, SP_STREAM_STDOUT, NULL, 0);
    fake_say(&f->fake, SP_AGENT_FRAME_DATA, channel, SP_STREAM_STDERR, SP_CONNECT_END,
        strlen(SP_CONNECT_END));
}

static void say_exit(Fixture *f, guint32 channel, guint8 status)
{
    const guint8 payload[8] = {0, 0, 0, 0, status};

    fake_say(&f->fake, SP_AGENT_FRAME_EXIT, channel, 0, payload, sizeof payload);
}

static void expect_data(Fixture *f, guint32 channel, const char *text)
{
    struct sp_agent_frame frame = hear(f, SP_AGENT_FRAME_DATA);

    g_assert_cmpuint(frame.channel, ==, channel);
    g_assert_cmpmem(frame.payload, frame.length, text, strlen(text));
}

static void client_send(int fd, const char *text)
{
    g_assert_cmpint(send(fd, text, strlen(text), 0), ==, strlen(text));
}

/* The client gets this text; NULL: the end of the stream. */
static void expect_client(int fd, const char *text)
{
    char buffer[100];
    ssize_t n;

    while ((n = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT)) < 0) {
        g_assert_cmpint(errno, ==, EAGAIN);
        fake_turn();
    }
    g_assert_cmpmem(buffer, n, text ? text : "", text ? strlen(text) : 0);
}

static void expect_reset(int fd)
{
    char byte;
    ssize_t n;

    while ((n = recv(fd, &byte, 1, MSG_DONTWAIT)) < 0 && errno == EAGAIN)
        fake_turn();
    g_assert_cmpint(n, ==, -1);
    g_assert_cmpint(errno, ==, ECONNRESET);
    close(fd);
}

/* The client ends first, and still gets the answer. */
static void test_client_ends_first(Fixture *f, gconstpointer data)
{
    guint32 channel;
    int fd = connect_client(f, &channel);

    client_send(fd, "question");
    expect_data(f, channel, "question");
    shutdown(fd, SHUT_WR);
    hear(f, SP_AGENT_FRAME_END);
    say(f, channel, "answer");
    expect_client(fd, "answer");
    say(f, channel, "more");
    say_end(f, channel);
    expect_client(fd, "more");
    expect_client(fd, NULL);
    say_exit(f, channel, 0);
    expect_client(fd, NULL);
    close(fd);
}

/* The guest ends first, and still gets what the client sends. */
static void test_guest_ends_first(Fixture *f, gconstpointer data)
{
    guint32 channel;
    int fd = connect_client(f, &channel);

    say(f, channel, "greeting");
    say_end(f, channel);
    expect_client(fd, "greeting");
    expect_client(fd, NULL);
    client_send(fd, "late");
    expect_data(f, channel, "late");
    close(fd);
    hear(f, SP_AGENT_FRAME_END);
    say_exit(f, channel, 0);
}

/* No more than the credit is read from the client; the rest waits in its socket. */
static void test_slow_guest(Fixture *f, gconstpointer data)
{
    g_autofree char *bytes = g_malloc0(16u * 1024 * 1024);
    gsize sent = 0, got = 0;
    guint8 credit[4], byte;
    guint32 channel;
    ssize_t n;
    int fd = connect_client(f, &channel);

    while (got < SP_INITIAL_CREDIT) {
        n = send(fd, bytes, 65536, MSG_DONTWAIT);
        sent += (gsize)MAX(n, 0);
        got += hear(f, SP_AGENT_FRAME_DATA).length;
    }
    while ((n = send(fd, bytes, 65536, MSG_DONTWAIT)) > 0)
        sent += (gsize)n;
    fake_turn();
    g_assert_cmpuint(got, ==, SP_INITIAL_CREDIT);
    g_assert_cmpuint(f->fake.heard->len, ==, 0);
    g_assert_cmpint(recv(f->fake.fd, &byte, 1, MSG_DONTWAIT), ==, -1);
    shutdown(fd, SHUT_WR);
    sp_put_le32(credit, 64 * 1024 * 1024);
    fake_say(&f->fake, SP_AGENT_FRAME_CREDIT, channel, 0, credit, sizeof credit);
    while (got < sent)
        got += hear(f, SP_AGENT_FRAME_DATA).length;
    hear(f, SP_AGENT_FRAME_END);
    close(fd);
}

static void expect_signal(Fixture *f, guint32 channel, guint32 number)
{
    struct sp_agent_frame frame = hear(f, SP_AGENT_FRAME_SIGNAL);
    guint8 expected[4];

    sp_put_le32(expected, number);
    g_assert_cmpuint(frame.channel, ==, channel);
    g_assert_cmpmem(frame.payload, frame.length, expected, sizeof expected);
}

static bool has_heard(Fixture *f)
{
    guint8 byte;

    fake_turn();
    return recv(f->fake.fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) > 0;
}

/* Send a piece of counting bytes that begins at @at. */
static gsize say_piece(Fixture *f, guint32 channel, gsize at)
{
    static guint8 piece[PIECE];

    for (gsize i = 0; i < sizeof piece; i++)
        piece[i] = (guint8)((at + i) * 7 + (at + i) / 256);
    fake_say(&f->fake, SP_AGENT_FRAME_DATA, channel, SP_STREAM_STDOUT, piece, sizeof piece);
    return sizeof piece;
}

/* A client that does not read makes the guest stop, and gets everything once it reads. */
static void test_slow_client(Fixture *f, gconstpointer data)
{
    static guint8 buffer[65536];
    gsize said = 0, got = 0;
    guint32 channel;
    int fd = connect_client(f, &channel);

    while (!has_heard(f)) {
        said += say_piece(f, channel, said);
        g_assert_cmpuint(said, <, 64 * 1024 * 1024);
    }
    expect_signal(f, channel, SIGSTOP);
    g_assert_cmpuint(said, >, SP_FORWARD_QUEUE_HIGH);
    said += say_piece(f, channel, said); /* was already on its way */
    g_assert_false(has_heard(f));
    while (got < said) {
        ssize_t n = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);

        for (ssize_t i = 0; i < n; i++, got++)
            g_assert_cmpuint(buffer[i], ==, (guint8)(got * 7 + got / 256));
        fake_turn();
    }
    expect_signal(f, channel, SIGCONT);
    /* once only */
    say(f, channel, "x");
    expect_client(fd, "x");
    g_assert_false(has_heard(f));
    close(fd);
}

/* The end is passed on after the data that precedes it. */
static void test_end_behind_much(Fixture *f, gconstpointer data)
{
    static guint8 buffer[65536];
    gsize said = 0, got = 0;
    guint32 channel;
    ssize_t n;
    int fd = connect_client(f, &channel);

    while (!has_heard(f))
        said += say_piece(f, channel, said);
    /* more than a socket takes at once */
    for (gsize end = said + SP_FORWARD_QUEUE_MAX * 3 / 4; said < end;)
        said += say_piece(f, channel, said);
    shutdown(fd, SHUT_WR);
    say_end(f, channel);
    say_exit(f, channel, 0);
    while ((n = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT)) != 0) {
        got += (gsize)MAX(n, 0);
        g_assert_true(n > 0 || errno == EAGAIN);
        fake_turn();
    }
    g_assert_cmpuint(got, ==, said);
    close(fd);
}

/* A guest that goes on although it was asked to stop does not fill the host's memory. */
static void test_stubborn_guest(Fixture *f, gconstpointer data)
{
    gsize said = 0;
    guint32 channel;
    int fd = connect_client(f, &channel);

    while (!has_heard(f))
        said += say_piece(f, channel, said);
    expect_signal(f, channel, SIGSTOP);
    said = 0;
    while (!has_heard(f)) {
        said += say_piece(f, channel, said);
        g_assert_cmpuint(said, <=, SP_FORWARD_QUEUE_MAX);
    }
    g_assert_cmpuint(said, >, SP_FORWARD_QUEUE_MAX - 2 * SP_FORWARD_QUEUE_HIGH);
    g_assert_cmpuint(hear(f, SP_AGENT_FRAME_CANCEL).channel, ==, channel);
    say_piece(f, channel, 0); /* without a receiver */
    close(fd);
}

static void test_many(Fixture *f, gconstpointer data)
{
    enum { CLIENTS = 30 };
    guint32 channels[CLIENTS];
    int fds[CLIENTS];

    for (int i = 0; i < CLIENTS; i++)
        fds[i] = connect_client(f, &channels[i]);
    for (int i = CLIENTS - 1; i >= 0; i--) {
        g_autofree char *text = g_strdup_printf("client %d", i);
        client_send(fds[i], text);
        expect_data(f, channels[i], text);
    }
    for (int i = 0; i < CLIENTS; i++) {
        g_autofree char *text = g_strdup_printf("answer %d", i);
        say(f, channels[i], text);
        say_exit(f, channels[i], 0);
        expect_client(fds[i], text);
        expect_client(fds[i], NULL);
        close(fds[i]);
    }
}

/* A connection that does not end in order is not mistaken for a complete one. */
static void test_broken(Fixture *f, gconstpointer data)
{
    const guint8 emfile[4] = {24};
    guint32 channel;
    int fd = connect_client(f, &channel);

    say(f, channel, "half");
    fake_say(
        &f->fake, SP_AGENT_FRAME_DATA, channel, SP_STREAM_STDERR, "why", 3); /* for the log only */
    fake_say(&f->fake, SP_AGENT_FRAME_END, channel, SP_STREAM_STDOUT, NULL, 0); /* it has exited */
    say_exit(f, channel, 1);
    expect_client(fd, "half");
    expect_reset(fd);
    fd = connect_client(f, &channel);
    fake_say(&f->fake, SP_AGENT_FRAME_ERROR, channel, 0, emfile, sizeof emfile);
    expect_reset(fd);
}

static void test_client_breaks(Fixture *f, gconstpointer data)
{
    const struct linger reset = {.l_onoff = 1};
    guint32 channel, other;
    int fd = connect_client(f, &channel);
    int fd_other = connect_client(f, &other);

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(fd);
    g_assert_cmpuint(hear(f, SP_AGENT_FRAME_CANCEL).channel, ==, channel);
    client_send(fd_other, "well");
    expect_data(f, other, "well");
    close(fd_other);
}

/* Connections end with the guest's boot; the port then leads to the next boot. */
static void test_reboot(Fixture *f, gconstpointer data)
{
    guint32 channel, other;
    int fd = connect_client(f, &channel);
    int fd_other = connect_client(f, &other);

    sp_agent_reset(f->fake.agent, "the guest was reset");
    f->has_agent = false;
    expect_reset(fd);
    expect_reset(fd_other);
    expect_reset(client_new(f));
    fake_connect_again(&f->fake);
    f->has_agent = true;
    fd = connect_client(f, &channel);
    client_send(fd, "again");
    expect_data(f, channel, "again");
    close(fd);
}

/* An agent that is not ready counts as none. */
static void test_not_ready(Fixture *f, gconstpointer data)
{
    sp_agent_reset(f->fake.agent, "the guest was reset");
    expect_reset(client_new(f));
}

static void test_free(Fixture *f, gconstpointer data)
{
    guint port = sp_forward_port(f->forward);
    g_autoptr(GError) error = NULL;
    guint32 channel;
    int fd = connect_client(f, &channel);

    g_clear_pointer(&f->forward, sp_forward_free);
    g_assert_cmpuint(hear(f, SP_AGENT_FRAME_CANCEL).channel, ==, channel);
    expect_reset(fd);
    f->forward = forward_new(f, port, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(sp_forward_port(f->forward), ==, port);
}

static void test_port_in_use(Fixture *f, gconstpointer data)
{
    guint port = sp_forward_port(f->forward);
    g_autofree char *number = g_strdup_printf("port %u ", port);
    g_autoptr(GError) error = NULL;

    g_assert_null(forward_new(f, port, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
    /* which the caller adds */
    g_assert_null(strstr(error->message, "gateway"));
    g_assert_nonnull(strstr(error->message, number));
    g_assert_nonnull(strstr(error->message, "in use"));
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*test)(Fixture *f, gconstpointer data);
    } tests[] = {
        {"/forward/client-ends-first", test_client_ends_first},
        {"/forward/guest-ends-first", test_guest_ends_first},
        {"/forward/slow-guest", test_slow_guest},
        {"/forward/slow-client", test_slow_client},
        {"/forward/end-behind-much", test_end_behind_much},
        {"/forward/stubborn-guest", test_stubborn_guest},
        {"/forward/many", test_many},
        {"/forward/broken", test_broken},
        {"/forward/client-breaks", test_client_breaks},
        {"/forward/reboot", test_reboot},
        {"/forward/not-ready", test_not_ready},
        {"/forward/free", test_free},
        {"/forward/port-in-use", test_port_in_use},
    };

    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, Fixture, NULL, set_up, tests[i].test, tear_down);
    return g_test_run();
}
