/* SPDX-License-Identifier: MIT */

/* WATCH: units by the manager's signals; files and sockets, for which there are no events to rely
 * on (a mount over a folder, another network namespace), by looking often. */

#include "agent/channel.h"
#include "agent/connect.h"
#include "agent/listen.h"
#include "agent/units.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LOOK_USEC 25000u
/* Each connection that comes about costs the service that takes it. */
#define LOOK_CONNECTED_USEC 1000000u
/* A connection that is neither accepted nor refused counts as closed after this. */
#define CONNECT_USEC 1000000u
#define ADDRESSES_MAX 8u

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    };
    socklen_t length;
    int type;
};

struct watch {
    struct channel *channel;
    uint32_t kind;
    struct unit *unit;
    sd_event_source *timer;
    char *path;
    struct address addresses[ADDRESSES_MAX];
    size_t n_addresses, next_address;
    int fd; /* a connection being made */
    sd_event_source *io;
    char told;    /* the last STATE: '0', '1', or 0 for none yet */
    bool is_held; /* a unit's state was not told for want of room */
};

static void tell(struct watch *watch, bool is_there)
{
    const char state[2] = {is_there ? '1' : '0', 0};

    /* Held back, it is told at the next look. */
    if (watch->told == state[0] || !channel_may_send(watch->channel))
        return;
    watch->told = state[0];
    channel_send(watch->channel, SP_AGENT_FRAME_STATE, state, sizeof state);
}

static void tell_unit(struct watch *watch)
{
    const struct unit_state *state = unit_get_state(watch->unit);
    char job[16], payload[sizeof *state + sizeof job];
    const char *strings[] = {state->load, state->active, state->sub, state->result, job};
    char *end = payload;

    snprintf(job, sizeof job, "%u", state->job);
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        end = stpcpy(end, strings[i]) + 1;
    channel_send(watch->channel, SP_AGENT_FRAME_STATE, payload, (size_t)(end - payload));
}

static void on_unit(void *data, int error)
{
    struct watch *watch = data;

    if (error < 0)
        channel_fail(watch->channel, error);
    else if (channel_may_send(watch->channel))
        tell_unit(watch);
    else
        watch->is_held = true;
}

static void watch_resume(struct channel *channel)
{
    struct watch *watch = channel->data;

    if (!watch->is_held)
        return;
    watch->is_held = false;
    tell_unit(watch);
}

static int look_again(struct watch *watch, uint64_t usec)
{
    int r = sd_event_source_set_time_relative(watch->timer, usec);

    return r < 0 ? r : sd_event_source_set_enabled(watch->timer, SD_EVENT_ONESHOT);
}

static void drop_connection(struct watch *watch)
{
    watch->io = sd_event_source_disable_unref(watch->io);
    if (watch->fd >= 0)
        close(watch->fd);
    watch->fd = -1;
}

static int on_connected(sd_event_source *source, int fd, uint32_t events, void *data);

