/* SPDX-License-Identifier: MIT */
#pragma once

#include "script/py-module.h"

/*
 * Python's threads and the loop (base/loop.h).
 *
 * C code of this directory runs with the loop held, Python code without, so that machines are
 * served while a script computes. Whatever calls into Python suspends the loop around it
 * (sp_py_suspend()), and each function that Python calls begins by holding it: the tables of
 * methods name the variants that SP_PY_HELD() and SP_PY_SERVED() (py-call.h) define. A thread that
 * waits releases Python's GIL too. Nobody waits for the loop with the GIL, so that neither can lock
 * the other out.
 */

/** Hold the loop, with the GIL, which may be released meanwhile. */
void sp_py_hold(void);
void sp_py_release(void);

/** sp_loop_suspend() and sp_loop_resume() with the GIL. */
guint sp_py_suspend(void);
void sp_py_resume(guint depth);

/** The state of the running interpreter's module; NULL if there is none. Needs the GIL. */
SpPyState *sp_py_current_state(void);

/** From now on, signals end the waits of a script, and failures of its threads are kept. */
bool sp_py_threads_start(SpPyState *state);
void sp_py_threads_stop(SpPyState *state);

/**
 * Check a script's threads at its end. True if all have ended, none of them by an exception;
 * otherwise false with an exception, unless one is set already.
 */
bool sp_py_threads_check(SpPyState *state);

/**
 * Claim @machine for this thread, which may be nested; false with an exception if another thread is
 * in a call about it.
 */
bool sp_py_claim(SpPyState *state, SpMachine *machine);
/** Does nothing if this thread has not claimed it. */
void sp_py_unclaim(SpPyState *state, SpMachine *machine);

/** Defines held_@function: @function, of METH_VARARGS | METH_KEYWORDS, with the loop held. */
#define SP_PY_HELD(function)                                                                       \
    static PyObject *held_##function(PyObject *self, PyObject *args, PyObject *kwargs)             \
    {                                                                                              \
        PyObject *result;                                                                          \
        sp_py_hold();                                                                              \
        result = function((void *)self, args, kwargs);                                             \
        sp_py_release();                                                                           \
        return result;                                                                             \
    }
/** The same for METH_NOARGS, METH_O and METH_VARARGS. */
#define SP_PY_HELD_PLAIN(function)                                                                 \
    static PyObject *held_##function(PyObject *self, PyObject *args)                               \
    {                                                                                              \
        PyObject *result;                                                                          \
        sp_py_hold();                                                                              \
        result = function((void *)self, args);                                                     \
        sp_py_release();                                                                           \
        return result;                                                                             \
    }
