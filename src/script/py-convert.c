/* SPDX-License-Identifier: MIT */
#include "script/py-convert.h"

#include "base/error.h"
#include "base/text.h"

#include <math.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAUSE_FIRST_MS 20
#define PAUSE_MAX_MS 250
#define EXCERPT_MAX 4096u

static PyObject *exception_of(SpPyState *state, const GError *error)
{
    if (error->domain != SP_ERROR)
        return state->machine_error;
    switch ((SpErrorCode)error->code) {
    case SP_ERROR_USAGE:
        return PyExc_ValueError;
    case SP_ERROR_ASSERTION:
    case SP_ERROR_TIMEOUT:
    case SP_ERROR_GUEST:
        return state->assertion_failed;
    case SP_ERROR_INTERRUPTED:
        return PyExc_KeyboardInterrupt;
    case SP_ERROR_MACHINE:
    case SP_ERROR_PROTOCOL:
    case SP_ERROR_HOST:
    case SP_ERROR_NO_SPACE:
    case SP_ERROR_DENIED:
        break;
    }
    return state->machine_error;
}

PyObject *sp_py_raise(SpPyState *state, GError *error)
{
    g_autofree char *message = g_utf8_make_valid(error->message, -1);

    /* what a signal handler raised says more, and stays */
    if (!PyErr_Occurred())
        PyErr_SetString(exception_of(state, error), message);
    g_error_free(error);
    return NULL;
}

PyObject *sp_py_text(const GString *bytes)
{
    if (!bytes)
        return PyUnicode_FromString("");
    return PyUnicode_DecodeUTF8(bytes->str, (Py_ssize_t)bytes->len, "replace");
}

char *sp_py_excerpt(const GString *bytes)
{
    return g_strchomp(sp_text_excerpt(bytes->str, bytes->len, EXCERPT_MAX));
}

/* Seconds from a number or a timedelta; -1 with an exception for anything else. */
static double to_seconds(PyObject *value)
{
    PyObject *total = NULL;
    double seconds;

    if (PyBool_Check(value)) {
        PyErr_SetNone(PyExc_TypeError);
        return -1;
    }
    if (!PyNumber_Check(value) && PyObject_HasAttrString(value, "total_seconds")) {
        total = PyObject_CallMethod(value, "total_seconds", NULL);
        value = total;
    }
    seconds = value ? PyFloat_AsDouble(value) : -1;
    Py_XDECREF(total);
    return seconds;
}

bool sp_py_seconds(PyObject *value, const char *name, double max, double *ret_seconds)
{
    double seconds = to_seconds(value);
    bool is_type = PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_OverflowError);

    if (!PyErr_Occurred() && isfinite(seconds) && seconds >= 0 && seconds <= max) {
        *ret_seconds = seconds;
        return true;
    }
    if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_Exception))
        return false;
    PyErr_Clear();
    if (max >= SP_PY_SECONDS_MAX)
        PyErr_Format(is_type ? PyExc_TypeError : PyExc_ValueError,
            "%s is %R: expected seconds from 0, as a number or a datetime.timedelta", name, value);
    else
        PyErr_Format(is_type ? PyExc_TypeError : PyExc_ValueError,
            "%s is %R: expected seconds from 0 to %d, as a number or a datetime.timedelta", name,
            value, (int)max);
    return false;
}

bool sp_py_seconds_or_none(PyObject *value, const char *name, double max, double *ret_seconds)
{
    if (value != Py_None)
        return sp_py_seconds(value, name, max, ret_seconds);
    *ret_seconds = 0;
    return true;
}

bool sp_py_timeout(PyObject *value, double otherwise, gint64 *ret_ms)
{
    double seconds;

    if (!value) {
        *ret_ms = (gint64)(otherwise * 1000);
        return true;
    }
    if (value == Py_None) {
        *ret_ms = SP_NO_TIMEOUT;
        return true;
    }
    if (!sp_py_seconds(value, "timeout", SP_PY_SECONDS_MAX, &seconds))
        return false;
    *ret_ms = (gint64)ceil(seconds * 1000);
    return true;
}

gint64 sp_py_left_ms(gint64 deadline)
{
    if (deadline == SP_FOREVER)
        return SP_NO_TIMEOUT;
    return MAX(1, (deadline - g_get_monotonic_time()) / 1000);
}

int sp_py_path(PyObject *value, void *ret_path)
{
    PyObject *bytes = NULL;

    if (!PyUnicode_FSConverter(value, (void *)&bytes))
        return 0;
    *(char **)ret_path = g_strdup(PyBytes_AS_STRING(bytes));
    Py_DECREF(bytes);
    return 1;
}

int sp_py_optional_path(PyObject *value, void *ret_path)
{
    return value == Py_None ? 1 : sp_py_path(value, ret_path);
}

int sp_py_network(PyObject *value, void *ret_name)
{
    long number = PyLong_AsLong(value);

    if (number == -1 && PyErr_Occurred())
        return 0;
    *(char **)ret_name = g_strdup_printf("%ld", number);
    return 1;
}

int sp_py_optional_network(PyObject *value, void *ret_name)
{
    return value == Py_None ? 1 : sp_py_network(value, ret_name);
}

PyObject *sp_py_path_new(const char *path)
{
    PyObject *module = PyImport_ImportModule("pathlib");
    PyObject *text = module ? PyUnicode_DecodeFSDefault(path) : NULL;
    PyObject *result = text ? PyObject_CallMethod(module, "Path", "O", text) : NULL;

    Py_XDECREF(text);
    Py_XDECREF(module);
    return result;
}

bool sp_py_pause(SpPyState *state, gint64 ms)
{
    SpInterrupt interrupt = sp_script_interrupt();
    GError *error = NULL;

    if (sp_pause(ms, &interrupt, &error))
        return true;
    sp_py_raise(state, error);
    return false;
}

bool sp_py_pause_until(SpPyState *state, SpPyPause *pause, gint64 deadline)
{
    gint64 left_ms = MAX(0, (deadline - g_get_monotonic_time()) / 1000);

    pause->ms = CLAMP(2 * pause->ms, PAUSE_FIRST_MS, PAUSE_MAX_MS);
    return sp_py_pause(state, MIN(pause->ms, left_ms));
}

bool sp_py_pause_longer(SpPyState *state, SpPyPause *pause)
{
    return sp_py_pause_until(state, pause, SP_FOREVER);
}

bool sp_py_is_main_thread(void)
{
    return (pid_t)syscall(SYS_gettid) == getpid();
}
