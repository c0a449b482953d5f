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
#define SP_KEPT_FRAMES_MAX 4096u
#define SP_KEPT_FRAMES_BYTES_MAX (4u * 1024 * 1024)

typedef struct {
    GQueue frames; /* of GBytes, the oldest first */
    gsize bytes;
    guint64 first; /* the number of the oldest; each that goes, wherever it stood, counts */
} SpKeptFrames;

void sp_kept_frames_init(SpKeptFrames *kept);
/** Forget all; it can go on. */
void sp_kept_frames_clear(SpKeptFrames *kept);
/** Keep a copy; beyond SP_KEPT_FRAMES_MAX or SP_KEPT_FRAMES_BYTES_MAX, the oldest are forgotten. */
void sp_kept_frames_add(SpKeptFrames *kept, const guint8 *frame, gsize length);

/** @packet is what is in the frame, NULL where that is malformed. */
typedef bool (*SpMatchFunc)(const guint8 *frame, gsize length, const SpPacket *packet, void *data);

/**
 * Take the first that @match (NULL: any) says yes to, turning the main context until @deadline
 * where there is none. NULL with SP_ERROR_TIMEOUT or SP_ERROR_INTERRUPTED.
 */
GBytes *sp_kept_frames_take(SpKeptFrames *kept, SpMatchFunc match, void *data, gint64 deadline,
    const SpInterrupt *interrupt, GError **error);
