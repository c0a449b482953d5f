/* SPDX-License-Identifier: MIT */

/* The stream of frames to and from the driver, and how it recovers from a driver that died. */

#include "agent/connection.h"

#include "agent/channel.h"
#include "agent/shell.h"
#include "agent/units.h"

#include "lib/byte-order.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define FRAME_MAX (SP_AGENT_FRAME_HEADER_SIZE + SP_AGENT_FRAME_PAYLOAD_MAX)
#define HELLO_LENGTH (SP_HELLO_MAGIC_SIZE + 4 + SP_NONCE_SIZE)
#define HELLO_FRAME_SIZE (SP_AGENT_FRAME_HEADER_SIZE + HELLO_LENGTH)
/* Holds what is kept of the past, the beginning of a frame, and one turn's input. */
#define INPUT_SIZE (HELLO_FRAME_SIZE + FRAME_MAX + TURN_SIZE)
/* One turn of the loop reads about this much (the port gives a page at a time): enough to need few
 * turns, but little enough to stay in a cache until it is written to a file, and to let others have
 * their turn. */
#define TURN_SIZE (128u * 1024)
/* After this long without further input, a HELLO within a frame is taken to be one. */
#define LOST_HELLO_US 200000u
#define REOPEN_US 100000u

struct connection {
    struct loop *loop;
    struct loop_source *io;
    struct loop_source *reopen;
    struct loop_source *lost_hello;
    const char *path; /* NULL for a given descriptor */
    int fd;
    bool is_connected;   /* a HELLO was answered */
    bool is_hung_up;     /* no driver has the port's other end open */
    bool input_waits;    /* frames were left in the input, since too much waits to be sent */
    bool ends_in_hello;  /* the last frame taken was a HELLO */
    bool has_complained; /* about a port that can't be opened */
    uint8_t *input;
    struct sp_agent_frame
        partial;       /* DATA whose beginning was passed on; its length is that of the rest */
    size_t begin, end; /* what is still to be taken of the input; before it is the past */
    struct queue queue;
    struct channels channels;
};

static void want_events(struct connection *c, bool wants_to_write)
{
    uint32_t events = (c->input_waits ? 0u : EPOLLIN) | (wants_to_write ? EPOLLOUT : 0u);

    /* A hang-up would be reported again and again. Edge-triggered, only what comes after it is. */
    if (c->is_hung_up)
        events = EPOLLIN | EPOLLET;
    if (c->io)
        loop_source_set_events(c->io, events);
}

static void drop_driver(struct connection *c)
{
    channels_end(&c->channels);
    queue_drop(&c->queue);
    c->is_connected = false;
    c->input_waits = false;
    c->partial.length = 0;
}

