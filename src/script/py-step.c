/* SPDX-License-Identifier: MIT */

/* What `with` enters: subtests, which are counted, and other steps of the log, which are not. */

#include "base/text.h"
#include "script/api.h"
#include "script/py-chain.h"
#include "script/py-text.h"
#include "script/py-threads.h"

#include <string.h>

#define NAME_MAX_BYTES 1024u

typedef struct {
    PyObject_HEAD char *name;
    SpMachine *machine; /* or NULL */
    bool is_subtest;
    gint64 begin;
    guint depth; /* of the log's steps at its beginning */
} Step;

static PyObject *make_step(SpPyState *state, SpMachine *machine, const char *name, bool is_subtest)
{
    Step *step = (Step *)state->step_type->tp_alloc(state->step_type, 0);

    if (!step)
        return NULL;
    step->name = sp_text_excerpt(name, strlen(name), NAME_MAX_BYTES);
    step->machine = machine;
    step->is_subtest = is_subtest;
    return (PyObject *)step;
}

PyObject *sp_py_script_subtest(SpPyState *state, const char *name)
{
    return make_step(state, NULL, name, true);
}

PyObject *sp_py_log_subtest(PyObject *self, const char *name)
{
    return make_step(sp_py_state(self), NULL, name, true);
}

PyObject *sp_py_log_nested(PyObject *self, const char *message)
{
    return make_step(sp_py_state(self), NULL, message, false);
}

PyObject *sp_py_machine_nested(SpPyMachine *self, const char *msg)
{
    return make_step(sp_py_state((PyObject *)self), self->machine, msg, false);
}

static void free_step(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    g_free(((Step *)self)->name);
    type->tp_free(self);
    Py_DECREF(type);
}

static void begin_step(Step *self)
{
    SpLog *log = sp_py_state((PyObject *)self)->config->log;

    self->begin = g_get_monotonic_time();
    self->depth = sp_log_depth(log);
    sp_log_begin(log, self->machine ? sp_machine_name(self->machine) : NULL,
        self->is_subtest ? "subtest" : "nested", "%s%s", self->is_subtest ? "subtest: " : "",
        self->name);
}

static PyObject *enter_step(Step *self, PyObject *unused)
{
    begin_step(self);
    Py_RETURN_NONE;
}

/* An exception, or one that it led to, can leave several subtests; the first one that it leaves is
 * the innermost. */
static void remember_failure(SpPyState *state, const char *name, PyObject *value)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);
    g_autoptr(GArray) chain = sp_py_chain(value, seen);

    if (chain->len > 0 && !g_hash_table_contains(seen, state->failed_exception)) {
        g_free(state->failed_subtest);
        state->failed_subtest = g_strdup(name);
    }
    Py_XSETREF(state->failed_exception, Py_NewRef(value));
}

/* @value is the exception that leaves the step, or NULL. */
static void end_step(Step *self, PyObject *value)
{
    SpPyState *state = sp_py_state((PyObject *)self);
    const SpScriptConfig *config = state->config;
    SpSubtest subtest = {.name = self->name, .passed = !value};

    subtest.seconds = (double)(g_get_monotonic_time() - self->begin) / G_TIME_SPAN_SECOND;
    while (sp_log_depth(config->log) > self->depth)
        sp_log_end(config->log, subtest.passed ? NULL : "failed");
    if (!self->is_subtest)
        return;
    if (!subtest.passed)
        remember_failure(state, self->name, value);
    if (config->subtest_func)
        config->subtest_func(&subtest, config->subtest_data);
}

static PyObject *leave_step(Step *self, PyObject *args)
{
    PyObject *type, *value, *trace;

    if (!PyArg_ParseTuple(args, "OOO:__exit__", &type, &value, &trace))
        return NULL;
    end_step(self, value == Py_None ? NULL : value);
    Py_RETURN_FALSE;
}

/* Call a decorated function, as a step of its own. The function is the first argument. */
static PyObject *run_decorated(Step *self, PyObject *args, PyObject *kwargs)
{
    SpPyState *state = sp_py_state((PyObject *)self);
    PyObject *function = PyTuple_GetItem(args, 0); /* borrowed */
    PyObject *rest = function ? PyTuple_GetSlice(args, 1, PyTuple_GET_SIZE(args)) : NULL;
    PyObject *step = rest ? make_step(state, self->machine, self->name, self->is_subtest) : NULL;
    PyObject *type, *value, *trace, *result = NULL;
    guint depth;

    if (step) {
        begin_step((Step *)step);
        depth = sp_py_suspend();
        result = PyObject_Call(function, rest, kwargs);
        sp_py_resume(depth);
        PyErr_Fetch(&type, &value, &trace);
        PyErr_NormalizeException(&type, &value, &trace);
        end_step((Step *)step, value);
        PyErr_Restore(type, value, trace);
    }
    Py_XDECREF(step);
    Py_XDECREF(rest);
    return result;
}

/* As a decorator: returns a function that is a step whenever it is called. */
static PyObject *decorate_function(PyObject *self, PyObject *args, PyObject *kwargs)
{
    PyObject *function, *functools, *runner, *partial = NULL, *result = NULL;
    char *keywords[] = {"", NULL};

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:subtest", keywords, &function))
        return NULL;
    if (!PyCallable_Check(function))
        return PyErr_Format(PyExc_TypeError,
            "a step decorates a function, or is entered by 'with': not %R", function);
    functools = PyImport_ImportModule("functools");
    runner = functools ? PyObject_GetAttrString(self, "_run") : NULL;
    if (runner)
        partial = PyObject_CallMethod(functools, "partial", "OO", runner, function);
    if (partial)
        result = PyObject_CallMethod(functools, "update_wrapper", "OO", partial, function);
    Py_XDECREF(partial);
    Py_XDECREF(runner);
    Py_XDECREF(functools);
    return result;
}

SP_PY_HELD_PLAIN(enter_step)
SP_PY_HELD_PLAIN(leave_step)
SP_PY_HELD(run_decorated)

static PyMethodDef methods[] = {
    {"__enter__", held_enter_step, METH_NOARGS, NULL},
    {"__exit__", held_leave_step, METH_VARARGS, NULL},
    {"_run", (PyCFunction)(void (*)(void))held_run_decorated, METH_VARARGS | METH_KEYWORDS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_dealloc, free_step},
    {Py_tp_call, decorate_function},
    {Py_tp_methods, methods},
    {0, NULL},
};

PyType_Spec sp_py_step_spec = {
    .name = "slotproof.Step",
    .basicsize = sizeof(Step),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};
