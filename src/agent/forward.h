/* SPDX-License-Identifier: MIT */
#pragma once

#include "agent/agent-client.h"
#include "base/log.h"

#include <glib.h>

/**
 * A TCP port of the host's 127.0.0.1, each connection to which reaches a port of the guest's: by a
 * "slotproof-agent connect" of its own, so that it needs no network between the two. The end of
 * either direction is passed on as it comes.
 *
 * What a slow reader on the host leaves is held up to some SP_FORWARD_QUEUE_HIGH, above which the
 * guest's end is stopped; in the other direction the agent's credit does that. A connection ends
 * with its agent's channel, and with a reset unless both ends came to theirs in order: half an
 * answer is not taken for a whole one. While there is no agent connections end at once.
 *
 * Works while the default main context turns. Main thread only.
 */
typedef struct SpForward SpForward;

#define SP_FORWARD_QUEUE_HIGH (512u * 1024)
#define SP_FORWARD_QUEUE_LOW (128u * 1024)
/* What comes after the guest was asked to stop fits, with room to spare. */
#define SP_FORWARD_QUEUE_MAX (8u * 1024 * 1024)

typedef struct {
    guint host_port; /* 0: any that is free */
    guint guest_port;
    const char *machine; /* for messages; outlives it */
    SpLog *log;          /* may be NULL */
    /** The agent to talk to, NULL while there is none. */
    SpAgent *(*agent)(void *data);
    void *data;
} SpForwardConfig;

/** SP_ERROR_USAGE where the host's port is in use or not for us. */
SpForward *sp_forward_new(const SpForwardConfig *config, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Closes all connections. Before its agent is freed, or after. NULL is fine. */
void sp_forward_free(SpForward *forward);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpForward, sp_forward_free)

/** The host's port. */
guint sp_forward_port(const SpForward *forward);
