/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/**
 * The default main context: which thread runs it, and which may use the objects that it serves.
 *
 * Everything that serves machines (consoles, QMP, agents, networks, forwarded ports) is a source of
 * the default main context. The objects behind those sources have no locks of their own: they
 * belong to the thread that *holds the loop*.
 *
 * A process with one thread can ignore this: sp_wait() holds the loop and runs it. Between
 * sp_loop_start() and sp_loop_stop() the loop's own thread runs it whenever no other thread waits
 * in sp_wait(), so that nothing stalls while the others compute, sleep or run programs. A thread
 * that waits runs the context itself; if several wait, one of them does. The loop is not held while
 * the context polls. Callbacks of sources run with the loop held; a callback that itself waits
 * keeps it held.
 */

/** Have the loop's own thread run it. Signals are not delivered to that thread. */
void sp_loop_start(void);
/**
 * Stop that. First every sp_wait() in other threads ends with SP_ERROR_INTERRUPTED; none is left
 * when this returns. The thread stays, for sp_loop_call(). Does nothing if it was not started.
 */
void sp_loop_stop(void);

/** Hold the loop; may be nested. Blocks while another thread holds it. */
void sp_loop_hold(void);
/** The same, but returns false if another thread holds it. */
bool sp_loop_try_hold(void) G_GNUC_WARN_UNUSED_RESULT;
void sp_loop_release(void);

/**
 * Release the loop completely, however often this thread holds it, and hold it as often again:
 * around work that may take long and uses nothing that is served, also within a wait. Other threads
 * run the context meanwhile. Returns how often it was held; 0 if it was not.
 */
guint sp_loop_suspend(void);
void sp_loop_resume(guint depth);

/**
 * Run the context for one turn: poll, and dispatch what is ready. If another thread is running it,
 * wait for the end of that turn. The caller holds the loop.
 */
void sp_loop_turn(void);
/** Called around a series of turns: the loop's own thread leaves running the context to this one.
 */
void sp_loop_begin_wait(void);
void sp_loop_end_wait(void);
/** True in a callback of a source, where a wait must not be interrupted. */
bool sp_loop_is_dispatching(void);
/** True once sp_loop_stop() has begun, except in the thread that called it. */
bool sp_loop_is_ending(void);

typedef void (*SpLoopFunc)(void *data);
/**
 * Call @func in a thread that outlives everything that it starts: directly in the process's main
 * thread, or if the loop has no thread of its own; otherwise in the loop's thread. Returns when
 * @func has returned.
 */
void sp_loop_call(SpLoopFunc func, void *data);
