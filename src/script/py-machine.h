/* SPDX-License-Identifier: MIT */
#pragma once

#include "machine/machine-guest.h"
#include "script/py-convert.h"

/* What the methods of Machine share. */

/** The log of the script that runs; may be NULL. */
SpLog *sp_py_log_of(SpPyMachine *self);

/** How long something may take that has no time-out of its own. */
gint64 sp_py_machine_default_timeout_ms(SpPyMachine *self);

/** Run @command; false with an exception if that could not be done. */
G_GNUC_WARN_UNUSED_RESULT bool sp_py_machine_run(
    SpPyMachine *self, const char *command, gint64 timeout_ms, SpCommandResult *ret_result);

/** (status, output) of a command; @output may be NULL. */
PyObject *sp_py_machine_pack_result(int status, const GString *output);

/** Raise RequestedAssertionFailed about @self, with a text as of PyUnicode_FromFormat(). Returns
 * NULL. */
PyObject *sp_py_machine_raise(SpPyMachine *self, const char *format, ...);

/** For "O&": the number of a virtual terminal from a str or an int; @ret_number is a guint *. */
int sp_py_tty(PyObject *value, void *ret_number);
