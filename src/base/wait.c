/* SPDX-License-Identifier: MIT */
#include "base/wait.h"

#include "base/error.h"
#include "base/loop.h"

gint64 sp_deadline(gint64 timeout_ms)
{
    if (timeout_ms < 0 || timeout_ms > G_MAXINT64 / 2000)
        return SP_FOREVER;
    return g_get_monotonic_time() + timeout_ms * 1000;
}

static gboolean on_timer(void *data)
{
    return G_SOURCE_CONTINUE;
}

/* A signal interrupts poll() and so ends the iteration; but it may also arrive just before poll()
 * or in another thread, so this limits the length of an iteration. */
#define TURN_MAX_MS 250

/* Sources that end an iteration: one periodically, one at the deadline. They are set once per wait:
 * setting a source's time wakes the context up, so a loop that did so in each iteration would never
 * sleep. */
static GSource *add_timer(guint interval_ms, gint64 ready_time)
{
    GSource *source = g_timeout_source_new(interval_ms);

    g_source_set_callback(source, on_timer, NULL, NULL);
    if (ready_time != SP_FOREVER)
        g_source_set_ready_time(source, ready_time);
    g_source_attach(source, NULL);
    return source;
}

static void drop_timer(GSource *source)
{
    g_source_destroy(source);
    g_source_unref(source);
}

static bool ask_interrupt(const SpInterrupt *interrupt)
{
    return sp_loop_is_ending() || (interrupt && interrupt->func(interrupt->data));
}

static void turn_until(
    SpDoneFunc done, void *data, gint64 deadline, const SpInterrupt *interrupt, GError **ret_error)
{
    GSource *turns = add_timer(TURN_MAX_MS, SP_FOREVER);
    GSource *end = add_timer(TURN_MAX_MS, deadline);

    do {
        if (ask_interrupt(interrupt))
            g_set_error_literal(ret_error, SP_ERROR, SP_ERROR_INTERRUPTED, "interrupted");
        else if (deadline != SP_FOREVER && g_get_monotonic_time() >= deadline)
            g_set_error_literal(ret_error, SP_ERROR, SP_ERROR_TIMEOUT, "timed out");
        else
            sp_loop_turn();
    } while (!*ret_error && !done(data, ret_error) && !*ret_error);
    drop_timer(turns);
    drop_timer(end);
}

bool sp_wait(
    SpDoneFunc done, void *data, gint64 deadline, const SpInterrupt *interrupt, GError **error)
{
    GError *local = NULL;

    if (interrupt && (!interrupt->func || sp_loop_is_dispatching()))
        interrupt = NULL;
    sp_loop_hold();
    if (!done(data, &local) && !local) {
        sp_loop_begin_wait();
        if (interrupt && interrupt->begin)
            interrupt->begin();
        turn_until(done, data, deadline, interrupt, &local);
        sp_loop_end_wait();
        if (interrupt && interrupt->end)
            interrupt->end();
    }
    sp_loop_release();
    if (!local)
        return true;
    g_propagate_error(error, local);
    return false;
}

static bool never(void *data, GError **error)
{
    return false;
}

bool sp_pause(gint64 timeout_ms, const SpInterrupt *interrupt, GError **error)
{
    g_autoptr(GError) local = NULL;

    if (sp_wait(never, NULL, sp_deadline(timeout_ms), interrupt, &local) ||
        g_error_matches(local, SP_ERROR, SP_ERROR_TIMEOUT))
        return true;
    g_propagate_error(error, g_steal_pointer(&local));
    return false;
}
