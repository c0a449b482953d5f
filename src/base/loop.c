/* SPDX-License-Identifier: MIT */
#include "base/loop.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef struct {
    SpLoopFunc func;
    void *data;
    bool is_done;
} Request;

/* There is one default main context in a process, so there is one of these. All members are
 * guarded by the mutex. */
static struct {
    GMutex mutex;
    GCond turned;    /* a turn, a request or a wait has ended */
    GCond idle;      /* the loop's own thread may have something to do */
    GThread *thread; /* the loop's own; it never ends, because what it started would end too */
    bool is_started; /* it runs the context if no other thread does */
    GThread *turner; /* polls or dispatches */
    GThread *stopper;
    guint waiters;   /* sp_wait()s in threads other than the loop's own */
    guint suspended; /* those of them that have released the loop, and do not run it */
    guint64 turns;   /* that have ended */
    Request *request;
    GPollFD *fds; /* what the turner polls */
    int n_fds;
} loop;

/* How often this thread holds the loop, and how deeply its callbacks are nested. */
static __thread guint held;
static __thread guint dispatching;
static __thread guint waits; /* of this thread, among the waiters */
static __thread guint64 seen_turns;

static bool is_main_thread(void)
{
    return (pid_t)syscall(SYS_gettid) == getpid();
}

void sp_loop_hold(void)
{
    if (held == 0)
        g_mutex_lock(&loop.mutex);
    held++;
}

bool sp_loop_try_hold(void)
{
    if (held == 0 && !g_mutex_trylock(&loop.mutex))
        return false;
    held++;
    return true;
}

void sp_loop_release(void)
{
    g_assert(held > 0);
    if (--held == 0)
        g_mutex_unlock(&loop.mutex);
}

guint sp_loop_suspend(void)
{
    guint depth = held;

    if (depth == 0)
        return 0;
    loop.suspended += waits;
    if (waits > 0)
        g_cond_signal(&loop.idle);
    held = 0;
    g_mutex_unlock(&loop.mutex);
    return depth;
}

/* Have the loop's own thread leave the context to the threads that wait. */
static void wake_turner(void)
{
    if (loop.turner && loop.turner == loop.thread)
        g_main_context_wakeup(g_main_context_default());
}

void sp_loop_resume(guint depth)
{
    if (depth == 0)
        return;
    sp_loop_hold();
    loop.suspended -= waits;
    if (waits > 0)
        wake_turner();
    held = depth;
}

bool sp_loop_is_dispatching(void)
{
    return dispatching > 0;
}

/* Get the descriptors to poll. Returns how many there are. */
static int query_fds(GMainContext *context, int priority, int *ret_timeout_ms)
{
    int n;

    while ((n = g_main_context_query(context, priority, ret_timeout_ms, loop.fds, loop.n_fds)) >
           loop.n_fds) {
        loop.fds = g_renew(GPollFD, loop.fds, n);
        loop.n_fds = n;
    }
    return n;
}

/* Callbacks that run the context themselves keep the loop held, so that no other thread gets it in
 * the middle of a callback. */
static void poll_fds(int n, int timeout_ms)
{
    GPollFD *fds = loop.fds;

    if (dispatching > 0) {
        g_poll(fds, (guint)n, timeout_ms);
        return;
    }
    g_mutex_unlock(&loop.mutex);
    g_poll(fds, (guint)n, timeout_ms);
    g_mutex_lock(&loop.mutex);
}

static void turn_context(void)
{
    GMainContext *context = g_main_context_default();
    int priority, timeout_ms, n;

    if (!g_main_context_acquire(context))
        g_error("another thread turns the main context without holding the loop");
    g_main_context_prepare(context, &priority);
    n = query_fds(context, priority, &timeout_ms);
    poll_fds(n, timeout_ms);
    if (g_main_context_check(context, priority, loop.fds, n)) {
        dispatching++;
        g_main_context_dispatch(context);
        dispatching--;
    }
    g_main_context_release(context);
}

void sp_loop_turn(void)
{
    GThread *former = loop.turner;

    g_assert(held > 0);
    /* another thread has run it since this one last looked, while this one had released the loop */
    if (loop.turns != seen_turns) {
        seen_turns = loop.turns;
        return;
    }
    if (former && former != g_thread_self()) {
        g_cond_wait(&loop.turned, &loop.mutex);
    } else {
        loop.turner = g_thread_self();
        turn_context();
        loop.turner = former;
        loop.turns++;
        g_cond_broadcast(&loop.turned);
    }
    seen_turns = loop.turns;
}

void sp_loop_begin_wait(void)
{
    sp_loop_hold();
    seen_turns = loop.turns;
    if (g_thread_self() == loop.thread)
        return;
    loop.waiters++;
    waits++;
    wake_turner();
}

void sp_loop_end_wait(void)
{
    if (g_thread_self() != loop.thread) {
        waits--;
        if (--loop.waiters == loop.suspended)
            g_cond_signal(&loop.idle);
    }
    g_cond_broadcast(&loop.turned);
    sp_loop_release();
}

bool sp_loop_is_ending(void)
{
    return loop.stopper && loop.stopper != g_thread_self();
}

static void serve_request(void)
{
    Request *request = loop.request;

    request->func(request->data);
    request->is_done = true;
    loop.request = NULL;
    g_cond_broadcast(&loop.turned);
}

static void *run_thread(void *unused)
{
    sp_loop_hold();
    for (;;) {
        if (loop.request)
            serve_request();
        else if (!loop.is_started || loop.waiters > loop.suspended)
            g_cond_wait(&loop.idle, &loop.mutex);
        else
            sp_loop_turn();
    }
    return NULL;
}

/* The child of a fork() has one thread, so nothing is held by another. */
static void begin_child(void)
{
    memset(&loop, 0, sizeof loop);
    held = dispatching = waits = 0;
    seen_turns = 0;
}

static void start_thread(void)
{
    sigset_t all, former;

    pthread_atfork(NULL, NULL, begin_child);
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &former);
    loop.thread = g_thread_new("loop", run_thread, NULL);
    pthread_sigmask(SIG_SETMASK, &former, NULL);
}

void sp_loop_start(void)
{
    sp_loop_hold();
    if (!loop.thread)
        start_thread();
    loop.is_started = true;
    g_cond_signal(&loop.idle);
    sp_loop_release();
}

static void wake_thread(void)
{
    g_cond_signal(&loop.idle);
    g_main_context_wakeup(g_main_context_default());
}

void sp_loop_stop(void)
{
    sp_loop_hold();
    if (!loop.is_started) {
        sp_loop_release();
        return;
    }
    loop.is_started = false;
    loop.stopper = g_thread_self();
    g_cond_broadcast(&loop.turned);
    while (loop.waiters > 0 || (loop.turner && loop.turner == loop.thread)) {
        /* a wait that polls notices at its next turn */
        wake_thread();
        g_cond_wait(&loop.turned, &loop.mutex);
    }
    loop.stopper = NULL;
    sp_loop_release();
}

void sp_loop_call(SpLoopFunc func, void *data)
{
    Request request = {func, data, false};

    sp_loop_hold();
    if (!loop.thread || loop.thread == g_thread_self() || is_main_thread() || dispatching > 0) {
        func(data);
        sp_loop_release();
        return;
    }
    while (loop.request && !sp_loop_is_ending())
        g_cond_wait(&loop.turned, &loop.mutex);
    if (sp_loop_is_ending()) {
        func(data);
    } else {
        loop.request = &request;
        wake_thread();
        while (!request.is_done)
            g_cond_wait(&loop.turned, &loop.mutex);
    }
    sp_loop_release();
}