/* 0 if a connection was made, -EINPROGRESS if that takes time, or another errno. */
static int try_address(struct watch *watch, const struct address *address)
{
    int r;

    watch->fd = socket(address->any.sa_family, address->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (watch->fd < 0)
        return -errno;
    if (connect(watch->fd, &address->any, address->length) == 0)
        return connect_is_to_itself(watch->fd) ? -ECONNREFUSED : 0;
    if (errno != EINPROGRESS)
        return -errno;
    r = sd_event_add_io(
        watch->channel->all->event, &watch->io, watch->fd, EPOLLOUT, on_connected, watch);
    return r < 0 ? r : -EINPROGRESS;
}

/* Look at the addresses from the next one on, after @r of the one before. */
static int look_on(struct watch *watch, int r)
{
    while (r < 0 && watch->next_address < watch->n_addresses) {
        drop_connection(watch);
        r = try_address(watch, &watch->addresses[watch->next_address++]);
        if (r == -EINPROGRESS)
            return look_again(watch, CONNECT_USEC);
    }
    drop_connection(watch);
    watch->next_address = 0;
    /* A unix socket whose queue is full is there, but takes no connection now: that is no news. */
    if (r != -EAGAIN)
        tell(watch, r == 0);
    return look_again(watch, r == 0 ? LOOK_CONNECTED_USEC : LOOK_USEC);
}

static int on_connected(sd_event_source *source, int fd, uint32_t events, void *data)
{
    int error = 0;
    socklen_t length = sizeof error;

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
        error = errno;
    if (error == 0 && connect_is_to_itself(fd))
        error = ECONNREFUSED;
    return look_on(data, -error);
}

/* Where nobody listens a connection may come about all the same, by a packet filter that leads it
 * elsewhere, and to try harms nobody. */
static bool has_listener(const struct watch *watch)
{
    for (size_t i = 0; i < watch->n_addresses; i++) {
        if (listen_find(&watch->addresses[i].any, watch->addresses[i].length) == 1)
            return true;
    }
    return false;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *data)
{
    struct watch *watch = data;

    if (watch->kind == SP_WATCH_PORT && !watch->io && has_listener(watch)) {
        tell(watch, true);
        return look_again(watch, LOOK_USEC);
    }
    if (watch->kind != SP_WATCH_FILE)
        return look_on(watch, -ETIMEDOUT);
    tell(watch, access(watch->path, F_OK) == 0);
    return look_again(watch, LOOK_USEC);
}

static void add_address(struct watch *watch, const struct addrinfo *info)
{
    struct address *address = &watch->addresses[watch->n_addresses];

    if (watch->n_addresses == ADDRESSES_MAX || info->ai_addrlen > sizeof address->in6)
        return;
    memcpy(&address->in6, info->ai_addr, info->ai_addrlen);
    address->length = info->ai_addrlen;
    address->type = SOCK_STREAM;
    watch->n_addresses++;
}

static int add_host(struct watch *watch, const char *host, const char *port)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *list = NULL;

    if (getaddrinfo(host, port, &hints, &list) != 0)
        return -EADDRNOTAVAIL;
    for (const struct addrinfo *info = list; info; info = info->ai_next)
        add_address(watch, info);
    freeaddrinfo(list);
    return 0;
}

/* Names are looked up once, in /etc/hosts only. */
static int parse_port(struct watch *watch, const char *what)
{
    const char *blank = strrchr(what, ' ');
    char host[256];
    int r;

    if (!blank || (size_t)(blank - what) >= sizeof host)
        return -EINVAL;
    memcpy(host, what, (size_t)(blank - what));
    host[blank - what] = 0;
    if (strcmp(host, "localhost") != 0)
        return add_host(watch, host, blank + 1);
    r = add_host(watch, "127.0.0.1", blank + 1);
    return r < 0 ? r : add_host(watch, "::1", blank + 1);
}

static int parse_unix(struct watch *watch, const char *what)
{
    struct address *address = &watch->addresses[0];
    const char *path = strchr(what, ' ');

    if (strncmp(what, "stream ", 7) == 0)
        address->type = SOCK_STREAM;
    else if (strncmp(what, "dgram ", 6) == 0)
        address->type = SOCK_DGRAM;
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

static int parse(struct watch *watch, const char *what)
{
    switch (watch->kind) {
    case SP_WATCH_FILE:
        watch->path = strdup(what);
        return watch->path ? 0 : -ENOMEM;
    case SP_WATCH_PORT:
        return parse_port(watch, what);
    case SP_WATCH_UNIX:
        return parse_unix(watch, what);
    default:
        return -EINVAL;
    }
}

static int watch_open(struct channel *channel, struct sp_payload *payload)
{
    struct watch *watch = calloc(1, sizeof *watch);
    sd_event *event = channel->all->event;
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
        return units_follow(&channel->all->units, event, what, on_unit, watch, &watch->unit);
    r = parse(watch, what);
    if (r < 0)
        return r;
    return sd_event_add_time_relative(
        event, &watch->timer, CLOCK_MONOTONIC, 0, 1000, on_timer, watch);
}

static void watch_free(struct channel *channel)
{
    struct watch *watch = channel->data;

    if (!watch)
        return;
    unit_free(watch->unit);
    drop_connection(watch);
    sd_event_source_disable_unref(watch->timer);
    free(watch->path);
    free(watch);
}

const struct channel_ops watch_ops = {
    .opened_by = SP_AGENT_FRAME_WATCH,
    .open = watch_open,
    .resume = watch_resume,
    .free = watch_free,
};
