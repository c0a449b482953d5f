/* SPDX-License-Identifier: MIT */
#pragma once

#include "script/py-module.h"

/** A call in one of the test's own files. */
typedef struct {
    char *file;
    char *function; /* NULL: the script itself */
    int line;
    int last_line; /* of the statement, or of the part that was being executed */
    PyObject *frame;
    guint left_out; /* calls between the one before it and this one */
} SpPyFrame;

/**
 * The calls in @trace (a traceback, or NULL) that are in the test's own files, as SpPyFrame,
 * outermost first: those in libraries are left out. Of a deep recursion only both ends are
 * returned.
 */
GArray *sp_py_frames(SpPyState *state, PyObject *trace);

/** An attribute as text; NULL without an exception if it is missing or not a str. */
char *sp_py_get_text(PyObject *object, const char *name);
/** An attribute as a number; 0 without an exception if it is missing or not an int. */
long sp_py_get_number(PyObject *object, const char *name);
