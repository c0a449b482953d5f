/* SPDX-License-Identifier: MIT */
#pragma once

#include "agent/loop.h"
#include "agent/queue.h"

#include "lib/agent-frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Each request of the driver has a channel. There are several kinds, and each has a file of its
 * own. There is one thread and one loop; nothing blocks but the disk.
 */

struct channel;

/**
 * What a kind of channel does. If a function returns a negative errno, the channel ends with ERROR;
 * a function that has ended the channel itself returns 0. All but open and free may be NULL: the
 * frame is then ignored.
 */
struct channel_ops {
    enum sp_agent_frame_type opened_by;
    /** Starts the request, described by the opening frame's payload. Sets channel->data, which free
     * gets even after a failure. */
    int (*open)(struct channel *channel, struct sp_payload *payload);
    /** Takes bytes within the credit; channel_took() grants new credit. */
    int (*data)(struct channel *channel, const uint8_t *bytes, size_t length);
    int (*end)(struct channel *channel);
    int (*signal)(struct channel *channel, uint32_t number);
    int (*resize)(struct channel *channel, uint16_t rows, uint16_t columns);
    /** The driver is no longer interested. NULL: the channel ends with ERROR ECANCELED. */
    int (*cancel)(struct channel *channel);
    /** The queue has space again: go on with what channel_may_send() held back. Must not end a
     * channel. */
    void (*resume)(struct channel *channel);
    /** Frees everything that belongs to the channel, without waiting. */
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
    bool is_held; /* some channel waits for space in the queue */
};

struct channel {
    struct channels *all;
    const struct channel_ops *ops;
    uint32_t id;
    uint32_t credit; /* what the driver may still send */
    uint32_t owed;   /* what has been dealt with, but not granted again yet */
    /** What the text of an ERROR begins with, or NULL. */
    const char *about;
    void *data;
    struct channel *next;
};

/** Pass @frame to its channel, or open one. */
void channels_take_frame(struct channels *all, const struct sp_agent_frame *frame);
/** Let channels that were held back go on. */
void channels_resume(struct channels *all);
/** End all channels without sending anything. */
void channels_end(struct channels *all);

/** Returns false while too much waits to be sent: produce nothing until resume is called. */
bool channel_may_send(struct channel *channel);
/** Queue a frame. */
void channel_send(
    struct channel *channel, enum sp_agent_frame_type type, const void *payload, size_t length);
/** @length bytes from the driver have been dealt with. */
void channel_took(struct channel *channel, size_t length);
/** Read once from @fd, at most @length bytes, and queue them as DATA. Returns what read() returns,
 * or a negative errno. */
ssize_t channel_read_from(struct channel *channel, int fd, enum sp_stream stream, size_t length);

/** The longest text that names who holds a command's output, with its NUL. */
#define CHANNEL_HELD_MAX 256u
/** Send EXIT and free the channel. @held names who still holds the output; NULL for nobody. */
void channel_exit(struct channel *channel, bool by_signal, uint32_t status, const char *held);
/** Send ERROR with the text of @error, a negative errno, and free the channel. */
void channel_fail(struct channel *channel, int error);
