/* SPDX-License-Identifier: MIT */
#pragma once

#include "script/py-convert.h"

/**
 * Let the user type Python, with the names of @names, until Ctrl-D. Machines are
 * served meanwhile. False with an exception if Python itself ends: exit(), SIGTERM.
 */
bool sp_py_prompt(SpPyState *state, PyObject *names, const char *banner);

/** The text above the prompt of `slotproof debug`; free with g_free(). */
char *sp_py_prompt_banner(SpPyState *state);

/** The script's `debug`; NULL with an exception. */
PyObject *sp_py_debug_new(PyObject *module);
