/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/wait.h"
#include "network/packet.h"

#include <glib.h>
#include <stdbool.h>

/**
 * Frames in the order in which they came, until somebody wants them: what came before anybody
 * waited for it is still found.
 */
#define SP_FRAME_QUEUE_MAX 4096u
#define SP_FRAME_QUEUE_BYTES_MAX (4u * 1024 * 1024)

typedef struct {
    GQueue frames; /* of GBytes, the oldest first */
    gsize bytes;
    guint64 first; /* the number of the oldest; each that goes, wherever it stood, counts */
} SpFrameQueue;

void sp_frame_queue_init(SpFrameQueue *kept);
/** Forget all; it can go on. */
void sp_frame_queue_clear(SpFrameQueue *kept);
/** Keep a copy; beyond SP_FRAME_QUEUE_MAX or SP_FRAME_QUEUE_BYTES_MAX, the oldest are forgotten. */
void sp_frame_queue_add(SpFrameQueue *kept, const guint8 *frame, gsize length);

/** @packet is what is in the frame, NULL where that is malformed. */
typedef bool (*SpMatchFunc)(const guint8 *frame, gsize length, const SpPacket *packet, void *data);

/**
 * Take the first that @match (NULL: any) says yes to, turning the main context until @deadline
 * where there is none. NULL with SP_ERROR_TIMEOUT or SP_ERROR_INTERRUPTED.
 */
GBytes *sp_frame_queue_take(SpFrameQueue *kept, SpMatchFunc match, void *data, gint64 deadline,
    const SpInterrupt *interrupt, GError **error) G_GNUC_WARN_UNUSED_RESULT;
