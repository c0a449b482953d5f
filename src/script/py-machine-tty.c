/* SPDX-License-Identifier: MIT */

/* Methods of Machine about the guest's virtual terminals, such as /dev/tty1. The guest is asked for
 * the text, which is exact, unlike what can be read from a screenshot. */

#include "machine/machine-guest.h"
#include "script/api.h"

#include <string.h>

int sp_py_tty(PyObject *value, void *ret_number)
{
    PyObject *text = PyObject_Str(value);
    const char *utf8 = text ? PyUnicode_AsUTF8(text) : NULL;
    guint64 number = 0;

    if (utf8 && !g_ascii_string_to_unsigned(utf8, 10, 1, 63, &number, NULL))
        PyErr_Format(PyExc_ValueError, "'%s' is not a terminal: expected 1 to 63", utf8);
    Py_XDECREF(text);
    *(guint *)ret_number = (guint)number;
    return number > 0;
}

/* The text on the terminal @number, line by line; NULL with an exception. */
static PyObject *read_tty(SpPyMachine *self, guint number, gint64 timeout_ms)
{
    g_autofree char *command = g_strdup_printf(
        "fold -w \"$(stty -F /dev/tty%u size | cut -d ' ' -f 2)\" /dev/vcs%u", number, number);
    g_auto(SpCommandResult) result = {0};

    if (!sp_py_machine_run(self, command, timeout_ms, &result))
        return NULL;
    if (result.status == 0)
        return sp_py_text(result.output);
    g_autofree char *errors = sp_py_excerpt(result.errors);
    return sp_py_machine_raise(self, "terminal %u can't be read: %s", number, errors);
}

PyObject *sp_py_machine_get_tty_text(SpPyMachine *self, guint tty)
{
    return read_tty(self, tty, sp_py_machine_default_timeout_ms(self));
}

/* 1 if @pattern is found in @text, 0 if not, -1 with an exception. */
static int search(PyObject *pattern, PyObject *text)
{
    PyObject *match = PyObject_CallMethod(pattern, "search", "O", text);
    int is_found = match ? match != Py_None : -1;

    Py_XDECREF(match);
    return is_found;
}

/* Returns None; NULL with an exception. */
static PyObject *poll_tty(
    SpPyMachine *self, guint number, PyObject *pattern, const char *regex, gint64 timeout_ms)
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
            sp_py_machine_raise(self,
                "nothing on terminal %u matched '%s' in time; what is on it:\n%U", number, regex,
                text);
        if (is_found == 0 && (PyErr_Occurred() || !sp_py_pause_longer(state, &pause)))
            is_found = -1;
    }
    Py_XDECREF(text);
    return is_found == 1 ? Py_NewRef(Py_None) : NULL;
}

static PyObject *compile_regex(const char *regex)
{
    PyObject *module = PyImport_ImportModule("re");
    PyObject *pattern = module ? PyObject_CallMethod(module, "compile", "s", regex) : NULL;

    Py_XDECREF(module);
    return pattern;
}

PyObject *sp_py_machine_wait_until_tty_matches(
    SpPyMachine *self, guint tty, const char *regexp, gint64 timeout_ms)
{
    PyObject *pattern = compile_regex(regexp);
    PyObject *result = pattern ? poll_tty(self, tty, pattern, regexp, timeout_ms) : NULL;

    Py_XDECREF(pattern);
    return result;
}

PyObject *sp_py_machine_dump_tty_contents(SpPyMachine *self, guint tty)
{
    PyObject *text = sp_py_machine_get_tty_text(self, tty);
    const char *utf8 = text ? PyUnicode_AsUTF8(text) : NULL;

    if (utf8) {
        g_autofree char *shown = g_strchomp(g_strdup(utf8));
        sp_log(
            sp_py_log_of(self), sp_machine_name(self->machine), "on terminal %u:\n%s", tty, shown);
    }
    Py_XDECREF(text);
    return utf8 ? Py_NewRef(Py_None) : NULL;
}
