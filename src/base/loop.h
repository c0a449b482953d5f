/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/**
 * The default main context: which thread turns it, and who may touch what it serves.
 *
 * Everything that serves machines (consoles, QMP, agents, networks, forwarded ports) is a source of
 * the default main context. The objects behind those sources have no locks of their own: they
 * belong to the thread that *holds the loop*.
 *
 * A process with one thread need not know: sp_wait() holds the loop and turns it. Between
 * sp_loop_start() and sp_loop_stop() a thread of the loop's own turns it whenever no other thread
 * waits in sp_wait(), so that nothing stands still while the others compute, sleep or run programs.
 * A thread that waits turns the context itself; where several wait, one of them does. The loop is
 * not held while the context polls. Callbacks of sources run with the loop held, and a callback
 * that waits in turn keeps it held.
 */

/** Have the loop's own thread turn it. Signals are not delivered to that thread. */
void sp_loop_start(void);
/**
 * No more. First every sp_wait() in other threads ends with SP_ERROR_INTERRUPTED; when this returns
 * none is left. The thread stays, for sp_loop_call(). Does nothing if it was not started.
 */
void sp_loop_stop(void);

/** Hold the loop; may be nested. Blocks while another thread holds it. */
void sp_loop_hold(void);
/** The same, but false where another thread holds it. */
bool sp_loop_try_hold(void) G_GNUC_WARN_UNUSED_RESULT;
void sp_loop_release(void);

/**
 * Release the loop however often this thread holds it, and hold it as often again: around what may
 * take long and touches nothing that is served, also within a wait: others turn the context then.
 * Returns that number, 0 where it does not hold it.
 */
guint sp_loop_suspend(void);
void sp_loop_resume(guint depth);

/**
 * Turn the context once: poll, and dispatch what is ready. Where another thread turns it, wait for
 * the end of that turn. The caller holds the loop.
 */
void sp_loop_turn(void);
/** Around a row of turns: the loop's own thread leaves turning to this one. */
void sp_loop_begin_wait(void);
void sp_loop_end_wait(void);
/** True in a callback of a source, where nothing may interrupt a wait. */
bool sp_loop_is_dispatching(void);
/** True once sp_loop_stop() has begun, except in the thread that called it. */
bool sp_loop_is_ending(void);

typedef void (*SpLoopFunc)(void *data);
/**
 * Have @func called in a thread that lives as long as what it starts: at once in the process's main
 * thread and where the loop has no thread of its own; otherwise in that one. Returns after it.
 */
void sp_loop_call(SpLoopFunc func, void *data);
