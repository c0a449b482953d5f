/* SPDX-License-Identifier: MIT */

/* WATCH: units by the manager's signals; files and sockets, for which there are no events to rely
 * on (a mount over a folder, another network namespace), by looking often. */

#include "agent-units.h"
#include "agent.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LOOK_USEC 25000u
/* A connection that is neither accepted nor refused counts as closed after this. */
#define CONNECT_USEC 1000000u
#define ADDRESSES_MAX 8u

struct address {
    struct sockaddr_storage address;
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
    char told; /* the last STATE: '0', '1', or 0 for none yet */
};

static void tell(struct watch *watch, bool is_there)
{
    const char state[2] = {is_there ? '1' : '0', 0};

    if (watch->told == state[0])
        return;
    watch->told = state[0];
    channel_send(watch->channel, SP_FRAME_STATE, SP_STREAM_STDIN, state, sizeof state);
}

static void on_unit(const struct unit_state *state, void *data)
{
    struct watch *watch = data;
    char payload[256];
    size_t length = 0;
    char job[16];
    const char *strings[] = {state->load, state->active, state->sub, state->result, job};

    snprintf(job, sizeof job, "%u", state->job);
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
        size_t size = strlen(strings[i]) + 1;
        memcpy(payload + length, strings[i], size);
        length += size;
    }
    channel_send(watch->channel, SP_FRAME_STATE, SP_STREAM_STDIN, payload, length);
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

static int try_next(struct watch *watch);

static int connection_ended(struct watch *watch, int error)
{
    drop_connection(watch);
    if (error == 0) {
        tell(watch, true);
    } else if (watch->next_address < watch->n_addresses) {
        return try_next(watch);
    } else {
        tell(watch, false);
    }
    watch->next_address = 0;
    return look_again(watch, LOOK_USEC);
}

static int on_connected(sd_event_source *source, int fd, uint32_t events, void *data)
{
    int error = 0;
    socklen_t length = sizeof error;

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
        error = errno;
    return connection_ended(data, error);
}

static int try_next(struct watch *watch)
{
    const struct address *address = &watch->addresses[watch->next_address++];
    int r;

    watch->fd = socket(address->address.ss_family, address->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (watch->fd < 0)
        return connection_ended(watch, errno);
    if (connect(watch->fd, (const struct sockaddr *)&address->address, address->length) == 0)
        return connection_ended(watch, 0);
    if (errno != EINPROGRESS)
        return connection_ended(watch, errno);
    r = sd_event_add_io(
        agent_event(watch->channel->agent), &watch->io, watch->fd, EPOLLOUT, on_connected, watch);
    return r < 0 ? r : look_again(watch, CONNECT_USEC);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *data)
{
    struct watch *watch = data;

    if (watch->kind == SP_WATCH_FILE) {
        tell(watch, access(watch->path, F_OK) == 0);
        return look_again(watch, LOOK_USEC);
    }
    if (watch->fd >= 0)
        return connection_ended(watch, ETIMEDOUT);
    return try_next(watch);
}

static int parse_port(struct watch *watch, const char *what)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    const char *blank = strrchr(what, ' ');
    char *host;

    if (!blank)
        return -EINVAL;
    host = strndup(what, (size_t)(blank - what));
    if (!host)
        return -ENOMEM;
    /* names are looked up once; they are expected in /etc/hosts */
    int r = getaddrinfo(host, blank + 1, &hints, &list);
    free(host);
    if (r != 0)
        return -ENOENT;
    for (struct addrinfo *a = list; a && watch->n_addresses < ADDRESSES_MAX; a = a->ai_next) {
        struct address *address = &watch->addresses[watch->n_addresses++];
        memcpy(&address->address, a->ai_addr, a->ai_addrlen);
        address->length = a->ai_addrlen;
        address->type = SOCK_STREAM;
    }
    freeaddrinfo(list);
    return watch->n_addresses > 0 ? 0 : -ENOENT;
}

static int parse_unix(struct watch *watch, const char *what)
{
    struct address *address = &watch->addresses[0];
    struct sockaddr_un *sun = (struct sockaddr_un *)&address->address;
    const char *path = strchr(what, ' ');

    if (strncmp(what, "stream ", 7) == 0)
        address->type = SOCK_STREAM;
    else if (strncmp(what, "dgram ", 6) == 0)
        address->type = SOCK_DGRAM;
    else
        return -EINVAL;
    path++;
    if (strlen(path) >= sizeof sun->sun_path)
        return -ENAMETOOLONG;
    sun->sun_family = AF_UNIX;
    strcpy(sun->sun_path, path);
    address->length = sizeof *sun;
    watch->n_addresses = 1;
    return 0;
}

static int watch_open(struct channel *channel, struct sp_payload *payload)
{
    struct watch *watch = calloc(1, sizeof *watch);
    const char *what;
    int r = 0;

    if (!watch)
        return -ENOMEM;
    watch->channel = channel;
    watch->fd = -1;
    channel->data = watch;
    if (sp_payload_take_u32(payload, &watch->kind) < 0 ||
        sp_payload_take_string(payload, &what) < 0)
        return -EPROTO;
    if (watch->kind == SP_WATCH_UNIT)
        return units_follow(agent_units(channel->agent), agent_event(channel->agent), what, on_unit,
            watch, &watch->unit);
    if (watch->kind == SP_WATCH_FILE) {
        watch->path = strdup(what);
        r = watch->path ? 0 : -ENOMEM;
    } else if (watch->kind == SP_WATCH_PORT) {
        r = parse_port(watch, what);
    } else if (watch->kind == SP_WATCH_UNIX) {
        r = parse_unix(watch, what);
    } else {
        r = -EINVAL;
    }
    if (r < 0)
        return r;
    return sd_event_add_time_relative(
        agent_event(channel->agent), &watch->timer, CLOCK_MONOTONIC, 0, 1000, on_timer, watch);
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
    .opened_by = SP_FRAME_WATCH,
    .open = watch_open,
    .free = watch_free,
};
