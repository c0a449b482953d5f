/* SPDX-License-Identifier: MIT */

/* Descriptors and timers, served in turn. */

#include "agent/loop.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_MAX 64

struct loop_source {
    struct loop *loop;
    int fd;          /* -1 for a timer */
    uint32_t events; /* watched for */
    uint32_t found;  /* while it is ready */
    uint64_t due_us; /* of a timer, or LOOP_NEVER */
    bool is_ready;
    loop_func func;
    void *data;
    void (*destroy)(void *data);
    TAILQ_ENTRY(loop_source) all, ready;
};

struct loop {
    int epoll;
    bool has_ended;
    TAILQ_HEAD(, loop_source) all, ready;
};

static uint64_t read_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

int loop_new(struct loop **ret)
{
    struct loop *loop = calloc(1, sizeof *loop);
    int r;

    if (!loop)
        return -ENOMEM;
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll < 0) {
        r = -errno;
        free(loop);
        return r;
    }
    TAILQ_INIT(&loop->all);
    TAILQ_INIT(&loop->ready);
    *ret = loop;
    return 0;
}

void loop_free(struct loop *loop)
{
    struct loop_source *source;

    if (!loop)
        return;
    while ((source = TAILQ_FIRST(&loop->all)))
        loop_source_free(source);
    close(loop->epoll);
    free(loop);
}

static void mark_ready(struct loop_source *source, uint32_t events)
{
    source->found = events;
    if (source->is_ready)
        return;
    source->is_ready = true;
    TAILQ_INSERT_TAIL(&source->loop->ready, source, ready);
}

static void unmark_ready(struct loop_source *source)
{
    if (!source->is_ready)
        return;
    source->is_ready = false;
    TAILQ_REMOVE(&source->loop->ready, source, ready);
}

/* For epoll_wait(): until the first timer is due. */
static int compute_timeout_ms(const struct loop *loop)
{
    const struct loop_source *source;
    uint64_t due_us = LOOP_NEVER, now_us, left_ms;

    TAILQ_FOREACH(source, &loop->all, all)
    {
        if (source->due_us < due_us)
            due_us = source->due_us;
    }
    if (due_us == LOOP_NEVER)
        return -1;
    now_us = read_clock();
    left_ms = due_us > now_us ? (due_us - now_us + 999) / 1000 : 0;
    return left_ms < INT_MAX ? (int)left_ms : INT_MAX;
}

static void find_due_timers(struct loop *loop)
{
    uint64_t now_us = read_clock();
    struct loop_source *source;

    TAILQ_FOREACH(source, &loop->all, all)
    {
        if (source->due_us > now_us)
            continue;
        source->due_us = LOOP_NEVER;
        mark_ready(source, 0);
    }
}

static int find_ready(struct loop *loop)
{
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(loop->epoll, events, EVENTS_MAX, compute_timeout_ms(loop));

    if (n < 0)
        return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < n; i++)
        mark_ready(events[i].data.ptr, events[i].events);
    find_due_timers(loop);
    return 0;
}

int loop_turn(struct loop *loop)
{
    struct loop_source *source;
    int r = 0;

    while (r >= 0 && TAILQ_EMPTY(&loop->ready))
        r = find_ready(loop);
    source = TAILQ_FIRST(&loop->ready);
    if (r < 0)
        return r;
    unmark_ready(source);
    source->func(source->data, source->found);
    return 0;
}

void loop_end(struct loop *loop)
{
    loop->has_ended = true;
}

bool loop_has_ended(const struct loop *loop)
{
    return loop->has_ended;
}

static struct loop_source *add_source(struct loop *loop, loop_func func, void *data)
{
    struct loop_source *source = calloc(1, sizeof *source);

    if (!source)
        return NULL;
    *source = (struct loop_source){
        .loop = loop, .fd = -1, .due_us = LOOP_NEVER, .func = func, .data = data};
    TAILQ_INSERT_TAIL(&loop->all, source, all);
    return source;
}

static int control_epoll(struct loop_source *source, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = source};

    if (epoll_ctl(source->loop->epoll, operation, source->fd, &event) < 0)
        return -errno;
    source->events = events;
    return 0;
}

int loop_add_fd(struct loop *loop, int fd, uint32_t events, loop_func func, void *data,
    struct loop_source **ret)
{
    struct loop_source *source = add_source(loop, func, data);
    int r;

    if (!source)
        return -ENOMEM;
    source->fd = fd;
    r = control_epoll(source, EPOLL_CTL_ADD, events);
    if (r < 0) {
        loop_source_free(source);
        return r;
    }
    *ret = source;
    return 0;
}

int loop_add_timer(
    struct loop *loop, uint64_t delay_us, loop_func func, void *data, struct loop_source **ret)
{
    struct loop_source *source = add_source(loop, func, data);

    if (!source)
        return -ENOMEM;
    loop_source_start(source, delay_us);
    *ret = source;
    return 0;
}

void loop_source_set_events(struct loop_source *source, uint32_t events)
{
    int operation = EPOLL_CTL_MOD;

    if (events == source->events)
        return;
    /* epoll reports hang-ups whatever it is asked for */
    if (events == 0)
        operation = EPOLL_CTL_DEL;
    else if (source->events == 0)
        operation = EPOLL_CTL_ADD;
    if (events == 0)
        unmark_ready(source);
    /* What the kernel had the memory for before, it has again. */
    control_epoll(source, operation, events);
}

void loop_source_start(struct loop_source *source, uint64_t delay_us)
{
    unmark_ready(source);
    source->due_us = delay_us == LOOP_NEVER ? LOOP_NEVER : read_clock() + delay_us;
}

void loop_source_set_destroy(struct loop_source *source, void (*destroy)(void *data))
{
    source->destroy = destroy;
}

struct loop_source *loop_source_free(struct loop_source *source)
{
    if (!source)
        return NULL;
    unmark_ready(source);
    if (source->events != 0)
        control_epoll(source, EPOLL_CTL_DEL, 0);
    TAILQ_REMOVE(&source->loop->all, source, all);
    if (source->destroy)
        source->destroy(source->data);
    free(source);
    return NULL;
}
