/* SPDX-License-Identifier: MIT */
#pragma once

#include "agent/loop.h"

/**
 * The connection to the driver: takes its frames, hands them to their channels and writes what
 * these answer.
 *
 * Nothing that comes in ends it: after garbage, too long a frame or a hang-up all channels are
 * ended and the next HELLO is waited for. A HELLO that stands within a frame is found as well,
 * since a driver may have died in the middle of one: it is taken if nothing follows it.
 */
struct connection;

/** Serve the virtio-serial port @path. While it can't be opened, that is tried again and again. */
int connection_new_port(struct loop *loop, const char *path, struct connection **ret);
/** Serve the stream socket @fd, which is taken; its end ends the loop. */
int connection_new_fd(struct loop *loop, int fd, struct connection **ret);
/** Ends all channels. NULL is fine. */
void connection_free(struct connection *connection);

/** To be called whenever the loop has run something: writes what is queued. */
void connection_settle(struct connection *connection);
