/* SPDX-License-Identifier: MIT */
#pragma once

#include "script/py-convert.h"

typedef struct SpPyCondition SpPyCondition;

/**
 * Check those of the entered conditions that are due. False with an exception if one does not hold.
 * Does nothing while a condition is being checked.
 */
bool sp_py_check_conditions(SpPyState *state);
/** Whether sp_py_check_conditions() would check one; needs no GIL. */
bool sp_py_condition_is_due(SpPyState *state);
/** Drop the references to those that are still entered, before the interpreter is finalized. */
void sp_py_drop_conditions(SpPyState *state);
