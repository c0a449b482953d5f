/* SPDX-License-Identifier: MIT */

/* The globals of a script, and the functions among them. */

#include "base/error.h"
#include "script/py-network.h"

#define PAUSE_FIRST_MS 20
#define PAUSE_MAX_MS 250

static PyObject *start_all(PyObject *module, PyObject *unused)
{
    SpPyState *state = sp_py_module_state(module);

    if (!sp_py_is_main_thread())
        return NULL;
    sp_log_begin(state->config->log, NULL, "boot", "start all machines");
    for (gsize i = 0; i < state->config->n_machines; i++) {
        GError *error = NULL;
        if (sp_machine_start(state->config->machines[i], false, &error))
            continue;
        sp_log_end(state->config->log, error->message);
        return sp_py_raise(state, error);
    }
    sp_log_end(state->config->log, NULL);
    Py_RETURN_NONE;
}

/* 1: @func returned something true, 0: false, -1 with an exception. */
static int call_once(PyObject *func, bool is_last)
{
    PyObject *result = PyObject_CallOneArg(func, is_last ? Py_True : Py_False);
    int is_true = result ? PyObject_IsTrue(result) : -1;

    Py_XDECREF(result);
    return is_true;
}

static PyObject *retry(PyObject *module, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"fn", "timeout_seconds", NULL};
    SpPyState *state = sp_py_module_state(module);
    PyObject *func, *timeout = NULL;
    gint64 timeout_ms, deadline, pause_ms = PAUSE_FIRST_MS;
    double factor =
        state->config->n_machines > 0 ? sp_machine_time_factor(state->config->machines[0]) : 1;
    int is_true = 0;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:retry", keywords, &func, &timeout) ||
        !sp_py_timeout(timeout, factor, &timeout_ms) || !sp_py_is_main_thread())
        return NULL;
    deadline = sp_deadline(timeout_ms);
    while (is_true == 0 && g_get_monotonic_time() < deadline) {
        is_true = call_once(func, false);
        if (is_true == 0 && !sp_py_pause(state, pause_ms))
            return NULL;
        pause_ms = MIN(2 * pause_ms, PAUSE_MAX_MS);
    }
    if (is_true == 0)
        is_true = call_once(func, true);
    if (is_true < 0)
        return NULL;
    if (is_true == 1)
        Py_RETURN_NONE;
    return PyErr_Format(state->assertion_failed, "retry(): %R was not true in %d s", func,
        (int)(timeout_ms / 1000));
}

static PyObject *make_subtest(PyObject *module, PyObject *args, PyObject *kwargs);

PyMethodDef sp_py_functions[] = {
    {"start_all", start_all, METH_NOARGS, PyDoc_STR("start_all()\n--\n\nSwitch all machines on.")},
    {"retry", (PyCFunction)(void (*)(void))retry, METH_VARARGS | METH_KEYWORDS,
        PyDoc_STR("retry(fn, timeout_seconds=900)\n--\n\nCall fn(last_try) again and again until "
                  "it returns something true; last_try is True at its last call.")},
    {"subtest", (PyCFunction)(void (*)(void))make_subtest, METH_VARARGS | METH_KEYWORDS,
        PyDoc_STR("subtest(name)\n--\n\nA context manager: a part of the test, counted by "
                  "itself.")},
    {NULL, NULL, 0, NULL},
};

/* A subtest: what `with subtest(name):` enters. */
typedef struct {
    PyObject_HEAD char *name;
    gint64 begin;
    guint depth; /* of the log's steps when it began */
} Subtest;

static PyObject *make_subtest(PyObject *module, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"name", NULL};
    PyTypeObject *type = sp_py_module_state(module)->subtest_type;
    const char *name;
    Subtest *subtest;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s:subtest", keywords, &name))
        return NULL;
    subtest = (Subtest *)type->tp_alloc(type, 0);
    if (subtest)
        subtest->name = g_strdup(name);
    return (PyObject *)subtest;
}

static void subtest_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    g_free(((Subtest *)self)->name);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *subtest_enter(Subtest *self, PyObject *unused)
{
    SpLog *log = sp_py_state((PyObject *)self)->config->log;

    self->begin = g_get_monotonic_time();
    self->depth = sp_log_depth(log);
    sp_log_begin(log, NULL, "subtest", "subtest: %s", self->name);
    Py_RETURN_NONE;
}

static PyObject *subtest_exit(Subtest *self, PyObject *args)
{
    SpPyState *state = sp_py_state((PyObject *)self);
    const SpScriptConfig *config = state->config;
    SpSubtest subtest = {.name = self->name};
    PyObject *type, *value, *trace;

    if (!PyArg_ParseTuple(args, "OOO:__exit__", &type, &value, &trace))
        return NULL;
    subtest.passed = type == Py_None;
    subtest.seconds = (double)(g_get_monotonic_time() - self->begin) / G_TIME_SPAN_SECOND;
    if (!subtest.passed && !state->failed_subtest)
        state->failed_subtest = g_strdup(self->name);
    while (sp_log_depth(config->log) > self->depth)
        sp_log_end(config->log, subtest.passed ? NULL : "failed");
    if (config->subtest_func)
        config->subtest_func(&subtest, config->subtest_data);
    Py_RETURN_FALSE;
}

