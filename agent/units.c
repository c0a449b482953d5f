/* SPDX-License-Identifier: MIT */

/* The agent's side of slotproof-agent-units; units-main.c is the other. */

#include "agent/units.h"

#include "agent/spawn.h"
#include "agent/units-wire.h"
#include "lib/byte-order.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ADDRESS_VARIABLE "SLOTPROOF_MANAGER_ADDRESS"

struct units {
    struct loop *loop; /* not owned */
    pid_t pid;         /* of the program; 0: it does not run */
    int socket;
    struct loop_source *source;
    uint32_t last_id;
    struct unit *list;
};

struct unit {
    struct units *units;
    struct unit *next;
    uint32_t id; /* the channel of its frames */
    unit_func func;
    void *data;
    uint8_t state[UNITS_STATE_MAX];
    size_t length;
};

static void stop_program(struct units *units)
{
    if (units->pid == 0)
        return;
    units->source = loop_source_free(units->source);
    close(units->socket);
    kill(units->pid, SIGKILL);
    while (waitpid(units->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    units->pid = 0;
}

static struct unit *find_unit(struct units *units, uint32_t id)
{
    struct unit *unit = units->list;

    while (unit && unit->id != id)
        unit = unit->next;
    return unit;
}

static void take_error(struct unit *unit, struct sp_payload *payload)
{
    uint32_t number;

    if (sp_payload_take_u32(payload, &number) < 0 || number == 0 || number > INT_MAX)
        number = EPROTO;
    unit->func(unit->data, -(int)number);
}

static void take_program_answer(struct unit *unit, const struct sp_agent_frame *frame)
{
    struct sp_payload payload;

    sp_payload_init(&payload, frame);
    if (frame->type == SP_AGENT_FRAME_ERROR) {
        take_error(unit, &payload);
    } else if (frame->type == SP_AGENT_FRAME_STATE && frame->length <= sizeof unit->state) {
        memcpy(unit->state, frame->payload, frame->length);
        unit->length = frame->length;
        unit->func(unit->data, 0);
    }
}

static void on_answer(void *data, uint32_t events)
{
    struct units *units = data;
    uint8_t message[UNITS_MESSAGE_MAX];
    ssize_t length = recv(units->socket, message, sizeof message, MSG_DONTWAIT);
    struct sp_agent_frame frame;
    struct unit *unit;

    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (length <= 0 || sp_agent_frame_decode(message, (size_t)length, &frame) != length) {
        stop_program(units);
        while (units->list)
            units->list->func(units->list->data, -EPIPE);
        return;
    }
    /* One that is no longer followed may still be answered. */
    unit = find_unit(units, frame.channel);
    if (unit)
        take_program_answer(unit, &frame);
}

/* It has the agent's protection from the OOM killer, and its stderr. */
static int spawn_program(const char *path, int socket, pid_t *ret_pid)
{
    sp_auto_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    const char *const argv[] = {path, getenv(ADDRESS_VARIABLE), NULL};
    const int streams[] = {socket, null, STDERR_FILENO};
    struct spawn_request request = {0};
    int r = null < 0 ? -errno : spawn_make(&request, argv);

    request.keeps_oom_score = true;
    if (r == 0)
        r = spawn_start(&request, streams, NULL, ret_pid);
    spawn_request_clear(&request);
    return r;
}

static int start_program(struct units *units)
{
    sp_auto_close int ours = -1, theirs = -1;
    char path[PATH_MAX];
    int ends[2], r;

    if (!spawn_find_beside(UNITS_PROGRAM, path))
        return -ENOSYS;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    ours = ends[0];
    theirs = ends[1];
    r = loop_add_fd(units->loop, ours, EPOLLIN, on_answer, units, &units->source);
    if (r == 0)
        r = spawn_program(path, theirs, &units->pid);
    if (r == 0)
        units->socket = sp_steal_fd(&ours);
    else
        units->source = loop_source_free(units->source);
    return r;
}

static int send_to_program(
    const struct unit *unit, enum sp_agent_frame_type type, const void *payload, size_t length)
{
    uint8_t message[UNITS_MESSAGE_MAX];
    int r = sp_agent_frame_encode_header(message, type, 0, unit->id, length);

    if (r < 0 || length > sizeof message - SP_AGENT_FRAME_HEADER_SIZE)
        return -EMSGSIZE;
    if (length > 0)
        memcpy(message + SP_AGENT_FRAME_HEADER_SIZE, payload, length);
    return send(unit->units->socket, message, SP_AGENT_FRAME_HEADER_SIZE + length,
               MSG_DONTWAIT | MSG_NOSIGNAL) < 0
               ? -errno
               : 0;
}

static int ask_program(struct unit *unit, const char *name)
{
    uint8_t payload[4 + UNITS_NAME_MAX];
    size_t size = strlen(name) + 1;
    int r = 0;

    if (size > UNITS_NAME_MAX)
        return -EINVAL;
    if (unit->units->pid == 0)
        r = start_program(unit->units);
    if (r < 0)
        return r;
    sp_put_le32(payload, SP_WATCH_UNIT);
    memcpy(payload + 4, name, size);
    return send_to_program(unit, SP_AGENT_FRAME_WATCH, payload, 4 + size);
}

int units_follow(struct units **units, struct loop *loop, const char *name, unit_func func,
    void *data, struct unit **ret)
{
    struct unit *unit;
    int r;

    if (!*units)
        *units = calloc(1, sizeof **units);
    unit = *units ? calloc(1, sizeof *unit) : NULL;
    if (!unit)
        return -ENOMEM;
    (*units)->loop = loop;
    *unit = (struct unit){.units = *units, .id = ++(*units)->last_id, .func = func, .data = data};
    r = ask_program(unit, name);
    if (r < 0) {
        free(unit);
        return r;
    }
    unit->next = (*units)->list;
    (*units)->list = unit;
    *ret = unit;
    return 0;
}

const char *units_explain(int error)
{
    switch (error) {
    case -ENOSYS:
        return "this guest has no " UNITS_PROGRAM ", which watches units";
    case -EOPNOTSUPP:
        return "this guest does not run systemd, so it has no units";
    case -EPIPE:
        return UNITS_PROGRAM " has ended";
    default:
        return NULL;
    }
}

const uint8_t *unit_get_state(const struct unit *unit, size_t *ret_length)
{
    *ret_length = unit->length;
    return unit->state;
}

void unit_free(struct unit *unit)
{
    if (!unit)
        return;
    for (struct unit **p = &unit->units->list; *p; p = &(*p)->next) {
        if (*p == unit) {
            *p = unit->next;
            break;
        }
    }
    /* Unless it can be told, it would go on following the unit. */
    if (unit->units->pid != 0 && send_to_program(unit, SP_AGENT_FRAME_CANCEL, NULL, 0) < 0)
        shutdown(unit->units->socket, SHUT_RDWR); /* seen by on_answer() as its end */
    free(unit);
}

void units_free(struct units *units)
{
    if (!units)
        return;
    stop_program(units);
    free(units);
}
