/* SPDX-License-Identifier: MIT */
#include "agent/forward.h"

#include "base/error.h"
#include "base/stream.h"

#include <fcntl.h>
#include <gio/gio.h>
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
    SpStream *stream; /* to the host's side, whose output the channel reads */
    SpChannel *channel;
    bool is_held; /* the guest's end is stopped */
    bool has_end; /* nothing follows the data that waits in the stream */
} Connection;

/* Have close() send a reset, which tells the peer that the data is incomplete. */
static void end_by_reset(int fd)
{
    const struct linger reset = {.l_onoff = 1};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

static void drop_connection(Connection *connection, bool is_well)
{
    g_queue_remove(&connection->owner->connections, connection);
    sp_channel_free(connection->channel);
    if (!is_well)
        end_by_reset(sp_stream_fd(connection->stream));
    sp_stream_free(connection->stream);
    g_free(connection);
}

static void hold_guest(Connection *connection, bool is_held)
{
    if (connection->is_held == is_held)
        return;
    connection->is_held = is_held;
    sp_channel_signal(connection->channel, is_held ? SIGSTOP : SIGCONT);
}

/* Whether the guest's end has ended without an error. Logs one. */
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

/* No data waits any more: pass on the end that followed it. */
static void pass_end(Connection *connection)
{
    if (sp_channel_is_done(connection->channel, NULL))
        drop_connection(connection, has_ended_well(connection));
    else if (connection->has_end &&
             g_str_equal(sp_channel_errors(connection->channel)->str, SP_CONNECT_END))
        shutdown(sp_stream_fd(connection->stream), SHUT_WR);
}

static void on_connection_written(void *data)
{
    Connection *connection = data;

    if (sp_stream_pending(connection->stream) < SP_FORWARD_QUEUE_LOW)
        hold_guest(connection, false);
    if (sp_stream_pending(connection->stream) == 0)
        pass_end(connection);
}

static void on_connection_disconnected(int error_number, void *data)
{
    drop_connection(data, false);
}

static const SpStreamFuncs stream_funcs = {
    .disconnected = on_connection_disconnected, .written = on_connection_written};

static void flush_connection(Connection *connection)
{
    sp_stream_flush(connection->stream);
    on_connection_written(connection);
}

static void on_connection_output(const guint8 *bytes, gsize length, void *data)
{
    Connection *connection = data;
    guint8 *space = sp_stream_reserve(connection->stream, length);

    if (!space) {
        drop_connection(connection, false); /* the guest was asked to stop, and did not */
        return;
    }
    memcpy(space, bytes, length);
    sp_stream_commit(connection->stream, length);
    if (sp_stream_pending(connection->stream) > SP_FORWARD_QUEUE_HIGH)
        hold_guest(connection, true);
    flush_connection(connection);
}

static void on_errors(void *data)
{
    flush_connection(data);
}

static void on_end(void *data)
{
    Connection *connection = data;

    connection->has_end = true;
    flush_connection(connection);
}

static void on_done(void *data)
{
    flush_connection(data);
}

static const SpOutputFuncs output_funcs = {
    .output = on_connection_output, .errors = on_errors, .end = on_end, .done = on_done};

static SpStream *open_stream(int fd, Connection *connection)
{
    const SpStreamConfig config = {
        .funcs = &stream_funcs, .data = connection, .output_max = SP_FORWARD_QUEUE_MAX};

    return sp_stream_new(fd, &config);
}

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
    int output = input >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
    Connection *connection;

    /* the service closes the descriptor of @socket */
    if (output < 0) {
        if (input >= 0)
            close(input);
        end_by_reset(fd);
        return TRUE;
    }
    connection = g_new0(Connection, 1);
    connection->owner = forward;
    connection->stream = open_stream(output, connection);
    g_queue_push_tail(&forward->connections, connection);
    connection->channel = sp_agent_exec_streamed(agent, argv, input, &output_funcs, connection);
    if (sp_channel_is_done(connection->channel, NULL))
        flush_connection(connection);
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
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "port %u of the host can't be forwarded: %s",
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
        drop_connection(g_queue_peek_head(&forward->connections), false);
    g_free(forward);
}

guint sp_forward_port(const SpForward *forward)
{
    return forward->port;
}