static PyMethodDef subtest_methods[] = {
    {"__enter__", (PyCFunction)(void (*)(void))subtest_enter, METH_NOARGS, NULL},
    {"__exit__", (PyCFunction)(void (*)(void))subtest_exit, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot subtest_slots[] = {
    {Py_tp_dealloc, subtest_dealloc},
    {Py_tp_methods, subtest_methods},
    {0, NULL},
};

PyType_Spec sp_py_subtest_spec = {
    .name = "slotproof.Subtest",
    .basicsize = sizeof(Subtest),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = subtest_slots,
};

static PyObject *make_machine(SpPyState *state, SpMachine *machine)
{
    SpPyMachine *object = (SpPyMachine *)state->machine_type->tp_alloc(state->machine_type, 0);

    if (object)
        object->machine = machine;
    return (PyObject *)object;
}

static PyObject *make_test_case(void)
{
    PyObject *module = PyImport_ImportModule("unittest");
    PyObject *test = module ? PyObject_CallMethod(module, "TestCase", NULL) : NULL;

    if (test && PyObject_SetAttrString(test, "maxDiff", Py_None) < 0)
        Py_CLEAR(test);
    Py_XDECREF(module);
    return test;
}

/* An object with @globals' entries as attributes: what a script calls `driver`. */
static PyObject *make_driver(PyObject *globals)
{
    PyObject *module = PyImport_ImportModule("types");
    PyObject *type = module ? PyObject_GetAttrString(module, "SimpleNamespace") : NULL;
    PyObject *none = type ? PyTuple_New(0) : NULL;
    PyObject *driver = none ? PyObject_Call(type, none, globals) : NULL;

    Py_XDECREF(none);
    Py_XDECREF(type);
    Py_XDECREF(module);
    return driver;
}

static PyObject *make_plain(PyTypeObject *type)
{
    return type->tp_alloc(type, 0);
}

/* Add @value, which is taken and may be NULL with an exception. */
static bool add(PyObject *globals, const char *name, PyObject *value)
{
    int added = value ? PyDict_SetItemString(globals, name, value) : -1;

    Py_XDECREF(value);
    return added >= 0;
}

static bool add_machines(PyObject *globals, SpPyState *state)
{
    gsize n = state->config->n_machines;
    PyObject *list = PyList_New(0);
    bool is_good = add(globals, "machines", list);

    for (gsize i = 0; i < n && is_good; i++) {
        SpMachine *machine = state->config->machines[i];
        PyObject *object = make_machine(state, machine);
        is_good = object && PyList_Append(list, object) >= 0 &&
                  PyDict_SetItemString(globals, sp_machine_name(machine), object) >= 0 &&
                  (n > 1 || PyDict_SetItemString(globals, "machine", object) >= 0);
        Py_XDECREF(object);
    }
    return is_good;
}

static bool add_functions(PyObject *globals, PyObject *module)
{
    const char *const names[] = {"start_all", "retry", "subtest", "Machine"};

    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        if (!add(globals, names[i], PyObject_GetAttrString(module, names[i])))
            return false;
    }
    return true;
}

/* Where scripts for NixOS' driver import its exceptions from. */
static bool add_aliases(PyObject *module)
{
    const char *const names[] = {"RequestedAssertionFailed", "MachineError"};
    PyObject *errors =
        PyImport_AddModule("test_driver") ? PyImport_AddModule("test_driver.errors") : NULL;

    for (gsize i = 0; i < G_N_ELEMENTS(names) && errors; i++) {
        PyObject *type = PyObject_GetAttrString(module, names[i]);
        int added = type ? PyObject_SetAttrString(errors, names[i], type) : -1;
        Py_XDECREF(type);
        if (added < 0)
            return false;
    }
    return errors != NULL;
}

/* What a script prints goes to the log. */
static bool redirect_streams(SpPyState *state)
{
    const char *const names[] = {"stdout", "stderr"};

    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        PyObject *stream = make_plain(state->stream_type);
        int set = stream ? PySys_SetObject(names[i], stream) : -1;
        Py_XDECREF(stream);
        if (set < 0)
            return false;
    }
    return true;
}

static bool fill(PyObject *globals, PyObject *module)
{
    SpPyState *state = sp_py_module_state(module);

    return add_machines(globals, state) && add_functions(globals, module) &&
           add(globals, "networks", sp_py_networks_new(state)) &&
           add(globals, "log", make_plain(state->log_type)) &&
           add(globals, "driver", make_driver(globals)) && add(globals, "t", make_test_case()) &&
           add(globals, "__name__", PyUnicode_FromString("__main__")) &&
           add(globals, "__file__", PyUnicode_DecodeFSDefault(state->config->path)) &&
           PyDict_SetItemString(globals, "__builtins__", PyEval_GetBuiltins()) >= 0 &&
           add_aliases(module) && redirect_streams(state);
}

PyObject *sp_py_globals_new(PyObject *module)
{
    PyObject *globals = PyDict_New();

    if (globals && !fill(globals, module))
        Py_CLEAR(globals);
    return globals;
}
