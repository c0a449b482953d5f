/* SPDX-License-Identifier: MIT */
#include "base/wait.h"

#include "base/error.h"

gint64 sp_deadline(gint64 timeout_ms)
{
    if (timeout_ms < 0 || timeout_ms > G_MAXINT64 / 2000)
        return SP_FOREVER;
    return g_get_monotonic_time() + timeout_ms * 1000;
}

static gboolean on_timer(void *data)
{
    (void)data;
    return G_SOURCE_CONTINUE;
}

/* A signal interrupts poll(), after which GLib comes back from the iteration; but it may also come
 * just before poll(), so no single turn is longer than this. */
#define TURN_MAX_MS 250

bool sp_wait(
    SpDoneFunc done, void *data, gint64 deadline, const SpInterrupt *interrupt, GError **error)
{
    bool result = false;
    GSource *timer = g_timeout_source_new(TURN_MAX_MS);
    GError *local = NULL;

    g_source_set_callback(timer, on_timer, NULL, NULL);
    g_source_attach(timer, NULL);
    for (;;) {
        if (done(data, &local) || local) {
            result = !local;
            break;
        }
        if (interrupt && interrupt->func && interrupt->func(interrupt->data)) {
            g_set_error_literal(&local, SP_ERROR, SP_ERROR_INTERRUPTED, "interrupted");
            break;
        }
        if (deadline != SP_FOREVER) {
            gint64 left = deadline - g_get_monotonic_time();
            if (left <= 0) {
                g_set_error_literal(&local, SP_ERROR, SP_ERROR_TIMEOUT, "timed out");
                break;
            }
            g_source_set_ready_time(
                timer, g_get_monotonic_time() + MIN(left, (gint64)TURN_MAX_MS * 1000));
        }
        g_main_context_iteration(NULL, TRUE);
    }
    g_source_destroy(timer);
    g_source_unref(timer);
    if (local)
        g_propagate_error(error, local);
    return result;
}

static bool never(void *data, GError **error)
{
    return false;
}

bool sp_pause(gint64 timeout_ms, const SpInterrupt *interrupt, GError **error)
{
    GError *local = NULL;

    sp_wait(never, NULL, sp_deadline(timeout_ms), interrupt, &local);
    if (g_error_matches(local, SP_ERROR, SP_ERROR_TIMEOUT)) {
        g_error_free(local);
        return true;
    }
    g_propagate_error(error, local);
    return false;
}
