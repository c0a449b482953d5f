/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The agent: serves the driver's requests in a guest (lib/frame.h has the wire format).
 *
 * agent.c holds the program and the connection; a request is a channel, of one of the kinds below,
 * each with a file of its own. One thread, one loop (sd-event); nothing blocks.
 */

#include "lib/frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

struct agent;
struct channel;

/** What a kind of channel does. All but open and free may be NULL: the frame is then ignored. */
struct channel_ops {
    enum sp_frame_type opened_by;
    /** Starts it from the opening frame's payload; a negative errno is answered by ERROR. Sets
     * channel->data, which free gets even after a failure. */
    int (*open)(struct channel *channel, struct sp_payload *payload);
    int (*data)(struct channel *channel, const uint8_t *bytes, size_t length);
    int (*end)(struct channel *channel);
    int (*signal)(struct channel *channel, uint32_t number);
    int (*resize)(struct channel *channel, uint16_t rows, uint16_t columns);
    /** The driver wants no more of it. NULL: it is closed with ERROR ECANCELED. */
    int (*cancel)(struct channel *channel);
    /** There is room again to send: go on with what was held back. */
    void (*resume)(struct channel *channel);
    void (*free)(struct channel *channel);
};

struct channel {
    struct agent *agent;
    const struct channel_ops *ops;
    uint32_t id;
    void *data;
    struct channel *next;
};

extern const struct channel_ops command_ops, put_ops, get_ops, watch_ops;

sd_event *agent_event(struct agent *agent);
/** The connection to the system manager for unit watches; see agent-units.c. */
struct units **agent_units(struct agent *agent);
/** True while so much waits to be sent that nothing more should be produced. */
bool agent_is_congested(struct agent *agent);

/** Queue a frame of @channel. */
void channel_send(struct channel *channel, enum sp_frame_type type, enum sp_stream stream,
    const void *payload, size_t length);
void channel_send_credit(struct channel *channel, uint32_t bytes);
/** Send EXIT and free the channel. */
void channel_exit(struct channel *channel, bool by_signal, uint32_t status);
/** Send ERROR with the text of @error (a negative errno) and @what, and free the channel. */
void channel_fail(struct channel *channel, int error, const char *what);
