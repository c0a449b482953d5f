/* SPDX-License-Identifier: MIT */
#pragma once

#include "script/py-convert.h"

/**
 * A prompt with more than one line, and completion with signatures: ptpython or IPython, if the
 * distribution's package of it is installed, and the user is on a terminal. SLOTPROOF_PROMPT in the
 * environment names one of them, or "plain" for neither.
 *
 * @wait, a Python function, waits for a descriptor to be readable while machines are served.
 *
 * Returns 1 when it has ended, with an exception if Python itself ends, or 0 if there is no such
 * prompt.
 */
int sp_py_prompt_rich(SpPyState *state, PyObject *names, const char *banner, PyObject *wait);
