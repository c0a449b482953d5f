/* SPDX-License-Identifier: MIT */
#pragma once

#include "agent/loop.h"
#include "agent/queue.h"

#include "lib/agent-frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A request of the driver is a channel, of one of the kinds below; each kind has a file of its own.
 * One thread, one loop; nothing blocks but the disk.
 */

struct channel;

/**
 * What a kind of channel does. A negative errno is answered by ERROR and ends the channel; a
 * function that has ended it itself returns 0. All but open and free may be NULL: the frame is then
 * ignored.
 */
struct channel_ops {
    enum sp_agent_frame_type opened_by;
    /** Starts it from the opening frame's payload. Sets channel->data, which free gets even after a
     * failure. */
    int (*open)(struct channel *channel, struct sp_payload *payload);
    /** Takes bytes within the credit; channel_took() grants it anew. */
    int (*data)(struct channel *channel, const uint8_t *bytes, size_t length);
    int (*end)(struct channel *channel);
    int (*signal)(struct channel *channel, uint32_t number);
    int (*resize)(struct channel *channel, uint16_t rows, uint16_t columns);
    /** The driver wants no more of it. NULL: it ends with ERROR ECANCELED. */
    int (*cancel)(struct channel *channel);
    /** There is room again: go on with what channel_may_send() held back. Ends no channel. */
    void (*resume)(struct channel *channel);
    /** Gives back all that belongs to it, at once. */
    void (*free)(struct channel *channel);
};

extern const struct channel_ops command_ops, put_ops, get_ops, watch_ops, restored_ops;

/** All channels of the connection. */
struct channels {
    struct loop *loop;   /* not owned */
    struct queue *queue; /* not owned */
    struct units *units; /* made by the first watch of a unit (units.h) */
    struct channel *list;
    unsigned count;
    bool is_held; /* some channel waits for room in the queue */
};

struct channel {
    struct channels *all;
    const struct channel_ops *ops;
    uint32_t id;
    uint32_t credit; /* what the driver may still send */
    uint32_t owed;   /* what it sent and is dealt with, but not granted anew yet */
    /** What messages are about, or NULL. */
    const char *about;
    void *data;
    struct channel *next;
};

/** Give @frame to its channel, or open one. */
void channels_take_frame(struct channels *all, const struct sp_agent_frame *frame);
/** Let channels that were held go on. */
void channels_resume(struct channels *all);
/** End all channels without a word. */
void channels_end(struct channels *all);

/** False while too much waits to be sent: produce nothing until resume. */
bool channel_may_send(struct channel *channel);
/** Queue a frame. */
void channel_send(
    struct channel *channel, enum sp_agent_frame_type type, const void *payload, size_t length);
/** @length bytes of the driver's are dealt with. */
void channel_took(struct channel *channel, size_t length);
/** Read once from @fd, at most @length bytes, and queue them as DATA: what read() returns, or a
 * negative errno. */
ssize_t channel_read_from(struct channel *channel, int fd, enum sp_stream stream, size_t length);

/** What is sent of who holds a command's output, at most, with its NUL. */
#define CHANNEL_HELD_MAX 256u
/** Send EXIT and free the channel. @held names who still holds the output; NULL for nobody. */
void channel_exit(struct channel *channel, bool by_signal, uint32_t status, const char *held);
/** Send ERROR with the text of @error, a negative errno, and free the channel. */
void channel_fail(struct channel *channel, int error);
