/* SPDX-License-Identifier: MIT */

/* Conditions that must hold all the time inside `with`: they are checked before each command and
 * during waits. */

#include "script/py-polling.h"
#include "script/api.h"
#include "script/py-call.h"
#include "script/py-text.h"

struct SpPyCondition {
    PyObject_HEAD PyObject *function;
    PyObject *description; /* str */
    gint64 interval_us;
    gint64 checked_at; /* 0 if never */
    PyObject *failure; /* the exception of the last check, or NULL */
};

/* Where an exception was raised: the innermost line of the script, or of a module of it. */
static PyObject *find_place(SpPyState *state, PyObject *exception)
{
    PyObject *trace = PyException_GetTraceback(exception), *place = NULL;

    while (trace && trace != Py_None) {
        PyFrameObject *frame = ((PyTracebackObject *)trace)->tb_frame;
        PyCodeObject *code = PyFrame_GetCode(frame);
        const char *file = PyUnicode_AsUTF8(code->co_filename);
        PyObject *next = Py_XNewRef((PyObject *)((PyTracebackObject *)trace)->tb_next);

        if (file && (!place || g_str_equal(file, state->config->path))) {
            PyObject *line = PyObject_GetAttrString(trace, "tb_lineno");
            g_autofree char *name = g_path_get_basename(file);

            Py_XDECREF(place);
            place = line ? PyUnicode_FromFormat(" (%s, line %S)", name, line) : NULL;
            Py_XDECREF(line);
        }
        Py_DECREF(code);
        Py_DECREF(trace);
        trace = next;
    }
    Py_XDECREF(trace);
    PyErr_Clear();
    return place ? place : PyUnicode_FromString("");
}

/* ": ZeroDivisionError: division by zero (script.py, line 3)", or "" if the last check raised no
 * exception; NULL with an exception. */
static PyObject *describe_failure(SpPyCondition *self)
{
    PyObject *text, *place, *whole;

    if (!self->failure)
        return PyUnicode_FromString("");
    text = PyObject_Str(self->failure);
    if (!text)
        PyErr_Clear();
    place = find_place(sp_py_state((PyObject *)self), self->failure);
    whole = place ? PyUnicode_FromFormat(": %s%s%V%U", Py_TYPE(self->failure)->tp_name,
                        text && PyUnicode_GET_LENGTH(text) > 0 ? ": " : "", text, "", place)
                  : NULL;
    Py_XDECREF(place);
    Py_XDECREF(text);
    return whole;
}

static void log_condition_failure(SpPyCondition *self)
{
    PyObject *text = describe_failure(self);
    const char *utf8 = text ? PyUnicode_AsUTF8(text) : NULL;

    if (utf8)
        sp_log(
            sp_py_state((PyObject *)self)->config->log, NULL, "a polling condition failed%s", utf8);
    Py_XDECREF(text);
    PyErr_Clear();
}

/* 1 if the condition holds, 0 if not, -1 with an exception that ends the script. If the function
 * fails, the condition does not hold, and its exception is kept as the reason. */
static int evaluate(SpPyCondition *self)
{
    PyObject *result, *type, *value, *trace;
    guint depth = sp_py_suspend();
    int holds;

    result = PyObject_CallNoArgs(self->function);
    sp_py_resume(depth);
    self->checked_at = g_get_monotonic_time();
    Py_CLEAR(self->failure);
    if (result) {
        holds = result == Py_None ? 1 : PyObject_IsTrue(result);
        Py_DECREF(result);
        return holds;
    }
    if (!PyErr_ExceptionMatches(PyExc_Exception))
        return -1;
    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    if (trace)
        PyException_SetTraceback(value, trace);
    self->failure = value;
    log_condition_failure(self);
    Py_XDECREF(type);
    Py_XDECREF(trace);
    return 0;
}

