/* SPDX-License-Identifier: MIT */

/* Which thread runs the main context: one that waits, or the loop's own. */

#include "base/error.h"
#include "base/loop.h"
#include "base/process.h"
#include "base/wait.h"

#include <glib-unix.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

typedef struct {
    GThread *thread; /* that called last */
    guint calls;
    guint wanted;
} Ticks;

static gboolean on_tick(void *data)
{
    Ticks *ticks = data;

    ticks->thread = g_thread_self();
    ticks->calls++;
    return G_SOURCE_CONTINUE;
}

static bool has_ticked(void *data, GError **error)
{
    const Ticks *ticks = data;

    return ticks->calls >= ticks->wanted;
}

static bool wait_for_ticks(Ticks *ticks, guint more, GError **error)
{
    sp_loop_hold();
    ticks->wanted = ticks->calls + more;
    sp_loop_release();
    return sp_wait(has_ticked, ticks, SP_FOREVER, NULL, error);
}

/* Without running the context, as a script that computes. */
static void compute_until_ticks(Ticks *ticks, guint wanted)
{
    guint calls;

    do {
        sp_loop_hold();
        calls = ticks->calls;
        sp_loop_release();
    } while (calls < wanted);
}

static void test_served(void)
{
    Ticks ticks = {0};
    guint source = g_timeout_add(1, on_tick, &ticks);

    g_assert_true(wait_for_ticks(&ticks, 3, NULL));
    g_assert_true(ticks.thread == g_thread_self());
    sp_loop_start();
    compute_until_ticks(&ticks, ticks.calls + 10);
    sp_loop_hold();
    g_assert_true(ticks.thread != g_thread_self());
    sp_loop_release();
    /* the waiting thread runs the context, from its second turn on */
    g_assert_true(wait_for_ticks(&ticks, 10, NULL));
    sp_loop_hold();
    g_assert_true(ticks.thread == g_thread_self());
    g_assert_cmpuint(sp_loop_suspend(), ==, 1);
    sp_loop_resume(0);
    compute_until_ticks(&ticks, ticks.calls + 10);
    sp_loop_stop();
    sp_loop_stop();
    g_source_remove(source);
    g_assert_false(sp_loop_is_ending());
}

/* While the loop is held, no other thread runs callbacks. */
static void test_held(void)
{
    Ticks ticks = {0};
    guint source = g_timeout_add(1, on_tick, &ticks), calls;

    sp_loop_start();
    compute_until_ticks(&ticks, 3);
    sp_loop_hold();
    sp_loop_hold();
    calls = ticks.calls;
    g_assert_cmpint(poll(NULL, 0, 30), ==, 0); /* long enough for many ticks; none may happen */
    g_assert_cmpuint(ticks.calls, ==, calls);
    sp_loop_release();
    g_assert_cmpuint(ticks.calls, ==, calls);
    sp_loop_release();
    compute_until_ticks(&ticks, calls + 3);
    sp_loop_stop();
    g_source_remove(source);
}

static void *wait_in_thread(void *data)
{
    GError *error = NULL;

    wait_for_ticks(data, 20, &error);
    return error;
}

static void *wait_forever(void *data)
{
    Ticks never = {.wanted = 1};
    GError *error = NULL;

    g_assert_false(sp_wait(has_ticked, &never, SP_FOREVER, NULL, &error));
    return error;
}

/* Several threads wait at once; the end interrupts those that still wait. */
static void test_threads(void)
{
    Ticks ticks = {0};
    guint source = g_timeout_add(1, on_tick, &ticks);
    GThread *threads[4], *left;
    g_autoptr(GError) error = NULL;

    sp_loop_start();
    left = g_thread_new("left", wait_forever, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(threads); i++)
        threads[i] = g_thread_new("waits", wait_in_thread, &ticks);
    g_assert_true(wait_for_ticks(&ticks, 20, NULL));
    for (gsize i = 0; i < G_N_ELEMENTS(threads); i++)
        g_assert_null(g_thread_join(threads[i]));
    sp_loop_stop();
    error = g_thread_join(left);
    g_assert_error(error, SP_ERROR, SP_ERROR_INTERRUPTED);
    g_source_remove(source);
}

static gboolean on_nested(void *data)
{
    GError *error = NULL;

    g_assert_true(sp_loop_is_dispatching());
    g_assert_true(wait_for_ticks(data, 5, &error));
    ((Ticks *)data)[1].wanted = 1;
    return G_SOURCE_REMOVE;
}

/* A callback that waits is never interrupted halfway. */
static void test_nested(void)
{
    Ticks ticks[2] = {0};
    guint source = g_timeout_add(1, on_tick, &ticks[0]);

    sp_loop_start();
    sp_loop_hold();
    g_idle_add(on_nested, ticks);
    sp_loop_release();
    for (bool is_over = false; !is_over;) {
        sp_loop_hold();
        is_over = ticks[1].wanted == 1;
        /* not begun, or completed */
        g_assert_true(is_over || ticks[0].wanted == 0);
        sp_loop_release();
    }
    sp_loop_stop();
    g_source_remove(source);
}

static void *start_sleep(void *data)
{
    const char *const argv[] = {"sleep", "1000", NULL};
    SpProcess *process;

    sp_loop_hold();
    process = sp_process_start(argv, NULL, 0, NULL);
    sp_loop_release();
    return process;
}

/* What a thread started outlives that thread and the end of the loop. */
static void test_process(void)
{
    SpProcess *process;

    sp_loop_start();
    process = g_thread_join(g_thread_new("starts", start_sleep, NULL));
    g_assert_nonnull(process);
    sp_loop_hold();
    sp_loop_stop();
    g_assert_false(sp_process_wait(process, sp_deadline(100), NULL, NULL));
    g_assert_false(sp_process_has_ended(process));
    sp_process_free(process);
    sp_loop_release();
}

typedef struct {
    Ticks ticks;
    Ticks later;
} Letting;

/* Releases the loop until another thread has done what is waited for. */
static bool let_others(void *data)
{
    Letting *letting = data;
    guint depth;

    if (letting->ticks.calls > 0)
        return false;
    g_idle_add(on_tick, &letting->ticks);
    depth = sp_loop_suspend();
    compute_until_ticks(&letting->ticks, 1);
    sp_loop_resume(depth);
    g_idle_add(on_tick, &letting->later);
    return false;
}

/* If the condition becomes true while a wait checks for an interrupt, the wait ends without another
 * turn. */
static void test_let_go(void)
{
    Letting letting = {.ticks.wanted = 1};
    SpInterrupt interrupt = {.func = let_others, .data = &letting};
    GError *error = NULL;

    sp_loop_start();
    sp_loop_hold();
    g_assert_true(sp_wait(has_ticked, &letting.ticks, SP_FOREVER, &interrupt, &error));
    g_assert_cmpuint(letting.later.calls, ==, 0);
    g_assert_true(g_source_remove_by_user_data(&letting.ticks));
    g_assert_true(g_source_remove_by_user_data(&letting.later));
    sp_loop_release();
    sp_loop_stop();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/loop/served", test_served);
    g_test_add_func("/loop/held", test_held);
    g_test_add_func("/loop/threads", test_threads);
    g_test_add_func("/loop/nested", test_nested);
    g_test_add_func("/loop/let-go", test_let_go);
    g_test_add_func("/loop/process", test_process);
    return g_test_run();
}
