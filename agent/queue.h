/* SPDX-License-Identifier: MIT */
#pragma once

#include "lib/agent-frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * The frames that wait to be written to the port. Embedded. It is one buffer of a fixed size, so
 * that no driver can make it take more memory.
 *
 * Producers of much data check queue_is_congested() first; before requests are taken,
 * queue_is_full() is checked. The space above that is for the small answers of all channels. If
 * even that does not suffice, the queue is marked has_overflown, and the connection starts anew.
 */
struct queue {
    uint8_t *data;
    size_t begin, end;
    bool has_overflown;
};

/** 0 or -ENOMEM. */
int queue_init(struct queue *queue);
void queue_clear(struct queue *queue);

/** Drop everything that waits, and clear has_overflown. */
void queue_drop(struct queue *queue);

/** Returns true if nothing waits. */
bool queue_is_empty(const struct queue *queue);
/** Returns true if so little waits that producers which were held back may go on. */
bool queue_is_low(const struct queue *queue);
/** Returns true if so much waits that nothing more should be read from commands and files. */
bool queue_is_congested(const struct queue *queue);
/** Returns true if so much waits that no more requests should be taken. */
bool queue_is_full(const struct queue *queue);

/** Append a frame. */
void queue_frame(struct queue *queue, enum sp_agent_frame_type type, enum sp_stream stream,
    uint32_t channel, const void *payload, size_t length);

/**
 * Returns space for the payload of a DATA frame of at most @length bytes, to read into without a
 * copy; NULL if there is none. queue_end_data() appends the frame with the @length bytes that were
 * read.
 */
uint8_t *queue_begin_data(struct queue *queue, size_t length);
void queue_end_data(struct queue *queue, enum sp_stream stream, uint32_t channel, size_t length);

/** Write what @fd takes. Returns 0 if everything was written, -EAGAIN if the rest has to wait, or
 * another negative errno. */
int queue_write(struct queue *queue, int fd);
