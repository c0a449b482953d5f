/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/** A deadline that never comes. */
#define SP_FOREVER G_MAXINT64

/** The g_get_monotonic_time() @timeout_ms from now; SP_FOREVER if @timeout_ms is negative. */
gint64 sp_deadline(gint64 timeout_ms);

/** Called after each iteration of the main loop: true ends every wait with SP_ERROR_INTERRUPTED. */
typedef bool (*SpInterruptFunc)(void *data);

typedef struct {
    SpInterruptFunc func; /* NULL: never */
    void *data;
    void (*begin)(void); /* called in the waiting thread around each wait; may be NULL */
    void (*end)(void);
} SpInterrupt;

/** Returns true once the wait is over. It may also set @error and return true: then the wait fails.
 */
typedef bool (*SpDoneFunc)(void *data, GError **error);

/**
 * Run the default main context until @done returns true (base/loop.h: other threads may run it
 * too).
 *
 * Returns true if @done did so without setting @error. Otherwise @error is set: by @done, to
 * SP_ERROR_TIMEOUT at @deadline (as of sp_deadline(); the caller words the message), or to
 * SP_ERROR_INTERRUPTED. Sleeps in poll() between iterations, so whatever @done depends on must be a
 * source of the main context. @done is called with the loop held; after it has returned true the
 * loop may be released for a moment, and objects may change as in any iteration. @interrupt is not
 * called inside a callback of the context.
 */
bool sp_wait(SpDoneFunc done, void *data, gint64 deadline, const SpInterrupt *interrupt,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;

/** Run the main context for @timeout_ms: a pause between polls. Fails with SP_ERROR_INTERRUPTED. */
bool sp_pause(
    gint64 timeout_ms, const SpInterrupt *interrupt, GError **error) G_GNUC_WARN_UNUSED_RESULT;
