/* SPDX-License-Identifier: MIT */
#pragma once

#include "script/py-convert.h"

typedef struct SpPyCondition SpPyCondition;

/**
 * Ask those of the entered conditions whose time has come. False with an exception where one does
 * not hold. What a condition itself does asks none.
 */
bool sp_py_check_conditions(SpPyState *state);
/** Whether sp_py_check_conditions() would ask one; needs no GIL. */
bool sp_py_condition_is_due(SpPyState *state);
/** Let go of those that are still entered, while the interpreter is up. */
void sp_py_drop_conditions(SpPyState *state);
