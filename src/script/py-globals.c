/* SPDX-License-Identifier: MIT */

/* The globals of a script, and the functions among them. */

#include "base/error.h"
#include "script/api.h"
#include "script/py-call.h"
#include "script/py-nixos.h"
#include "script/py-polling.h"
#include "script/py-prompt.h"

typedef bool (*ChangeFunc)(SpMachine *machine, GError **error);

/* Call @func for each machine. Returns None, or NULL with an exception. */
static PyObject *change_all(SpPyState *state, ChangeFunc func)
{
    for (guint i = 0; i < state->machines->len; i++) {
        SpMachine *machine = g_ptr_array_index(state->machines, i);
        GError *error = NULL;
        bool is_good;

        if (!sp_py_claim(state, machine))
            return NULL;
        is_good = func(machine, &error);
        sp_py_unclaim(state, machine);
        if (!is_good)
            return sp_py_raise(state, error);
    }
    Py_RETURN_NONE;
}

static bool start_one(SpMachine *machine, GError **error)
{
    return sp_machine_start(machine, false, error);
}

static bool join_one(SpMachine *machine, GError **error)
{
    return sp_machine_wait_for_shutdown(machine, SP_NO_TIMEOUT, error);
}

PyObject *sp_py_script_start_all(SpPyState *state)
{
    return change_all(state, start_one);
}

PyObject *sp_py_script_join_all(SpPyState *state)
{
    return change_all(state, join_one);
}

PyObject *sp_py_script_serial_stdout_on(SpPyState *state)
{
    sp_log_show_consoles(state->config->log, true);
    Py_RETURN_NONE;
}

PyObject *sp_py_script_serial_stdout_off(SpPyState *state)
{
    sp_log_show_consoles(state->config->log, false);
    Py_RETURN_NONE;
}

double sp_py_time_factor(SpPyState *state)
{
    return state->machines->len > 0 ? sp_machine_time_factor(g_ptr_array_index(state->machines, 0))
                                    : 1;
}

/* 1 if @func returned something true, 0 if not, -1 with an exception. */
static int call_once(PyObject *func, bool is_last)
{
    guint depth = sp_py_suspend();
    PyObject *result = PyObject_CallOneArg(func, is_last ? Py_True : Py_False);
    int is_true = result ? PyObject_IsTrue(result) : -1;

    sp_py_resume(depth);
    Py_XDECREF(result);
    return is_true;
}

PyObject *sp_py_script_retry(SpPyState *state, PyObject *fn, gint64 timeout_ms)
{
    gint64 deadline = sp_deadline(timeout_ms);
    SpPyPause pause = {0};
    int is_true = 0;

    while (is_true == 0 && g_get_monotonic_time() < deadline) {
        is_true = call_once(fn, false);
        if (is_true == 0 && !sp_py_pause_longer(state, &pause))
            return NULL;
    }
    if (is_true == 0)
        is_true = call_once(fn, true);
    if (is_true < 0)
        return NULL;
    if (is_true == 1)
        Py_RETURN_NONE;
    return PyErr_Format(
        state->assertion_failed, "retry(): %R was not true in %d s", fn, (int)(timeout_ms / 1000));
}

/* unittest's assertions, which raise the same exception as slotproof's own. */
static PyObject *make_test_case(SpPyState *state)
{
    PyObject *module = PyImport_ImportModule("unittest");
    PyObject *test = module ? PyObject_CallMethod(module, "TestCase", NULL) : NULL;

    if (test && (PyObject_SetAttrString(test, "maxDiff", Py_None) < 0 ||
                    PyObject_SetAttrString(test, "failureException", state->assertion_failed) < 0))
        Py_CLEAR(test);
    Py_XDECREF(module);
    return test;
}

/* The script's `driver`: an object with the entries of @globals as attributes. */
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
static bool add_global(PyObject *globals, const char *name, PyObject *value)
{
    int added = value ? PyDict_SetItemString(globals, name, value) : -1;

    Py_XDECREF(value);
    return added >= 0;
}

