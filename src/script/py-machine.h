/* SPDX-License-Identifier: MIT */
#pragma once

#include "script/py-convert.h"

/* What the methods of Machine share. */

#define SP_PY_METHOD(name, function, flags, doc)                                                   \
    {                                                                                              \
        name, (PyCFunction)(void (*)(void))(function), flags, PyDoc_STR(doc)                       \
    }
#define SP_PY_KEYWORDS (METH_VARARGS | METH_KEYWORDS)

/** The log of the script that runs; may be NULL. */
SpLog *sp_py_machine_log(SpPyMachine *self);
/** sp_py_timeout() for @self's machine. */
bool sp_py_machine_timeout(SpPyMachine *self, PyObject *value, gint64 *ret_ms);

/**
 * What a wait for something in the guest begins with: it is in the main thread, the entered
 * conditions hold, and they are asked again until sp_py_machine_end(). False with an exception.
 */
bool sp_py_machine_enter_wait(SpPyMachine *self);
/** Begin a step of the log that is about @self. */
void sp_py_machine_begin(SpPyMachine *self, const char *kind, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
/** End it. Returns None, or NULL with @error, which is taken, raised if @is_good is false. */
PyObject *sp_py_machine_end(SpPyMachine *self, bool is_good, GError *error);

/** Run @command; false with an exception if that could not be done. */
bool sp_py_machine_execute(
    SpPyMachine *self, const char *command, gint64 timeout_ms, SpCommandResult *ret_result);
