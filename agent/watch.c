/* SPDX-License-Identifier: MIT */

/* WATCH: units by the manager's signals; files and sockets by looking often, since no events for
 * them are reliable (a mount over a directory, another network namespace). */

#include "agent/address.h"
#include "agent/channel.h"
#include "agent/connect.h"
#include "agent/listen.h"
#include "agent/units.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOOK_US 25000u
/* Each connection that is made costs the service that accepts it. */
#define LOOK_CONNECTED_US 1000000u
/* A connection that is neither accepted nor refused counts as closed after this. */
#define CONNECT_US 1000000u
#define ADDRESSES_MAX 8u

struct watch {
    struct channel *channel;
    uint32_t kind;
    struct unit *unit;
    struct loop_source *timer;
    char *path;
    int socket_type;
    struct address addresses[ADDRESSES_MAX];
    size_t n_addresses, next_address;
    int fd; /* of a connection that is being made */
    struct loop_source *io;
    char sent_state; /* the last STATE: '0', '1', or 0 for none yet */
    bool is_held;    /* a unit's state waits for space in the queue */
};

static void send_presence(struct watch *watch, bool is_there)
{
    const char state[2] = {is_there ? '1' : '0', 0};

    /* If it is held back, the next look sends it. */
    if (watch->sent_state == state[0] || !channel_may_send(watch->channel))
        return;
    watch->sent_state = state[0];
    channel_send(watch->channel, SP_AGENT_FRAME_STATE, state, sizeof state);
}

static void send_unit_state(struct watch *watch)
{
    size_t length;
    const uint8_t *state = unit_get_state(watch->unit, &length);

    channel_send(watch->channel, SP_AGENT_FRAME_STATE, state, length);
}

static int explain_unit_error(struct watch *watch, int error)
{
    watch->channel->about = units_explain(error);
    /* to the driver it is all the same what is missing */
    return error == -ENOSYS ? -EOPNOTSUPP : error;
}

static void on_unit(void *data, int error)
{
    struct watch *watch = data;

    if (error < 0)
        channel_fail(watch->channel, explain_unit_error(watch, error));
    else if (channel_may_send(watch->channel))
        send_unit_state(watch);
    else
        watch->is_held = true;
}

static void watch_resume(struct channel *channel)
{
    struct watch *watch = channel->data;

    if (!watch->is_held)
        return;
    watch->is_held = false;
    send_unit_state(watch);
}

static void close_connecting(struct watch *watch)
{
    watch->io = loop_source_free(watch->io);
    if (watch->fd >= 0)
        close(watch->fd);
    watch->fd = -1;
}

static void on_connected(void *data, uint32_t events);

/* Returns 0 if a connection was made, -EINPROGRESS if that takes time, or another negative errno.
 */
