/* SPDX-License-Identifier: MIT */
#pragma once

#include "script/py-module.h"

/**
 * What print() would write of @object, as valid UTF-8 for C: lone surrogates (which file names that
 * are no UTF-8 turn into) are written as \udcNN, NUL as \x00. NULL with an exception where its
 * __str__() raises one. Free with g_free().
 */
char *sp_py_utf8(PyObject *object);

/** The one argument of a method, called @keyword, as sp_py_utf8() has it; NULL with an exception.
 */
char *sp_py_utf8_argument(
    PyObject *args, PyObject *kwargs, const char *keyword, const char *format);
