/* SPDX-License-Identifier: MIT */
#pragma once

#include "script/py-module.h"

/** A call in a file of the test's own. */
typedef struct {
    char *file;
    char *function; /* NULL: the script itself */
    int line;
    int last_line; /* of the statement, or the part of it that was being done */
    PyObject *frame;
    guint left_out; /* calls between the one before it and this one */
} SpPyFrame;

/**
 * The calls in @trace (a traceback, or NULL) that are in the test's own files, of SpPyFrame, the
 * outermost first: how the libraries that it called went on is not told. Of a deep recursion both
 * ends.
 */
GArray *sp_py_frames(SpPyState *state, PyObject *trace);

/** An attribute as text; NULL, with no exception left, where it is missing or no str. */
char *sp_py_get_text(PyObject *object, const char *name);
/** An attribute as a number; 0, with no exception left, where it is missing or none. */
long sp_py_get_number(PyObject *object, const char *name);
