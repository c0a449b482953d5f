/* SPDX-License-Identifier: MIT */

/* Methods of Machine about the guest's virtual terminals: what is on /dev/tty1 and the like. The
 * guest is asked for it, so that it is the text itself and not what can be read off a picture. */

#include "script/py-machine.h"

#include <string.h>

/* The number of a terminal from a str or an int; NULL with an exception. */
static char *to_number(PyObject *value)
{
    PyObject *text = PyObject_Str(value);
    const char *utf8 = text ? PyUnicode_AsUTF8(text) : NULL;
    guint64 number;
    char *result = NULL;

    if (utf8 && g_ascii_string_to_unsigned(utf8, 10, 1, 63, &number, NULL))
        result = g_strdup_printf("%u", (guint)number);
    else if (utf8)
        PyErr_Format(PyExc_ValueError, "'%s' is no terminal: expected 1 to 63", utf8);
    Py_XDECREF(text);
    return result;
}

/* What is on the terminal @number, a line of it a line; NULL with an exception. */
static PyObject *read_tty(SpPyMachine *self, const char *number, gint64 timeout_ms)
{
    g_autofree char *command = g_strdup_printf(
        "fold -w \"$(stty -F /dev/tty%s size | cut -d ' ' -f 2)\" /dev/vcs%s", number, number);
    g_auto(SpCommandResult) result = {0};

    if (!sp_py_machine_execute(self, command, timeout_ms, &result))
        return NULL;
    if (result.status == 0)
        return sp_py_text(result.output);
    g_autofree char *errors = sp_py_excerpt(result.errors);
    return PyErr_Format(sp_py_state((PyObject *)self)->assertion_failed,
        "machine '%s': terminal %s can't be read: %s", sp_machine_name(self->machine), number,
        errors);
}

static PyObject *get_tty_text(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"tty", NULL};
    g_autofree char *number = NULL;
    gint64 timeout_ms;
    PyObject *tty;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:get_tty_text", keywords, &tty) ||
        !sp_py_machine_timeout(self, NULL, &timeout_ms))
        return NULL;
    number = to_number(tty);
    return number ? read_tty(self, number, timeout_ms) : NULL;
}

/* 1: @pattern is found in @text, 0: not, -1 with an exception. */
static int search(PyObject *pattern, PyObject *text)
{
    PyObject *match = PyObject_CallMethod(pattern, "search", "O", text);
    int is_found = match ? match != Py_None : -1;

    Py_XDECREF(match);
    return is_found;
}

/* Returns None; NULL with an exception. */
static PyObject *poll_tty(
    SpPyMachine *self, const char *number, PyObject *pattern, const char *regex, gint64 timeout_ms)
{
    SpPyState *state = sp_py_state((PyObject *)self);
    gint64 deadline = sp_deadline(timeout_ms);
    SpPyPause pause = {0};
    PyObject *text = NULL;
    int is_found = 0;

    while (is_found == 0) {
        Py_XDECREF(text);
        text = read_tty(self, number, timeout_ms);
        is_found = text ? search(pattern, text) : -1;
        if (is_found == 0 && g_get_monotonic_time() >= deadline)
            PyErr_Format(state->assertion_failed,
                "machine '%s': nothing on terminal %s matched '%s' in time; what is on it:\n%U",
                sp_machine_name(self->machine), number, regex, text);
        if (is_found == 0 && (PyErr_Occurred() || !sp_py_pause_longer(state, &pause)))
            is_found = -1;
    }
    Py_XDECREF(text);
    return is_found == 1 ? Py_NewRef(Py_None) : NULL;
}

static PyObject *compile(const char *regex)
{
    PyObject *module = PyImport_ImportModule("re");
    PyObject *pattern = module ? PyObject_CallMethod(module, "compile", "s", regex) : NULL;

    Py_XDECREF(module);
    return pattern;
}

static PyObject *wait_until_tty_matches(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"tty", "regexp", "timeout", NULL};
    PyObject *tty, *pattern, *answer, *timeout = NULL;
    g_autofree char *number = NULL;
    const char *regex;
    gint64 timeout_ms;

    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "Os|O:wait_until_tty_matches", keywords, &tty, &regex, &timeout) ||
        !sp_py_machine_timeout(self, timeout, &timeout_ms))
        return NULL;
    number = to_number(tty);
    pattern = number ? compile(regex) : NULL;
    if (!pattern)
        return NULL;
    sp_py_machine_begin(self, "wait", "wait for '%s' on terminal %s", regex, number);
    answer = poll_tty(self, number, pattern, regex, timeout_ms);
    sp_log_end(sp_py_machine_log(self), answer ? NULL : "it did not come");
    Py_DECREF(pattern);
    return answer;
}

static PyObject *dump_tty_contents(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"tty", NULL};
    g_autofree char *number = NULL;
    gint64 timeout_ms;
    const char *utf8;
    PyObject *tty, *text;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:dump_tty_contents", keywords, &tty) ||
        !sp_py_machine_timeout(self, NULL, &timeout_ms))
        return NULL;
    number = to_number(tty);
    text = number ? read_tty(self, number, timeout_ms) : NULL;
    utf8 = text ? PyUnicode_AsUTF8(text) : NULL;
    if (utf8) {
        g_autofree char *shown = g_strchomp(g_strdup(utf8));
        sp_log(sp_py_machine_log(self), sp_machine_name(self->machine), "on terminal %s:\n%s",
            number, shown);
    }
    Py_XDECREF(text);
    return utf8 ? Py_NewRef(Py_None) : NULL;
}

SP_PY_SERVED(get_tty_text)
SP_PY_SERVED(wait_until_tty_matches)
SP_PY_SERVED(dump_tty_contents)

PyMethodDef sp_py_machine_tty_methods[] = {
    SP_PY_METHOD("get_tty_text", get_tty_text, SP_PY_KEYWORDS,
        "get_tty_text(tty)\n--\n\nThe text on the guest's virtual terminal of that number."),
    SP_PY_METHOD("wait_until_tty_matches", wait_until_tty_matches, SP_PY_KEYWORDS,
        "wait_until_tty_matches(tty, regexp, timeout=900)\n--\n\nWait until the text on that "
        "terminal matches."),
    SP_PY_METHOD("dump_tty_contents", dump_tty_contents, SP_PY_KEYWORDS,
        "dump_tty_contents(tty)\n--\n\nWrite the text on that terminal to the test's log."),
    {NULL, NULL, 0, NULL},
};
