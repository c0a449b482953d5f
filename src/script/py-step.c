/* SPDX-License-Identifier: MIT */

/* What `with` enters: subtests, which are counted, and steps of the log, which are not. */

#include "script/py-machine.h"
#include "script/py-threads.h"

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
    char *keywords[] = {"name", NULL};
    const char *name;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s:subtest", keywords, &name))
        return NULL;
    return make_step(sp_py_module_state(module), NULL, name, true);
}

PyObject *sp_py_nested_new(SpPyState *state, SpMachine *machine, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"msg", "attrs", NULL};
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

static PyObject *enter(Step *self, PyObject *unused)
{
    SpLog *log = sp_py_state((PyObject *)self)->config->log;

    self->begin = g_get_monotonic_time();
    self->depth = sp_log_depth(log);
    sp_log_begin(log, self->machine ? sp_machine_name(self->machine) : NULL,
        self->is_subtest ? "subtest" : "nested", "%s%s", self->is_subtest ? "subtest: " : "",
        self->name);
    Py_RETURN_NONE;
}

static PyObject *leave(Step *self, PyObject *args)
{
    SpPyState *state = sp_py_state((PyObject *)self);
    const SpScriptConfig *config = state->config;
    SpSubtest subtest = {.name = self->name};
    PyObject *type, *value, *trace;

    if (!PyArg_ParseTuple(args, "OOO:__exit__", &type, &value, &trace))
        return NULL;
    subtest.passed = type == Py_None;
    subtest.seconds = (double)(g_get_monotonic_time() - self->begin) / G_TIME_SPAN_SECOND;
    while (sp_log_depth(config->log) > self->depth)
        sp_log_end(config->log, subtest.passed ? NULL : "failed");
    if (!self->is_subtest)
        Py_RETURN_FALSE;
    if (!subtest.passed && !state->failed_subtest)
        state->failed_subtest = g_strdup(self->name);
    if (config->subtest_func)
        config->subtest_func(&subtest, config->subtest_data);
    Py_RETURN_FALSE;
}

SP_PY_HELD_PLAIN(enter)
SP_PY_HELD_PLAIN(leave)

static PyMethodDef methods[] = {
    {"__enter__", held_enter, METH_NOARGS, NULL},
    {"__exit__", held_leave, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_dealloc, dealloc},
    {Py_tp_methods, methods},
    {0, NULL},
};

PyType_Spec sp_py_step_spec = {
    .name = "slotproof.Step",
    .basicsize = sizeof(Step),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};
