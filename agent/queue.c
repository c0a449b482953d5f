/* SPDX-License-Identifier: MIT */

/* The frames that wait to be written. */

#include "agent/queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define QUEUE_SIZE (4u * 1024 * 1024)
#define FULL (2u * 1024 * 1024)
#define CONGESTED (1024u * 1024)
/* Low enough that producers are not held back and released at every write. */
#define LOW (512u * 1024)

static size_t count_waiting(const struct queue *queue)
{
    return queue->end - queue->begin;
}

int queue_init(struct queue *queue)
{
    *queue = (struct queue){.data = malloc(QUEUE_SIZE)};
    return queue->data ? 0 : -ENOMEM;
}

void queue_clear(struct queue *queue)
{
    free(queue->data);
    *queue = (struct queue){0};
}

void queue_drop(struct queue *queue)
{
    queue->begin = queue->end = 0;
    queue->has_overflown = false;
}

bool queue_is_empty(const struct queue *queue)
{
    return count_waiting(queue) == 0;
}

bool queue_is_low(const struct queue *queue)
{
    return count_waiting(queue) <= LOW;
}

bool queue_is_congested(const struct queue *queue)
{
    return count_waiting(queue) > CONGESTED;
}

bool queue_is_full(const struct queue *queue)
{
    return count_waiting(queue) > FULL;
}

static uint8_t *reserve_space(struct queue *queue, size_t length)
{
    if (length > QUEUE_SIZE - count_waiting(queue)) {
        queue->has_overflown = true;
        return NULL;
    }
    if (length > QUEUE_SIZE - queue->end) {
        memmove(queue->data, queue->data + queue->begin, count_waiting(queue));
        queue->end -= queue->begin;
        queue->begin = 0;
    }
    return queue->data + queue->end;
}

void queue_frame(struct queue *queue, enum sp_agent_frame_type type, enum sp_stream stream,
    uint32_t channel, const void *payload, size_t length)
{
    uint8_t *out = reserve_space(queue, SP_AGENT_FRAME_HEADER_SIZE + length);

    if (!out || sp_agent_frame_encode_header(out, type, (uint16_t)stream, channel, length) < 0)
        return;
    if (length > 0)
        memcpy(out + SP_AGENT_FRAME_HEADER_SIZE, payload, length);
    queue->end += SP_AGENT_FRAME_HEADER_SIZE + length;
}

uint8_t *queue_begin_data(struct queue *queue, size_t length)
{
    uint8_t *out = reserve_space(queue, SP_AGENT_FRAME_HEADER_SIZE + length);

    return out ? out + SP_AGENT_FRAME_HEADER_SIZE : NULL;
}

void queue_end_data(struct queue *queue, enum sp_stream stream, uint32_t channel, size_t length)
{
    uint8_t *header = queue->data + queue->end;

    if (sp_agent_frame_encode_header(
            header, SP_AGENT_FRAME_DATA, (uint16_t)stream, channel, length) == 0)
        queue->end += SP_AGENT_FRAME_HEADER_SIZE + length;
}

int queue_write(struct queue *queue, int fd)
{
    while (!queue_is_empty(queue)) {
        ssize_t n = write(fd, queue->data + queue->begin, count_waiting(queue));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        queue->begin += (size_t)n;
    }
    queue->begin = queue->end = 0;
    return 0;
}
