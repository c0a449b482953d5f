/* SPDX-License-Identifier: MIT */
#include "script/py-call.h"

#include "script/py-polling.h"
#include "script/py-text.h"

bool sp_py_machine_enter(PyObject *self)
{
    sp_py_hold();
    return sp_py_claim(sp_py_state(self), ((SpPyMachine *)self)->machine);
}

PyObject *sp_py_machine_leave(PyObject *self, PyObject *result)
{
    sp_py_unclaim(sp_py_state(self), ((SpPyMachine *)self)->machine);
    sp_py_release();
    return result;
}

bool sp_py_machine_enter_wait(SpPyMachine *self)
{
    SpPyState *state = sp_py_state((PyObject *)self);

    if (!sp_py_is_main_thread())
        return true;
    if (!sp_py_check_conditions(state))
        return false;
    state->is_waiting = true;
    return true;
}

void sp_py_machine_leave_wait(SpPyMachine *self)
{
    if (sp_py_is_main_thread())
        sp_py_state((PyObject *)self)->is_waiting = false;
}

void sp_py_step_begin(
    SpPyState *state, const char *machine, const char *kind, const char *format, ...)
{
    g_autofree char *text = NULL;
    g_autofree char *valid = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    valid = g_utf8_make_valid(text, -1); /* a path may be anything */
    sp_log_begin(state->config->log, machine, kind, "%s", valid);
}

/* The message of the pending exception, which stays; its type's name if it has none. */
static char *describe_exception(void)
{
    PyObject *type, *value, *trace;
    guint depth = sp_py_suspend(); /* an exception of the script's has Python code */
    char *text;

    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    text = value ? sp_py_utf8(value) : NULL;
    if (!text || !*text) {
        g_free(text);
        text = g_strdup(value ? Py_TYPE(value)->tp_name : "unknown");
    }
    PyErr_Restore(type, value, trace);
    sp_py_resume(depth);
    return text;
}

PyObject *sp_py_step_end(SpPyState *state, PyObject *result, const char *failure)
{
    g_autofree char *message = result || failure ? NULL : describe_exception();

    sp_log_end(state->config->log, result ? NULL : failure ? failure : message);
    if (result && PyErr_Occurred())
        Py_CLEAR(result);
    return result;
}

bool sp_py_parse_keywords(PyObject *kwargs, const char *format, char **keywords, ...)
{
    PyObject *none = PyTuple_New(0);
    va_list list;
    int is_good;

    if (!none)
        return false;
    va_start(list, keywords);
    is_good = PyArg_VaParseTupleAndKeywords(none, kwargs, format, keywords, list);
    va_end(list);
    Py_DECREF(none);
    return is_good != 0;
}

bool sp_py_take_alias(const char *call, bool is_required, const char *name, PyObject **value,
    const char *other_name, PyObject *other)
{
    if (*value && other) {
        PyErr_Format(PyExc_TypeError, "%s() takes %s or %s, not both", call, name, other_name);
        return false;
    }
    if (is_required && !*value && !other) {
        PyErr_Format(PyExc_TypeError, "%s() needs the argument %s", call, name);
        return false;
    }
    if (other)
        *value = other;
    return true;
}

bool sp_py_check_port(const char *name, int value, int lowest)
{
    if (value >= lowest && value <= G_MAXUINT16)
        return true;
    PyErr_Format(
        PyExc_ValueError, "%s is %d: expected a port from %d to 65535", name, value, lowest);
    return false;
}

bool sp_py_check_count(const char *name, long long value)
{
    if (value >= 0)
        return true;
    PyErr_Format(PyExc_ValueError, "%s is %lld: expected 0 or more", name, value);
    return false;
}

int sp_py_take_flag(const char *name, PyObject *value)
{
    if (value)
        return PyObject_IsTrue(value);
    PyErr_Format(PyExc_AttributeError, "%s can't be deleted", name);
    return -1;
}

PyObject *sp_py_refuse_call(SpMachine *machine, const char *sentence)
{
    return PyErr_Format(
        PyExc_NotImplementedError, "machine '%s': %s", sp_machine_name(machine), sentence);
}

PyObject *sp_py_refuse_attribute(PyObject *self, void *sentence)
{
    return PyErr_Format(PyExc_AttributeError, "machine '%s': %s",
        sp_machine_name(((SpPyMachine *)self)->machine), (const char *)sentence);
}
