/* SPDX-License-Identifier: MIT */
#pragma once

#include "script/py-module.h"

/**
 * What print() would write of @object, in valid UTF-8: lone surrogates, as in file names that are
 * not UTF-8, are written as \udcNN, and NUL as \x00. NULL with an exception if its __str__() raises
 * one. Free with g_free().
 */
char *sp_py_utf8(PyObject *object);
