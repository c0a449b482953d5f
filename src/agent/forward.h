/* SPDX-License-Identifier: MIT */
#pragma once

#include "agent/agent-client.h"
#include "base/log.h"

#include <glib.h>

/**
 * Forwards a TCP port of the host's 127.0.0.1 to a port of the guest. Each connection has a
 * "slotproof-agent connect" of its own in the guest, so that no network between the two is needed.
 * The end of either direction is passed on.
 *
 * If a reader on the host is slow, up to about SP_FORWARD_QUEUE_HIGH is queued, then the guest's
 * end is stopped; in the other direction the agent's credit limits the queue. A connection ends
 * with its agent's channel, with a reset unless both directions ended in order, so that half an
 * answer is not mistaken for a whole one. While there is no agent, connections end at once.
 *
 * Works while the default main context runs. Main thread only.
 */
typedef struct SpForward SpForward;

#define SP_FORWARD_QUEUE_HIGH (512u * 1024)
#define SP_FORWARD_QUEUE_LOW (128u * 1024)
/* Large enough for all that still arrives after the guest was asked to stop. */
#define SP_FORWARD_QUEUE_MAX (8u * 1024 * 1024)

typedef struct {
    guint host_port; /* 0: any free one */
    guint guest_port;
    const char *machine; /* for messages; outlives it */
    SpLog *log;          /* may be NULL */
    /** The agent to talk to, NULL while there is none. */
    SpAgent *(*agent)(void *data);
    void *data;
} SpForwardConfig;

/** SP_ERROR_USAGE if the host's port is in use or not permitted. */
SpForward *sp_forward_new(const SpForwardConfig *config, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Closes all connections. May be called before or after its agent is freed. NULL is accepted. */
void sp_forward_free(SpForward *forward);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpForward, sp_forward_free)

/** The host's port. */
guint sp_forward_port(const SpForward *forward);