static bool add_machine_globals(PyObject *globals, SpPyState *state)
{
    guint n = state->machines->len;
    PyObject *list = PyList_New(0);
    bool is_good = add_global(globals, "machines", list) &&
                   PyDict_SetItemString(globals, "machines_qemu", list) >= 0 &&
                   add_global(globals, "machines_nspawn", PyList_New(0));

    for (guint i = 0; i < n && is_good; i++) {
        SpMachine *machine = g_ptr_array_index(state->machines, i);
        g_autofree char *name = sp_script_python_name(sp_machine_name(machine));
        PyObject *object = sp_py_machine_new(state, machine);
        is_good = object && PyList_Append(list, object) >= 0 &&
                  PyDict_SetItemString(globals, name, object) >= 0 &&
                  (n > 1 || PyDict_SetItemString(globals, "machine", object) >= 0);
        Py_XDECREF(object);
    }
    state->machine_list = is_good ? Py_NewRef(list) : NULL;
    return is_good;
}

static bool add_functions(PyObject *globals, PyObject *module)
{
    bool is_good = sp_py_nixos_add_types(globals, module);

    for (PyMethodDef *function = sp_py_script_methods; function->ml_name && is_good; function++) {
        /* Python's own breakpoint() stays */
        if (!g_str_equal(function->ml_name, "breakpoint"))
            is_good = add_global(
                globals, function->ml_name, PyObject_GetAttrString(module, function->ml_name));
    }
    return is_good;
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

/* `networks`, and each network under its name in the NixOS test driver. */
static bool add_networks(PyObject *globals, SpPyState *state)
{
    PyObject *networks = sp_py_networks_new(state);

    return add_global(globals, "networks", networks) && sp_py_nixos_add_networks(globals, networks);
}

/* What the NixOS test driver has as an object. */
static bool add_driver_global(PyObject *globals, SpPyState *state)
{
    PyObject *driver = make_driver(globals);
    bool is_good =
        add_global(globals, "driver", driver) &&
        PyObject_SetAttrString(driver, "logger", PyDict_GetItemString(globals, "log")) >= 0;

    if (is_good && state->machines->len > 0) {
        const char *path = sp_machine_out_dir(g_ptr_array_index(state->machines, 0));
        PyObject *out_dir = path ? sp_py_path_new(path) : Py_NewRef(Py_None);
        is_good = out_dir && PyObject_SetAttrString(driver, "out_dir", out_dir) >= 0;
        Py_XDECREF(out_dir);
    }
    return is_good && add_global(globals, "Driver", Py_NewRef((PyObject *)Py_TYPE(driver)));
}

static bool fill_globals(PyObject *globals, PyObject *module)
{
    SpPyState *state = sp_py_module_state(module);

    return add_machine_globals(globals, state) && add_functions(globals, module) &&
           add_networks(globals, state) &&
           add_global(globals, "log", make_plain(state->log_type)) &&
           add_driver_global(globals, state) && add_global(globals, "t", make_test_case(state)) &&
           add_global(globals, "debug", sp_py_debug_new(module)) &&
           add_global(globals, "os", PyImport_ImportModule("os")) &&
           add_global(globals, "__name__", PyUnicode_FromString("__main__")) &&
           add_global(globals, "__file__", PyUnicode_DecodeFSDefault(state->config->path)) &&
           PyDict_SetItemString(globals, "__builtins__", PyEval_GetBuiltins()) >= 0 &&
           sp_py_nixos_add_modules(globals, module) &&
           (state->config->prompt == SP_PROMPT_ONLY || redirect_streams(state));
}

PyObject *sp_py_globals_new(PyObject *module)
{
    PyObject *globals = PyDict_New();

    if (globals && !fill_globals(globals, module))
        Py_CLEAR(globals);
    return globals;
}
