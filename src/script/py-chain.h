/* SPDX-License-Identifier: MIT */
#pragma once

#include "script/py-module.h"

typedef enum {
    SP_PY_CONTEXT, /* raised while the one before it was handled */
    SP_PY_CAUSE,   /* raised because of it: `raise ... from` */
} SpPyLinkKind;

/** An exception in a chain of exceptions. */
typedef struct {
    PyObject *value; /* not owned: the last one holds the others */
    SpPyLinkKind kind;
    guint left_out; /* exceptions between the one before it and this one */
} SpPyLink;

/**
 * The exceptions that led to @value, and @value itself, as SpPyLink, oldest first: as in Python's
 * tracebacks (PEP 3134). Those in @seen are left out, and the others are added to it. Of a long
 * chain the middle is left out. Empty only if @value itself is in @seen.
 */
GArray *sp_py_chain(PyObject *value, GHashTable *seen);
