/* SPDX-License-Identifier: MIT */
#include "agent/forward.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct SpForward {
    SpForwardConfig config;
    GSocketService *service;
    guint port;
    GQueue connections; /* of Connection */
};

typedef struct {
    SpForward *owner;
    GSocketConnection *socket;
    int fd; /* the socket's */
    SpChannel *channel;
    GByteArray *output; /* for the host's side, which did not take it yet */
    gsize written;      /* of output */
    GSource *writable;  /* while output waits */
    bool is_held;       /* the guest's end is stopped */
    bool has_end;       /* nothing comes behind output, for better or worse */
} Connection;

/* Have the socket, once it is closed, tell its peer that this was not the end of it all. */
static void end_by_reset(int fd)
{
    const struct linger reset = {.l_onoff = 1};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

static void drop(Connection *connection, bool is_well)
{
    g_queue_remove(&connection->owner->connections, connection);
    if (connection->writable) {
        g_source_destroy(connection->writable);
        g_source_unref(connection->writable);
    }
    sp_channel_free(connection->channel);
    if (!is_well)
        end_by_reset(connection->fd);
    g_object_unref(connection->socket);
    g_byte_array_unref(connection->output);
    g_free(connection);
}

static gsize waiting(const Connection *connection)
{
    return connection->output->len - connection->written;
}

static void hold(Connection *connection, bool is_held)
{
    if (connection->is_held == is_held)
        return;
    connection->is_held = is_held;
    sp_channel_signal(connection->channel, is_held ? SIGSTOP : SIGCONT);
}

/* How the guest's end came to its own. */
static bool has_ended_well(Connection *connection)
{
    const SpForwardConfig *config = &connection->owner->config;
    g_autoptr(GError) error = NULL;
    g_autofree char *said = NULL;

    if (!sp_channel_is_done(connection->channel, &error))
        return false;
    if (!error && sp_channel_status(connection->channel) == 0)
        return true;
    said = g_utf8_make_valid(sp_channel_errors(connection->channel)->str, -1);
    sp_log(config->log, config->machine, "a connection to port %u has ended: %s",
        config->guest_port, error ? error->message : g_strchomp(said));
    return false;
}

/* Nothing waits any more: pass on what came behind it. False if that was the end. */
static bool pass_end(Connection *connection)
{
    if (sp_channel_is_done(connection->channel, NULL)) {
        drop(connection, has_ended_well(connection));
        return false;
    }
    if (connection->has_end &&
        g_str_equal(sp_channel_errors(connection->channel)->str, SP_CONNECT_END))
        shutdown(connection->fd, SHUT_WR);
    return true;
}

/* False if the connection is gone. */
static bool write_output(Connection *connection)
{
    while (waiting(connection) > 0) {
        ssize_t n = send(connection->fd, connection->output->data + connection->written,
            waiting(connection), MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n >= 0) {
            connection->written += (gsize)n;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            break;
        } else if (errno != EINTR) {
            drop(connection, false);
            return false;
        }
    }
    if (connection->written > 0 && connection->written >= waiting(connection)) {
        g_byte_array_remove_range(connection->output, 0, (guint)connection->written);
        connection->written = 0;
    }
    if (waiting(connection) < SP_FORWARD_QUEUE_LOW)
        hold(connection, false);
    return waiting(connection) > 0 || pass_end(connection);
}

static gboolean on_writable(int fd, GIOCondition condition, void *data)
{
    Connection *connection = data;

    if (!write_output(connection))
        return G_SOURCE_REMOVE;
    if (waiting(connection) > 0)
        return G_SOURCE_CONTINUE;
    g_clear_pointer(&connection->writable, g_source_unref);
    return G_SOURCE_REMOVE;
}

static void go_on(Connection *connection)
{
    if (connection->writable || !write_output(connection) || waiting(connection) == 0)
        return;
    connection->writable = g_unix_fd_source_new(connection->fd, G_IO_OUT | G_IO_ERR | G_IO_HUP);
    g_source_set_callback(connection->writable, G_SOURCE_FUNC(on_writable), connection, NULL);
    g_source_attach(connection->writable, NULL);
}

static void on_output(const guint8 *bytes, gsize length, void *data)
{
    Connection *connection = data;

    if (waiting(connection) + length > SP_FORWARD_QUEUE_MAX) {
        drop(connection, false); /* the guest was asked to stop, and did not */
        return;
    }
    g_byte_array_append(connection->output, bytes, (guint)length);
    if (waiting(connection) > SP_FORWARD_QUEUE_HIGH)
        hold(connection, true);
    go_on(connection);
}

static void on_errors(void *data)
{
    go_on(data);
}

static void on_end(void *data)
{
    Connection *connection = data;

    connection->has_end = true;
    go_on(connection);
}

static void on_done(void *data)
{
    go_on(data);
}

static const SpStreamFuncs stream_funcs = {
    .output = on_output, .errors = on_errors, .end = on_end, .done = on_done};

static gboolean on_incoming(
    GSocketService *service, GSocketConnection *socket, GObject *source, void *data)
{
    SpForward *forward = data;
    g_autofree char *port = g_strdup_printf("%u", forward->config.guest_port);
    /* the agent's own program, wherever it is installed */
    const char *const argv[] = {"/proc/self/exe", "connect", "localhost", port, NULL};
    SpAgent *agent = forward->config.agent(forward->config.data);
    int fd = g_socket_get_fd(g_socket_connection_get_socket(socket));
    int input = agent ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
    Connection *connection;

    if (input < 0) {
        end_by_reset(fd);
        return TRUE; /* closed with its last reference */
    }
    connection = g_new0(Connection, 1);
    connection->owner = forward;
    connection->socket = g_object_ref(socket);
    connection->fd = fd;
    connection->output = g_byte_array_new();
    g_queue_push_tail(&forward->connections, connection);
    connection->channel = sp_agent_exec_streamed(agent, argv, input, &stream_funcs, connection);
    if (sp_channel_is_done(connection->channel, NULL))
        go_on(connection);
    return TRUE;
}

static bool listen_on(SpForward *forward, GError **error)
{
    g_autoptr(GInetAddress) loopback = g_inet_address_new_loopback(G_SOCKET_FAMILY_IPV4);
    g_autoptr(GSocketAddress) wanted =
        g_inet_socket_address_new(loopback, (guint16)forward->config.host_port);
    g_autoptr(GSocketAddress) effective = NULL;
    g_autoptr(GError) local = NULL;

    if (!g_socket_listener_add_address(G_SOCKET_LISTENER(forward->service), wanted,
            G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, NULL, &effective, &local)) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "machine '%s': port %u of the host can't be forwarded: %s", forward->config.machine,
            forward->config.host_port, local->message);
        return false;
    }
    forward->port = g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(effective));
    return true;
}

SpForward *sp_forward_new(const SpForwardConfig *config, GError **error)
{
    SpForward *forward = g_new0(SpForward, 1);

    forward->config = *config;
    g_queue_init(&forward->connections);
    forward->service = g_socket_service_new();
    if (!listen_on(forward, error)) {
        sp_forward_free(forward);
        return NULL;
    }
    g_signal_connect(forward->service, "incoming", G_CALLBACK(on_incoming), forward);
    g_socket_service_start(forward->service);
    return forward;
}

void sp_forward_free(SpForward *forward)
{
    if (!forward)
        return;
    g_signal_handlers_disconnect_by_data(forward->service, forward);
    g_socket_service_stop(forward->service);
    g_socket_listener_close(G_SOCKET_LISTENER(forward->service));
    g_object_unref(forward->service);
    while (!g_queue_is_empty(&forward->connections))
        drop(g_queue_peek_head(&forward->connections), false);
    g_free(forward);
}

guint sp_forward_port(const SpForward *forward)
{
    return forward->port;
}
