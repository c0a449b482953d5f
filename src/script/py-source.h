/* SPDX-License-Identifier: MIT */
#pragma once

#include "script/py-module.h"

/* The text of a script that failed, and what it was about. Lines count from 1; files that can't be
 * read, and lines that are not there, are empty. Free what is returned with g_free(). */

/** Lines @first to @last of @file, with a newline between: of the script as it was when it began,
 * of a module as it is now. */
char *sp_py_source_lines(SpPyState *state, const char *file, int first, int last);
/** The same as a statement for people: without the indentation that all have, and not too long. */
char *sp_py_source_statement(SpPyState *state, const char *file, int first, int last);
/**
 * "  NAME = VALUE" lines for the variables of @frame that stand in these lines: their values as
 * they are now. Nothing is evaluated again; functions, types, modules and machines are left out.
 */
char *sp_py_source_values(SpPyState *state, PyObject *frame, const char *file, int first, int last);
