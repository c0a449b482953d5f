/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/wait.h"
#include "network/packet.h"

#include <glib.h>
#include <stdbool.h>

/**
 * Received frames in order, kept until they are asked for: a frame that arrived before anything
 * waited for it is still found.
 */
#define SP_FRAME_QUEUE_MAX 4096u
#define SP_FRAME_QUEUE_BYTES_MAX (4u * 1024 * 1024)

typedef struct {
    GQueue frames; /* of GBytes, the oldest first */
    gsize bytes;
    guint64 first; /* the number of the oldest: how many frames were removed, from any position */
} SpFrameQueue;

void sp_frame_queue_init(SpFrameQueue *kept);
/** Discard all frames; the queue can still be used. */
void sp_frame_queue_clear(SpFrameQueue *kept);
/** Keep a copy; beyond SP_FRAME_QUEUE_MAX or SP_FRAME_QUEUE_BYTES_MAX, the oldest are discarded. */
void sp_frame_queue_add(SpFrameQueue *kept, const guint8 *frame, gsize length);

/** @packet is the parsed frame, NULL if that is malformed. */
typedef bool (*SpMatchFunc)(const guint8 *frame, gsize length, const SpPacket *packet, void *data);

/**
 * Take the first frame that @match (NULL: any) accepts. If there is none, run the main context
 * until @deadline. NULL with SP_ERROR_TIMEOUT or SP_ERROR_INTERRUPTED.
 */
GBytes *sp_frame_queue_take(SpFrameQueue *kept, SpMatchFunc match, void *data, gint64 deadline,
    const SpInterrupt *interrupt, GError **error) G_GNUC_WARN_UNUSED_RESULT;
