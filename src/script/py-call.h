/* SPDX-License-Identifier: MIT */
#pragma once

#include "script/py-convert.h"
#include "script/py-threads.h"

/* What the calls that generate.py makes of api.py share: claiming the machine, steps of the log,
 * conditions, checks of arguments. */

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

/** What such a method begins with: hold the loop, claim the machine. False with an exception. */
G_GNUC_WARN_UNUSED_RESULT bool sp_py_machine_enter(PyObject *self);
/** What it ends with, also after the former failed. Returns @result. */
PyObject *sp_py_machine_leave(PyObject *self, PyObject *result);

/**
 * Begin a wait for something in the guest, if this is the main thread: the entered conditions hold
 * now, and are checked again until sp_py_machine_leave_wait(). False with an exception.
 */
G_GNUC_WARN_UNUSED_RESULT bool sp_py_machine_enter_wait(SpPyMachine *self);
/** Does nothing if no wait was begun. */
void sp_py_machine_leave_wait(SpPyMachine *self);

/** Begin a step of the log, about @machine if that is not NULL. */
void sp_py_step_begin(SpPyState *state, const char *machine, const char *kind, const char *format,
    ...) G_GNUC_PRINTF(4, 5);
/**
 * End it with @result, which is returned; NULL is a failure. The log says @failure, or the message
 * of the exception if that is NULL. A signal that came at the last moment turns @result into NULL.
 */
PyObject *sp_py_step_end(SpPyState *state, PyObject *result, const char *failure);

/** PyArg_ParseTupleAndKeywords() without positional arguments. */
G_GNUC_WARN_UNUSED_RESULT bool sp_py_parse_keywords(
    PyObject *kwargs, const char *format, char **keywords, ...);
/** Let @value, the argument @name, be @other if the script used @other_name for it. False with an
 * exception if both are given, or neither of a required argument. */
G_GNUC_WARN_UNUSED_RESULT bool sp_py_take_alias(const char *call, bool is_required,
    const char *name, PyObject **value, const char *other_name, PyObject *other);
/** The argument @name is a port. False with an exception. */
G_GNUC_WARN_UNUSED_RESULT bool sp_py_check_port(const char *name, int value, int lowest);
/** The argument @name is not negative. False with an exception. */
G_GNUC_WARN_UNUSED_RESULT bool sp_py_check_count(const char *name, long long value);

/** What the attribute @name is set to; -1 with an exception, also if it is deleted. */
int sp_py_take_flag(const char *name, PyObject *value);
/** Raise NotImplementedError for a method that is not offered. Returns NULL. */
PyObject *sp_py_refuse_call(SpMachine *machine, const char *sentence);
/** A getter of Machine that raises AttributeError, so that hasattr() is False. */
PyObject *sp_py_refuse_attribute(PyObject *self, void *sentence);
/** The create_machine() of the NixOS test driver takes a command that starts QEMU, and can keep the
 * machine's state. False with an exception if a call asks for either. */
G_GNUC_WARN_UNUSED_RESULT bool sp_py_check_create(PyObject *args, PyObject *kwargs);