static int begin_connecting(struct watch *watch, const struct address *address)
{
    int r;

    watch->fd =
        socket(address->any.sa_family, watch->socket_type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (watch->fd < 0)
        return -errno;
    if (connect(watch->fd, &address->any, address->length) == 0)
        return connect_is_to_itself(watch->fd) ? -ECONNREFUSED : 0;
    if (errno != EINPROGRESS)
        return -errno;
    r = loop_add_fd(
        watch->channel->all->loop, watch->fd, EPOLLOUT, on_connected, watch, &watch->io);
    return r < 0 ? r : -EINPROGRESS;
}

/* Try the addresses from the next one on; @r is the result of the one before. */
static void try_addresses(struct watch *watch, int r)
{
    while (r < 0 && watch->next_address < watch->n_addresses) {
        close_connecting(watch);
        r = begin_connecting(watch, &watch->addresses[watch->next_address++]);
        if (r == -EINPROGRESS) {
            loop_source_start(watch->timer, CONNECT_US);
            return;
        }
    }
    close_connecting(watch);
    watch->next_address = 0;
    /* A unix socket whose queue is full is there, but takes no connection now: nothing is known. */
    if (r != -EAGAIN)
        send_presence(watch, r == 0);
    loop_source_start(watch->timer, r == 0 ? LOOK_CONNECTED_US : LOOK_US);
}

static void on_connected(void *data, uint32_t events)
{
    struct watch *watch = data;
    int error = 0;
    socklen_t length = sizeof error;

    if (getsockopt(watch->fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
        error = errno;
    if (error == 0 && connect_is_to_itself(watch->fd))
        error = ECONNREFUSED;
    try_addresses(watch, -error);
}

/* Even if nothing listens, a connection may be made, if a packet filter redirects it; trying does
 * no harm then. */
static bool has_listener(const struct watch *watch)
{
    for (size_t i = 0; i < watch->n_addresses; i++) {
        if (listen_find(&watch->addresses[i].any, watch->addresses[i].length) == 1)
            return true;
    }
    return false;
}

static void on_look_timer(void *data, uint32_t events)
{
    struct watch *watch = data;

    if (watch->kind == SP_WATCH_FILE) {
        send_presence(watch, access(watch->path, F_OK) == 0);
        loop_source_start(watch->timer, LOOK_US);
    } else if (watch->kind == SP_WATCH_PORT && !watch->io && has_listener(watch)) {
        send_presence(watch, true);
        loop_source_start(watch->timer, LOOK_US);
    } else {
        try_addresses(watch, -ETIMEDOUT);
    }
}

/* A name is looked up once. */
static int parse_host_and_port(struct watch *watch, const char *what)
{
    const char *space = strrchr(what, ' ');
    char host[256];
    int n;

    if (!space || (size_t)(space - what) >= sizeof host)
        return -EINVAL;
    memcpy(host, what, (size_t)(space - what));
    host[space - what] = 0;
    n = address_find(host, space + 1, watch->addresses, ADDRESSES_MAX);
    if (n < 0)
        return n;
    watch->n_addresses = (size_t)n;
    watch->socket_type = SOCK_STREAM;
    return 0;
}

static int parse_unix_socket(struct watch *watch, const char *what)
{
    struct address *address = &watch->addresses[0];
    const char *path = strchr(what, ' ');

    if (strncmp(what, "stream ", 7) == 0)
        watch->socket_type = SOCK_STREAM;
    else if (strncmp(what, "dgram ", 6) == 0)
        watch->socket_type = SOCK_DGRAM;
    else
        return -EINVAL;
    path++;
    if (strlen(path) >= sizeof address->un.sun_path)
        return -ENAMETOOLONG;
    address->un.sun_family = AF_UNIX;
    memcpy(address->un.sun_path, path, strlen(path) + 1);
    address->length = sizeof address->un;
    watch->n_addresses = 1;
    return 0;
}

static int parse_watched(struct watch *watch, const char *what)
{
    switch (watch->kind) {
    case SP_WATCH_FILE:
        watch->path = strdup(what);
        return watch->path ? 0 : -ENOMEM;
    case SP_WATCH_PORT:
        return parse_host_and_port(watch, what);
    case SP_WATCH_UNIX:
        return parse_unix_socket(watch, what);
    default:
        return -EINVAL;
    }
}

static int follow_unit(struct watch *watch, const char *name)
{
    struct channels *all = watch->channel->all;
    int r = units_follow(&all->units, all->loop, name, on_unit, watch, &watch->unit);

    return r < 0 ? explain_unit_error(watch, r) : 0;
}

static int watch_open(struct channel *channel, struct sp_payload *payload)
{
    struct watch *watch = calloc(1, sizeof *watch);
    const char *what;
    int r;

    if (!watch)
        return -ENOMEM;
    watch->channel = channel;
    watch->fd = -1;
    channel->data = watch;
    if (sp_payload_take_u32(payload, &watch->kind) < 0 ||
        sp_payload_take_string(payload, &what) < 0)
        return -EPROTO;
    if (watch->kind == SP_WATCH_UNIT)
        return follow_unit(watch, what);
    r = parse_watched(watch, what);
    if (r < 0)
        return r;
    return loop_add_timer(channel->all->loop, 0, on_look_timer, watch, &watch->timer);
}

static void watch_free(struct channel *channel)
{
    struct watch *watch = channel->data;

    if (!watch)
        return;
    unit_free(watch->unit);
    close_connecting(watch);
    loop_source_free(watch->timer);
    free(watch->path);
    free(watch);
}

const struct channel_ops watch_ops = {
    .opened_by = SP_AGENT_FRAME_WATCH,
    .open = watch_open,
    .resume = watch_resume,
    .free = watch_free,
};