/* evaluate(), during which no conditions are checked. */
static int check_now(SpPyCondition *self)
{
    SpPyState *state = sp_py_state((PyObject *)self);
    bool is_main = sp_py_is_main_thread();
    bool may_check = state->may_check, was_waiting = state->is_waiting;
    guint depth = sp_log_depth(state->config->log);
    int holds;

    /* only the main thread checks conditions */
    if (is_main)
        state->may_check = false;
    holds = evaluate(self);
    while (sp_log_depth(state->config->log) > depth)
        sp_log_end(state->config->log, "not ended");
    if (is_main) {
        state->may_check = may_check;
        state->is_waiting = was_waiting;
    }
    return holds;
}

static bool is_condition_due(const SpPyCondition *self)
{
    return self->checked_at == 0 || g_get_monotonic_time() - self->checked_at >= self->interval_us;
}

/* Raise RequestedAssertionFailed; @how is such as "no longer holds". The failure of the function is
 * its cause. */
static void raise_broken(SpPyCondition *self, const char *how)
{
    PyObject *why = describe_failure(self), *type, *value, *trace;

    if (why)
        PyErr_Format(sp_py_state((PyObject *)self)->assertion_failed,
            "the polling condition '%U' %s%U", self->description, how, why);
    Py_XDECREF(why);
    if (!why || !self->failure)
        return;
    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    PyException_SetCause(value, Py_NewRef(self->failure));
    PyErr_Restore(type, value, trace);
}

bool sp_py_condition_is_due(SpPyState *state)
{
    for (guint i = 0; state->may_check && i < state->conditions->len; i++) {
        if (is_condition_due(g_ptr_array_index(state->conditions, i)))
            return true;
    }
    return false;
}

bool sp_py_check_conditions(SpPyState *state)
{
    if (!sp_py_is_main_thread())
        return true;
    for (guint i = 0; state->may_check && i < state->conditions->len; i++) {
        SpPyCondition *condition = g_ptr_array_index(state->conditions, i);
        int holds = 1;

        if (is_condition_due(condition)) {
            Py_INCREF(condition);
            holds = check_now(condition);
            if (holds == 0)
                raise_broken(condition, "no longer holds");
            Py_DECREF(condition);
        }
        if (holds != 1)
            return false;
    }
    return true;
}

PyObject *sp_py_condition_check(SpPyCondition *self, bool force)
{
    int holds = force || is_condition_due(self) ? check_now(self) : 1;

    return holds < 0 ? NULL : PyBool_FromLong(holds);
}

PyObject *sp_py_condition_wait(SpPyCondition *self, gint64 timeout_ms)
{
    SpPyState *state = sp_py_state((PyObject *)self);
    g_autofree char *description = sp_py_utf8(self->description);
    gint64 deadline = sp_deadline(timeout_ms);
    SpPyPause pause = {0};
    int holds;

    if (!description)
        return NULL;
    sp_py_step_begin(state, NULL, "wait", "wait for the condition '%s'", description);
    do
        holds = check_now(self);
    while (holds == 0 && g_get_monotonic_time() < deadline && sp_py_pause_longer(state, &pause));
    if (holds != 1 && !PyErr_Occurred())
        raise_broken(self, "did not come true in time");
    return sp_py_step_end(state, holds == 1 ? Py_NewRef(Py_None) : NULL, "it did not come true");
}

PyObject *sp_py_condition_enter(SpPyCondition *self)
{
    g_ptr_array_add(sp_py_state((PyObject *)self)->conditions, Py_NewRef((PyObject *)self));
    Py_RETURN_NONE;
}

static void drop_condition(GPtrArray *conditions, guint i)
{
    Py_DECREF((PyObject *)g_ptr_array_remove_index(conditions, i));
}

PyObject *sp_py_condition_exit(SpPyCondition *self, PyObject *exception)
{
    GPtrArray *conditions = sp_py_state((PyObject *)self)->conditions;

    for (guint i = conditions->len; i > 0; i--) {
        if (g_ptr_array_index(conditions, i - 1) != self)
            continue;
        drop_condition(conditions, i - 1);
        break;
    }
    Py_RETURN_FALSE;
}

