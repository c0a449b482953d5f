/* SPDX-License-Identifier: MIT */
#pragma once

#include "script/py-convert.h"
#include "script/py-threads.h"

/* What the methods of Machine share. */

/** A row for a function that SP_PY_SERVED() or SP_PY_SERVED_PLAIN() was written for. */
#define SP_PY_METHOD(name, function, flags, doc)                                                   \
    {                                                                                              \
        name, (PyCFunction)(void (*)(void))(served_##function), flags, PyDoc_STR(doc)              \
    }
/** The same for SP_PY_HELD(): one that minds no other thread in a call about the machine. */
#define SP_PY_METHOD_HELD(name, function, flags, doc)                                              \
    {                                                                                              \
        name, (PyCFunction)(void (*)(void))(held_##function), flags, PyDoc_STR(doc)                \
    }
/**
 * Defines served_@function: @function, of METH_VARARGS | METH_KEYWORDS, with the loop held and the
 * machine claimed for this thread.
 */
#define SP_PY_SERVED(function)                                                                     \
    static PyObject *served_##function(PyObject *self, PyObject *args, PyObject *kwargs)           \
    {                                                                                              \
        PyObject *result = NULL;                                                                   \
        if (sp_py_machine_enter(self))                                                             \
            result = function((void *)self, args, kwargs);                                         \
        return sp_py_machine_leave(self, result);                                                  \
    }
/** The same for METH_NOARGS and METH_VARARGS. */
#define SP_PY_SERVED_PLAIN(function)                                                               \
    static PyObject *served_##function(PyObject *self, PyObject *args)                             \
    {                                                                                              \
        PyObject *result = NULL;                                                                   \
        if (sp_py_machine_enter(self))                                                             \
            result = function((void *)self, args);                                                 \
        return sp_py_machine_leave(self, result);                                                  \
    }
#define SP_PY_KEYWORDS (METH_VARARGS | METH_KEYWORDS)

/** What a method begins with: hold the loop, claim the machine. False with an exception. */
bool sp_py_machine_enter(PyObject *self);
/** What it ends with, also after the former failed. Returns @result. */
PyObject *sp_py_machine_leave(PyObject *self, PyObject *result);

/** The log of the script that runs; may be NULL. */
SpLog *sp_py_machine_log(SpPyMachine *self);
/** sp_py_timeout() for @self's machine. */
bool sp_py_machine_timeout(SpPyMachine *self, PyObject *value, gint64 *ret_ms);

/**
 * What a wait for something in the guest begins with: it is in the main thread, the entered
 * conditions hold, and they are asked again until sp_py_machine_end(). False with an exception.
 */
bool sp_py_machine_enter_wait(SpPyMachine *self);
/** End that without an error to raise. */
void sp_py_machine_leave_wait(SpPyMachine *self);
/** Begin a step of the log that is about @self. */
void sp_py_machine_begin(SpPyMachine *self, const char *kind, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
/** End it. Returns None, or NULL with @error, which is taken, raised if @is_good is false. */
PyObject *sp_py_machine_end(SpPyMachine *self, bool is_good, GError *error);

/** Run @command; false with an exception if that could not be done. */
bool sp_py_machine_execute(
    SpPyMachine *self, const char *command, gint64 timeout_ms, SpCommandResult *ret_result);
