/* SPDX-License-Identifier: MIT */
#pragma once

#include "agent/loop.h"

/**
 * The connection to the driver: takes its frames, passes them to their channels, and writes what
 * these answer.
 *
 * No input ends it: after garbage, a frame that is too long, or a hang-up, all channels are ended
 * and it waits for the next HELLO. A HELLO within a frame is found as well, since a driver may have
 * died in the middle of a frame; it is accepted if nothing follows it.
 */
struct connection;

/** Serve the virtio-serial port @path. If it can't be opened, this is retried until it can. */
int connection_new_port(struct loop *loop, const char *path, struct connection **ret);
/** Serve the stream socket @fd, of which it takes ownership. The loop ends when the socket does. */
int connection_new_fd(struct loop *loop, int fd, struct connection **ret);
/** Ends all channels. NULL is accepted. */
void connection_free(struct connection *connection);

/** Write what is queued. To be called after each turn of the loop. */
void connection_settle(struct connection *connection);
