/* SPDX-License-Identifier: MIT */
#pragma once

#include "script/py-module.h"

/* The text of a script that failed, and its variables. Lines count from 1; files that can't be
 * read, and lines that do not exist, are empty. Free the results with g_free(). */

/** Lines @first to @last of @file, separated by newlines: of the script as it was when it began, of
 * a module as it is now. */
char *sp_py_source_lines(SpPyState *state, const char *file, int first, int last);
/** The same as a statement: without the common indentation, and limited in length. */
char *sp_py_source_statement(SpPyState *state, const char *file, int first, int last);
/**
 * "  NAME = VALUE" lines for the variables of @frame that occur in these lines: their values as
 * they are now. Nothing is evaluated again; functions, types, modules and machines are left out.
 */
char *sp_py_source_values(SpPyState *state, PyObject *frame, const char *file, int first, int last);
