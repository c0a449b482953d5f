/* SPDX-License-Identifier: MIT */

/* What `with` enters: subtests, which are counted, and steps of the log, which are not. */

#include "script/py-machine.h"

typedef struct {
    PyObject_HEAD char *name;
    SpMachine *machine; /* or NULL */
    bool is_subtest;
    gint64 begin;
    guint depth; /* of the log's steps when it began */
} Step;

static PyObject *make_step(SpPyState *state, SpMachine *machine, const char *name, bool is_subtest)
{
    Step *step = (Step *)state->step_type->tp_alloc(state->step_type, 0);

    if (!step)
        return NULL;
    step->name = g_strdup(name);
    step->machine = machine;
    step->is_subtest = is_subtest;
    return (PyObject *)step;
}

PyObject *sp_py_subtest_new(PyObject *module, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"name", "attributes", NULL};
    PyObject *attributes; /* for reports of NixOS' */
    const char *name;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s|O:subtest", keywords, &name, &attributes))
        return NULL;
    return make_step(sp_py_module_state(module), NULL, name, true);
}

PyObject *sp_py_nested_new(SpPyState *state, SpMachine *machine, PyObject *args, PyObject *kwargs)
{
    char *of_machine[] = {"msg", "attrs", NULL}, *of_log[] = {"message", "attributes", NULL};
    char **keywords = machine ? of_machine : of_log;
    PyObject *attributes; /* for reports of NixOS' */
    const char *message;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s|O:nested", keywords, &message, &attributes))
        return NULL;
    return make_step(state, machine, message, false);
}

static void dealloc(PyObject *self)
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

static PyObject *enter(Step *self, PyObject *unused)
{
    begin_step(self);
    Py_RETURN_NONE;
}

static void end_step(Step *self, bool passed)
{
    SpPyState *state = sp_py_state((PyObject *)self);
    const SpScriptConfig *config = state->config;
    SpSubtest subtest = {.name = self->name, .passed = passed};

    subtest.seconds = (double)(g_get_monotonic_time() - self->begin) / G_TIME_SPAN_SECOND;
    while (sp_log_depth(config->log) > self->depth)
        sp_log_end(config->log, subtest.passed ? NULL : "failed");
    if (!self->is_subtest)
        return;
    if (!subtest.passed && !state->failed_subtest)
        state->failed_subtest = g_strdup(self->name);
    if (config->subtest_func)
        config->subtest_func(&subtest, config->subtest_data);
}

static PyObject *leave(Step *self, PyObject *args)
{
    PyObject *type, *value, *trace;

    if (!PyArg_ParseTuple(args, "OOO:__exit__", &type, &value, &trace))
        return NULL;
    end_step(self, type == Py_None);
    Py_RETURN_FALSE;
}

/* A call of a function that is decorated with it: a step of its own. The function is the first
 * argument. */
static PyObject *run(Step *self, PyObject *args, PyObject *kwargs)
{
    SpPyState *state = sp_py_state((PyObject *)self);
    PyObject *function = PyTuple_GetItem(args, 0); /* borrowed */
    PyObject *rest = function ? PyTuple_GetSlice(args, 1, PyTuple_GET_SIZE(args)) : NULL;
    PyObject *step = rest ? make_step(state, self->machine, self->name, self->is_subtest) : NULL;
    PyObject *result = NULL;

    if (step) {
        begin_step((Step *)step);
        result = PyObject_Call(function, rest, kwargs);
        end_step((Step *)step, result != NULL);
    }
    Py_XDECREF(step);
    Py_XDECREF(rest);
    return result;
}

/* As a decorator: the function, which is a step whenever it is called. */
static PyObject *decorate(PyObject *self, PyObject *args, PyObject *kwargs)
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

static PyMethodDef methods[] = {
    {"__enter__", (PyCFunction)(void (*)(void))enter, METH_NOARGS, NULL},
    {"__exit__", (PyCFunction)(void (*)(void))leave, METH_VARARGS, NULL},
    {"_run", (PyCFunction)(void (*)(void))run, METH_VARARGS | METH_KEYWORDS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_dealloc, dealloc},
    {Py_tp_call, decorate},
    {Py_tp_methods, methods},
    {0, NULL},
};

PyType_Spec sp_py_step_spec = {
    .name = "slotproof.Step",
    .basicsize = sizeof(Step),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};
