/* SPDX-License-Identifier: MIT */
#pragma once

#include "script/py-module.h"

typedef enum {
    SP_PY_CONTEXT, /* raised while the one before it was handled */
    SP_PY_CAUSE,   /* raised because of it: `raise ... from` */
} SpPyLinkKind;

/** An exception among those that hang together. */
typedef struct {
    PyObject *value; /* not owned: the last one holds the others */
    SpPyLinkKind kind;
    guint left_out; /* exceptions between the one before it and this one */
} SpPyLink;

/**
 * The exceptions that led to @value, and itself, the first one first, of SpPyLink: as Python's
 * tracebacks have them (PEP 3134), without those that are in @seen, which they are added to. Of too
 * many those in the middle are left out. Empty only where @value itself is in @seen.
 */
GArray *sp_py_chain(PyObject *value, GHashTable *seen);