void sp_py_drop_conditions(SpPyState *state)
{
    while (state->conditions->len > 0)
        drop_condition(state->conditions, state->conditions->len - 1);
}

static int traverse_condition(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((SpPyCondition *)self)->function);
    Py_VISIT(((SpPyCondition *)self)->failure);
    return 0;
}

static int clear_condition(PyObject *self)
{
    Py_CLEAR(((SpPyCondition *)self)->function);
    Py_CLEAR(((SpPyCondition *)self)->failure);
    return 0;
}

static void free_condition(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    SpPyCondition *condition = (SpPyCondition *)self;

    PyObject_GC_UnTrack(self);
    clear_condition(self);
    Py_CLEAR(condition->description);
    type->tp_free(self);
    Py_DECREF(type);
}

/* The description, else the function's first line of documentation, else its name. */
static PyObject *describe_condition(PyObject *function, PyObject *description)
{
    PyObject *text = NULL, *lines, *first = NULL;

    if (description && description != Py_None)
        return PyObject_Str(description);
    text = PyObject_GetAttrString(function, "__doc__");
    if (text && PyUnicode_Check(text) && PyUnicode_GET_LENGTH(text) > 0) {
        lines = PyUnicode_Splitlines(text, 0);
        first = lines ? PySequence_GetItem(lines, 0) : NULL;
        Py_XDECREF(lines);
    }
    Py_XDECREF(text);
    PyErr_Clear();
    if (first && PyUnicode_GET_LENGTH(first) > 0)
        return first;
    Py_XDECREF(first);
    first = PyObject_GetAttrString(function, "__name__");
    if (first && PyUnicode_Check(first))
        return first;
    Py_XDECREF(first);
    PyErr_Clear();
    return PyObject_Repr(function);
}

static PyObject *make_condition(
    SpPyState *state, PyObject *function, double interval, PyObject *description)
{
    SpPyCondition *condition =
        (SpPyCondition *)state->condition_type->tp_alloc(state->condition_type, 0);

    if (!condition)
        return NULL;
    condition->function = Py_NewRef(function);
    condition->interval_us = (gint64)(interval * G_TIME_SPAN_SECOND);
    condition->description = describe_condition(function, description);
    if (!condition->description)
        Py_CLEAR(condition);
    return (PyObject *)condition;
}

PyObject *sp_py_script_polling_condition(
    SpPyState *state, PyObject *fun_, double seconds_interval, PyObject *description)
{
    PyObject *functools, *partial, *arguments, *positional, *type, *module;

    if (fun_ && PyCallable_Check(fun_))
        return make_condition(state, fun_, seconds_interval, description);
    if (fun_ && fun_ != Py_None)
        return PyErr_Format(PyExc_TypeError, "polling_condition() takes a function, not %R", fun_);
    /* a decorator with arguments is called twice */
    functools = PyImport_ImportModule("functools");
    module = functools ? PyImport_ImportModule("slotproof") : NULL;
    fun_ = module ? PyObject_GetAttrString(module, "polling_condition") : NULL;
    arguments = fun_ ? Py_BuildValue("{sdsO}", "seconds_interval", seconds_interval, "description",
                           description ? description : Py_None)
                     : NULL;
    positional = arguments ? PyTuple_Pack(1, fun_) : NULL;
    type = positional ? PyObject_GetAttrString(functools, "partial") : NULL;
    partial = type ? PyObject_Call(type, positional, arguments) : NULL;
    Py_XDECREF(type);
    Py_XDECREF(positional);
    Py_XDECREF(arguments);
    Py_XDECREF(fun_);
    Py_XDECREF(module);
    Py_XDECREF(functools);
    return partial;
}

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)SP_PY_CONDITION_DOC},
    {Py_tp_dealloc, free_condition},
    {Py_tp_traverse, traverse_condition},
    {Py_tp_clear, clear_condition},
    {Py_tp_methods, sp_py_condition_methods},
    {0, NULL},
};

PyType_Spec sp_py_condition_spec = {
    .name = "slotproof.PollingCondition",
    .basicsize = sizeof(SpPyCondition),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};
