/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/** How long to wait; SP_FOREVER has no end. */
#define SP_FOREVER G_MAXINT64

/** A point in g_get_monotonic_time() @timeout_ms from now; SP_FOREVER for a negative one. */
gint64 sp_deadline(gint64 timeout_ms);

/** Asked after each turn of the main loop: true ends every wait with SP_ERROR_INTERRUPTED. */
typedef bool (*SpInterruptFunc)(void *data);

typedef struct {
    SpInterruptFunc func; /* NULL: never */
    void *data;
    void (*begin)(void); /* what a wait begins and ends with, in its thread; NULL: nothing */
    void (*end)(void);
} SpInterrupt;

/** True once what is waited for is there; may set @error and return true to end the wait by
 * failure. */
typedef bool (*SpDoneFunc)(void *data, GError **error);

/**
 * Turn the default main context until @done says so (base/loop.h: other threads may turn it too).
 *
 * Returns true if it did without an error; otherwise false with @error set: by @done, or
 * SP_ERROR_TIMEOUT at @deadline (a point as of sp_deadline(); the caller rewrites the message), or
 * SP_ERROR_INTERRUPTED. Sleeps in poll() between the turns: something that @done looks at must be
 * a source of the main context. @done is called with the loop held, but after it was true the loop
 * may be released for a moment: objects may change then as in any turn. @interrupt is not asked in
 * a callback of the context.
 */
bool sp_wait(
    SpDoneFunc done, void *data, gint64 deadline, const SpInterrupt *interrupt, GError **error);

/** Turn the main context for @timeout_ms; false with SP_ERROR_INTERRUPTED. For pauses between
 * polls. */
bool sp_pause(gint64 timeout_ms, const SpInterrupt *interrupt, GError **error);
