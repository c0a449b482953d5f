/* SPDX-License-Identifier: MIT */

/* slotproof-agent-units: the part of the agent that needs systemd. See units-wire.h. */

#include "agent/unit-manager.h"
#include "agent/units-wire.h"
#include "lib/byte-order.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define AGENT_FD STDIN_FILENO

struct server {
    sd_event *event;
    struct manager *manager;
    bool has_own_manager; /* which is not the system's */
    struct follower *list;
};

/* A channel of the agent's. */
struct follower {
    struct server *server;
    struct follower *next;
    uint32_t id;
    struct managed_unit *unit;
};

/* Waits while the socket is full: the agent always reads. */
static void send_to_agent(struct server *server, enum sp_agent_frame_type type, uint32_t id,
    const void *payload, size_t length)
{
    uint8_t message[UNITS_MESSAGE_MAX];

    if (length > sizeof message - SP_AGENT_FRAME_HEADER_SIZE ||
        sp_agent_frame_encode_header(message, type, 0, id, length) < 0)
        return;
    memcpy(message + SP_AGENT_FRAME_HEADER_SIZE, payload, length);
    if (send(AGENT_FD, message, SP_AGENT_FRAME_HEADER_SIZE + length, MSG_NOSIGNAL) < 0)
        sd_event_exit(server->event, 0);
}

static void send_error_to_agent(struct server *server, uint32_t id, int error)
{
    uint8_t payload[4];

    sp_put_le32(payload, (uint32_t)-error);
    send_to_agent(server, SP_AGENT_FRAME_ERROR, id, payload, sizeof payload);
}

static void send_state_to_agent(const struct follower *follower)
{
    const struct unit_state *state = managed_unit_get_state(follower->unit);
    char job[16], payload[UNITS_STATE_MAX];
    const char *strings[] = {state->load, state->active, state->sub, state->result, job};
    char *end = payload;

    snprintf(job, sizeof job, "%u", state->job);
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        end = stpcpy(end, strings[i]) + 1;
    send_to_agent(
        follower->server, SP_AGENT_FRAME_STATE, follower->id, payload, (size_t)(end - payload));
}

static void follower_free(struct follower *follower)
{
    for (struct follower **p = &follower->server->list; *p; p = &(*p)->next) {
        if (*p == follower) {
            *p = follower->next;
            break;
        }
    }
    managed_unit_free(follower->unit);
    free(follower);
}

static void on_unit_state(void *data, int error)
{
    struct follower *follower = data;

    if (error == 0) {
        send_state_to_agent(follower);
        return;
    }
    send_error_to_agent(follower->server, follower->id, error);
    follower_free(follower);
}

static int follow_for_agent(struct server *server, uint32_t id, const char *name)
{
    struct follower *follower;
    int r;

    /* asked each time: an agent in an initramfs may have been started before systemd */
    if (!server->has_own_manager && sd_booted() <= 0)
        return -EOPNOTSUPP;
    follower = calloc(1, sizeof *follower);
    if (!follower)
        return -ENOMEM;
    *follower = (struct follower){.server = server, .id = id, .next = server->list};
    server->list = follower;
    r = manager_follow(server->manager, name, on_unit_state, follower, &follower->unit);
    if (r < 0)
        follower_free(follower);
    return r;
}

static int take_watch_request(struct server *server, const struct sp_agent_frame *frame)
{
    struct sp_payload payload;
    uint32_t kind;
    const char *name;

    sp_payload_init(&payload, frame);
    if (sp_payload_take_u32(&payload, &kind) < 0 || kind != SP_WATCH_UNIT ||
        sp_payload_take_string(&payload, &name) < 0)
        return -EPROTO;
    return follow_for_agent(server, frame->channel, name);
}

static void take_cancel_request(struct server *server, uint32_t id)
{
    for (struct follower *f = server->list; f; f = f->next) {
        if (f->id == id) {
            follower_free(f);
            return;
        }
    }
}

static int on_request(sd_event_source *source, int fd, uint32_t events, void *data)
{
    struct server *server = data;
    uint8_t message[UNITS_MESSAGE_MAX];
    ssize_t length = recv(fd, message, sizeof message, MSG_DONTWAIT);
    struct sp_agent_frame frame;
    int r = 0;

    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (length <= 0 || sp_agent_frame_decode(message, (size_t)length, &frame) != length)
        return sd_event_exit(server->event, 0);
    if (frame.type == SP_AGENT_FRAME_WATCH)
        r = take_watch_request(server, &frame);
    else if (frame.type == SP_AGENT_FRAME_CANCEL)
        take_cancel_request(server, frame.channel);
    if (r < 0)
        send_error_to_agent(server, frame.channel, r);
    return 0;
}

static int serve_agent(struct server *server, const char *address)
{
    int r = sd_event_new(&server->event);

    if (r >= 0)
        r = manager_new(server->event, address, &server->manager);
    if (r >= 0)
        r = sd_event_add_io(server->event, NULL, AGENT_FD, EPOLLIN, on_request, server);
    return r < 0 ? r : sd_event_loop(server->event);
}

int main(int argc, char **argv)
{
    const char *address = argc > 1 ? argv[1] : NULL;
    struct server server = {.has_own_manager = address != NULL};
    int r;

    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        puts(UNITS_PROGRAM " " SLOTPROOF_VERSION);
        return 0;
    }
    /* A shutdown sends it to all processes. The agent must not take that for our failure: we end
     * when it does. */
    signal(SIGTERM, SIG_IGN);
    r = serve_agent(&server, address);
    while (server.list)
        follower_free(server.list);
    manager_free(server.manager);
    sd_event_unref(server.event);
    if (r < 0)
        fprintf(stderr, UNITS_PROGRAM ": %s (it is started by slotproof-agent)\n", strerror(-r));
    return r < 0;
}