static void read_boot_id(uint8_t boot_id[static SP_BOOT_ID_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    sp_auto_close int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    char text[36] = "";
    size_t nibble = 0;

    memset(boot_id, 0, SP_BOOT_ID_SIZE);
    if (fd < 0 || read(fd, text, sizeof text) != sizeof text)
        return;
    for (size_t i = 0; i < sizeof text && nibble < 2 * SP_BOOT_ID_SIZE; i++) {
        const char *digit = memchr(digits, text[i], 16);
        if (!digit)
            continue;
        boot_id[nibble / 2] |= (uint8_t)((digit - digits) << (nibble % 2 ? 0 : 4));
        nibble++;
    }
}

/* Returns false if the frame is not a HELLO that can be answered. */
static bool take_driver_hello(struct connection *c, const struct sp_agent_frame *frame)
{
    uint8_t reply[HELLO_LENGTH + SP_BOOT_ID_SIZE];

    if (frame->length < HELLO_LENGTH ||
        memcmp(frame->payload, SP_HELLO_MAGIC, SP_HELLO_MAGIC_SIZE) != 0)
        return false;
    drop_driver(c);
    c->is_connected = true;
    memcpy(reply, frame->payload, HELLO_LENGTH);
    sp_put_le32(reply + SP_HELLO_MAGIC_SIZE, SP_PROTOCOL_VERSION);
    read_boot_id(reply + HELLO_LENGTH);
    queue_frame(&c->queue, SP_AGENT_FRAME_HELLO, 0, 0, reply, sizeof reply);
    shell_prepare();
    return true;
}

/* Pass on what is there of the DATA frame that has begun. */
static size_t take_partial_data(struct connection *c, const uint8_t *data, size_t length)
{
    struct sp_agent_frame piece = c->partial;

    if (piece.length > length)
        piece.length = length;
    piece.payload = data;
    c->partial.length -= piece.length;
    channels_take_frame(&c->channels, &piece);
    return piece.length;
}

/* The rest of a frame is yet to come: wait for it, unless it is DATA. */
static size_t take_frame_beginning(struct connection *c, const uint8_t *data, size_t length)
{
    if (!c->is_connected || length <= SP_AGENT_FRAME_HEADER_SIZE ||
        sp_agent_frame_decode_header(data, length, &c->partial) <= 0)
        return 0;
    if (c->partial.type != SP_AGENT_FRAME_DATA) {
        c->partial.length = 0;
        return 0;
    }
    c->ends_in_hello = false;
    return SP_AGENT_FRAME_HEADER_SIZE;
}

/* Returns how many bytes of @data were dealt with; 0 if more are needed. */
static size_t take_next(struct connection *c, const uint8_t *data, size_t length)
{
    const size_t keep = SP_AGENT_FRAME_HEADER_SIZE + SP_HELLO_MAGIC_SIZE - 1;
    struct sp_agent_frame frame;
    ssize_t n;

    if (!c->is_connected) {
        n = sp_agent_frame_find_hello(data, length);
        if (n < 0)
            return length > keep ? length - keep : 0;
        if (n > 0)
            return (size_t)n;
    }
    if (c->partial.length > 0)
        return take_partial_data(c, data, length);
    n = sp_agent_frame_decode(data, length, &frame);
    if (n == 0)
        return take_frame_beginning(c, data, length);
    c->ends_in_hello = n > 0 && frame.type == SP_AGENT_FRAME_HELLO;
    if (n < 0 || (c->ends_in_hello && !take_driver_hello(c, &frame))) {
        drop_driver(c);
        return 1; /* look for a HELLO behind its first byte */
    }
    if (!c->ends_in_hello)
        channels_take_frame(&c->channels, &frame);
    return (size_t)n;
}

static void make_input_space(struct connection *c)
{
    size_t past = c->begin < HELLO_FRAME_SIZE ? c->begin : HELLO_FRAME_SIZE;
    size_t from = c->begin - past;

    /* Move the beginning of a long frame only if its end would not fit. */
    if (from == 0 || (c->begin < c->end && INPUT_SIZE - c->end >= TURN_SIZE))
        return;
    memmove(c->input, c->input + from, c->end - from);
    c->begin -= from;
    c->end -= from;
}

static void take_driver_input(struct connection *c)
{
    size_t n;

    c->input_waits = false;
    while (c->begin < c->end) {
        if (queue_is_full(&c->queue)) {
            c->input_waits = true;
            break;
        }
        n = take_next(c, c->input + c->begin, c->end - c->begin);
        if (n == 0)
            break;
        c->begin += n;
    }
    make_input_space(c);
}

static void on_lost_hello(void *data, uint32_t events)
{
    struct connection *c = data;

    drop_driver(c);
    c->begin = c->end - HELLO_FRAME_SIZE;
    take_driver_input(c);
}

/* The last bytes that came may look like a HELLO, but be within a frame: either they are payload,
 * or the frame's sender died. In the latter case nothing follows them. */
static void look_for_lost_hello(struct connection *c)
{
    const uint8_t *hello = c->input + c->end - HELLO_FRAME_SIZE;
    struct sp_agent_frame frame;
    bool is_lost =
        c->end >= HELLO_FRAME_SIZE && !c->input_waits &&
        !(c->ends_in_hello && c->begin == c->end) &&
        sp_agent_frame_find_hello(hello, HELLO_FRAME_SIZE) == 0 &&
        sp_agent_frame_decode(hello, HELLO_FRAME_SIZE, &frame) == (ssize_t)HELLO_FRAME_SIZE;

    loop_source_start(c->lost_hello, is_lost ? LOST_HELLO_US : LOOP_NEVER);
}

static void forget_input(struct connection *c)
{
    drop_driver(c);
    c->begin = c->end = 0;
    loop_source_start(c->lost_hello, LOOP_NEVER);
}

/* The port is gone, or is not there yet. */
static void lose_port(struct connection *c)
{
    c->io = loop_source_free(c->io);
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    loop_source_start(c->reopen, REOPEN_US);
}

static void take_end(struct connection *c, int error)
{
    if (c->is_hung_up && error == 0)
        return;
    forget_input(c);
    if (!c->path)
        loop_end(c->loop);
    else if (error != 0)
        lose_port(c);
    else
        c->is_hung_up = true;
}

static void on_io(void *data, uint32_t events)
{
    struct connection *c = data;
    size_t total = 0;
    ssize_t n = 1;
    int error;

    /* Writing is left to connection_settle(). */
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        return;
    /* Nothing is read while the queue is full; but after a hang-up nobody will empty it. */
    if (c->input_waits) {
        if (events & (EPOLLHUP | EPOLLERR))
            take_end(c, 0);
        return;
    }
    while (total < TURN_SIZE && c->end < INPUT_SIZE) {
        n = read(c->fd, c->input + c->end, INPUT_SIZE - c->end);
        if (n <= 0)
            break;
        c->end += (size_t)n;
        total += (size_t)n;
    }
    error = n < 0 ? errno : 0;
    if (total > 0) {
        c->is_hung_up = false;
        take_driver_input(c);
        look_for_lost_hello(c);
    }
    if (n == 0)
        take_end(c, 0);
    else if (error != 0 && error != EAGAIN && error != EINTR)
        take_end(c, error);
}

void connection_settle(struct connection *c)
{
    int r;

    if (c->fd < 0)
        return;
    if (c->queue.has_overflown)
        drop_driver(c);
    /* An error is left to the reading side. */
    r = queue_write(&c->queue, c->fd);
    if (c->input_waits && !queue_is_full(&c->queue)) {
        take_driver_input(c);
        look_for_lost_hello(c); /* there may be no more input to make on_io() look */
        r = queue_write(&c->queue, c->fd);
    }
    if (c->channels.is_held && queue_is_low(&c->queue))
        channels_resume(&c->channels);
    want_events(c, r == -EAGAIN);
}

static int watch_driver(struct connection *c)
{
    c->is_hung_up = false;
    return loop_add_fd(c->loop, c->fd, EPOLLIN, on_io, c, &c->io);
}

static void open_virtio_port(struct connection *c)
{
    int r;

    c->fd = open(c->path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    r = c->fd < 0 ? -errno : watch_driver(c);
    if (r >= 0)
        return;
    if (!c->has_complained)
        fprintf(stderr, "slotproof-agent: %s: %s; trying again\n", c->path, strerror(-r));
    c->has_complained = true;
    lose_port(c);
}

static void on_reopen(void *data, uint32_t events)
{
    open_virtio_port(data);
}

static int connection_new(struct loop *loop, struct connection **ret)
{
    struct connection *c = calloc(1, sizeof *c);

    if (!c)
        return -ENOMEM;
    c->loop = loop;
    c->fd = -1;
    c->input = malloc(INPUT_SIZE);
    if (!c->input || queue_init(&c->queue) < 0 ||
        loop_add_timer(loop, LOOP_NEVER, on_reopen, c, &c->reopen) < 0 ||
        loop_add_timer(loop, LOOP_NEVER, on_lost_hello, c, &c->lost_hello) < 0) {
        connection_free(c);
        return -ENOMEM;
    }
    c->channels = (struct channels){.loop = loop, .queue = &c->queue};
    *ret = c;
    return 0;
}

int connection_new_port(struct loop *loop, const char *path, struct connection **ret)
{
    int r = connection_new(loop, ret);

    if (r < 0)
        return r;
    (*ret)->path = path;
    open_virtio_port(*ret);
    return 0;
}

int connection_new_fd(struct loop *loop, int fd, struct connection **ret)
{
    int flags = fcntl(fd, F_GETFL);
    int r;

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return -errno;
    r = connection_new(loop, ret);
    if (r < 0)
        return r;
    (*ret)->fd = fd;
    return watch_driver(*ret);
}

void connection_free(struct connection *c)
{
    if (!c)
        return;
    channels_end(&c->channels);
    units_free(c->channels.units);
    loop_source_free(c->io);
    loop_source_free(c->reopen);
    loop_source_free(c->lost_hello);
    if (c->fd >= 0)
        close(c->fd);
    queue_clear(&c->queue);
    free(c->input);
    free(c);
}
