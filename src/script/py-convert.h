/* SPDX-License-Identifier: MIT */
#pragma once

#include "script/py-module.h"

/** Raise @error, which is taken, as the exception it stands for. Returns NULL. */
PyObject *sp_py_raise(SpPyState *state, GError *error);

/** A str of UTF-8, with replacements for invalid bytes; NULL gives "". */
PyObject *sp_py_text(const GString *bytes);

/** @bytes as valid text for a message; a note replaces the middle of a long text. */
char *sp_py_excerpt(const GString *bytes);

/** The longest time that a script can give; it fits in milliseconds everywhere. */
#define SP_PY_SECONDS_MAX (100.0 * 365 * 86400)

/**
 * How long @value is, the script's argument @name: a number of seconds or a datetime.timedelta,
 * from 0 to @max seconds. False with an exception for anything else.
 */
G_GNUC_WARN_UNUSED_RESULT bool sp_py_seconds(
    PyObject *value, const char *name, double max, double *ret_seconds);
/** The same, and None is 0. */
G_GNUC_WARN_UNUSED_RESULT bool sp_py_seconds_or_none(
    PyObject *value, const char *name, double max, double *ret_seconds);

/**
 * A time-out in milliseconds from a duration, as machine.h takes them. @value NULL is @otherwise,
 * in seconds; None is no time-out. False with an exception if it is not a duration.
 */
G_GNUC_WARN_UNUSED_RESULT bool sp_py_timeout(PyObject *value, double otherwise, gint64 *ret_ms);

/** How much time is left until @deadline (as of sp_deadline()), at least 1 ms. */
gint64 sp_py_left_ms(gint64 deadline);

/**
 * For PyArg_ParseTuple()'s "O&": a path from a str, bytes or os.PathLike, as Python itself takes
 * them. @ret_path is a char ** whose string is freed with g_free(), set on success only.
 */
int sp_py_path(PyObject *value, void *ret_path);
/** The same, and None is NULL. */
int sp_py_optional_path(PyObject *value, void *ret_path);

/** For "O&": a network's number as text. @ret_name is a char ** whose string is freed with
 * g_free(), set on success only. */
int sp_py_network(PyObject *value, void *ret_name);
/** The same, and None is NULL. */
int sp_py_optional_network(PyObject *value, void *ret_name);

/** @path as a pathlib.Path; NULL with an exception. */
PyObject *sp_py_path_new(const char *path);

/** Run the main context for @ms; false with an exception if that was interrupted. */
bool sp_py_pause(SpPyState *state, gint64 ms);

/** Pauses between attempts, each longer than the one before; zero it first. */
typedef struct {
    gint64 ms;
} SpPyPause;
/** Make the next pause, which ends at @deadline (as of sp_deadline()) at the latest; false with an
 * exception if it was interrupted. */
bool sp_py_pause_until(SpPyState *state, SpPyPause *pause, gint64 deadline);
/** The same without a deadline. */
bool sp_py_pause_longer(SpPyState *state, SpPyPause *pause);

/** Whether this is the thread that runs the script, which gets its signals. */
bool sp_py_is_main_thread(void);
