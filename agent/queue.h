/* SPDX-License-Identifier: MIT */
#pragma once

#include "lib/agent-frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * The frames that wait to be written to the port. Embedded; one buffer of a fixed size, so that
 * nothing a driver does or leaves undone takes more memory.
 *
 * Who produces much asks queue_is_congested() first; who takes requests, queue_is_full(). What is
 * left above that holds the small answers of all channels. Should it not, the queue is marked
 * has_overflown, and the connection starts anew.
 */
struct queue {
    uint8_t *data;
    size_t begin, end;
    bool has_overflown;
};

/** 0 or -ENOMEM. */
int queue_init(struct queue *queue);
void queue_clear(struct queue *queue);

/** Forget all that waits, and an overflow. */
void queue_drop(struct queue *queue);

/** Nothing waits. */
bool queue_is_empty(const struct queue *queue);
/** Little enough waits for producers that were held to go on. */
bool queue_is_low(const struct queue *queue);
/** So much waits that nothing more should be read from commands and files. */
bool queue_is_congested(const struct queue *queue);
/** So much waits that no more requests should be taken. */
bool queue_is_full(const struct queue *queue);

/** Append a frame. */
void queue_frame(struct queue *queue, enum sp_agent_frame_type type, enum sp_stream stream,
    uint32_t channel, const void *payload, size_t length);

/**
 * Room for the payload of a DATA frame of at most @length bytes, to read into without a copy; NULL
 * if there is none. queue_end_data() appends the frame with the @length bytes that it got.
 */
uint8_t *queue_begin_data(struct queue *queue, size_t length);
void queue_end_data(struct queue *queue, enum sp_stream stream, uint32_t channel, size_t length);

/** Write what @fd takes. 0 if all is written, -EAGAIN if the rest has to wait, or another errno. */
int queue_write(struct queue *queue, int fd);
