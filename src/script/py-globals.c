/* SPDX-License-Identifier: MIT */

/* The globals of a script, and the functions among them. */

#include "base/error.h"
#include "script/py-network.h"
#include "script/py-nixos.h"
#include "script/py-polling.h"
#include "script/py-prompt.h"
#include "script/py-threads.h"

typedef bool (*ChangeFunc)(SpMachine *machine, GError **error);

/* Change one of all machines; false with an exception, and the step of the log ended. */
static bool change_claimed(SpPyState *state, SpMachine *machine, ChangeFunc func)
{
    GError *error = NULL;
    bool is_good;

    if (!sp_py_claim(state, machine)) {
        sp_log_end(state->config->log, "a machine is in use");
        return false;
    }
    is_good = func(machine, &error);
    sp_py_unclaim(state, machine);
    if (is_good)
        return true;
    sp_log_end(state->config->log, error->message);
    sp_py_raise(state, error);
    return false;
}

static bool start_one(SpMachine *machine, GError **error)
{
    return sp_machine_start(machine, false, error);
}

static bool join_one(SpMachine *machine, GError **error)
{
    return sp_machine_wait_for_shutdown(machine, SP_NO_TIMEOUT, error);
}

static PyObject *start_all(PyObject *module, PyObject *unused)
{
    SpPyState *state = sp_py_module_state(module);

    sp_log_begin(state->config->log, NULL, "boot", "start all machines");
    for (guint i = 0; i < state->machines->len; i++) {
        if (!change_claimed(state, g_ptr_array_index(state->machines, i), start_one))
            return NULL;
    }
    sp_log_end(state->config->log, NULL);
    Py_RETURN_NONE;
}

static PyObject *join_all(PyObject *module, PyObject *unused)
{
    SpPyState *state = sp_py_module_state(module);

    sp_log_begin(state->config->log, NULL, "boot", "wait for the end of all machines");
    for (guint i = 0; i < state->machines->len; i++) {
        if (!change_claimed(state, g_ptr_array_index(state->machines, i), join_one))
            return NULL;
    }
    sp_log_end(state->config->log, NULL);
    Py_RETURN_NONE;
}

static PyObject *show_consoles(PyObject *module, bool are_shown)
{
    sp_log_show_consoles(sp_py_module_state(module)->config->log, are_shown);
    Py_RETURN_NONE;
}

static PyObject *serial_stdout_on(PyObject *module, PyObject *unused)
{
    return show_consoles(module, true);
}

static PyObject *serial_stdout_off(PyObject *module, PyObject *unused)
{
    return show_consoles(module, false);
}

double sp_py_time_factor(SpPyState *state)
{
    return state->machines->len > 0 ? sp_machine_time_factor(g_ptr_array_index(state->machines, 0))
                                    : 1;
}

/* 1: @func returned something true, 0: false, -1 with an exception. */
static int call_once(PyObject *func, bool is_last)
{
    guint depth = sp_py_suspend();
    PyObject *result = PyObject_CallOneArg(func, is_last ? Py_True : Py_False);
    int is_true = result ? PyObject_IsTrue(result) : -1;

    sp_py_resume(depth);
    Py_XDECREF(result);
    return is_true;
}

static PyObject *retry(PyObject *module, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"fn", "timeout", "timeout_seconds", NULL};
    SpPyState *state = sp_py_module_state(module);
    PyObject *func, *timeout = NULL, *older_name = NULL;
    gint64 timeout_ms, deadline;
    SpPyPause pause = {0};
    int is_true = 0;

    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "O|O$O:retry", keywords, &func, &timeout, &older_name))
        return NULL;
    if (timeout && older_name)
        return PyErr_Format(PyExc_TypeError, "retry() takes timeout or timeout_seconds, not both");
    if (!sp_py_timeout(timeout ? timeout : older_name, sp_py_time_factor(state), &timeout_ms))
        return NULL;
    deadline = sp_deadline(timeout_ms);
    while (is_true == 0 && g_get_monotonic_time() < deadline) {
        is_true = call_once(func, false);
        if (is_true == 0 && !sp_py_pause_longer(state, &pause))
            return NULL;
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

SP_PY_HELD_PLAIN(start_all)
SP_PY_HELD_PLAIN(join_all)
SP_PY_HELD(retry)
SP_PY_HELD(sp_py_create_machine)
SP_PY_HELD_PLAIN(sp_py_test_script)
SP_PY_HELD(sp_py_breakpoint)
SP_PY_HELD_PLAIN(serial_stdout_on)
SP_PY_HELD_PLAIN(serial_stdout_off)

/* Makes a method of a function with arguments by name. */
#define WITH_KEYWORDS(function)                                                                    \
    (PyCFunction)(void (*)(void))(function), METH_VARARGS | METH_KEYWORDS

PyMethodDef sp_py_functions[] = {
    {"start_all", held_start_all, METH_NOARGS,
        PyDoc_STR("start_all()\n--\n\nSwitch all machines on.")},
    {"join_all", held_join_all, METH_NOARGS,
        PyDoc_STR("join_all()\n--\n\nWait until all machines have gone off by themselves.")},
    {"create_machine", WITH_KEYWORDS(held_sp_py_create_machine),
        PyDoc_STR(
            "create_machine(name, *, image=None, networks=(), memory=None, cpus=None, "
            "disk=None, keep_machine_state=False)\n--\n\n"
            "A further Machine, which is off: of the image of that name, or of the first "
            "machine's, and on networks by the numbers in test.conf. memory is in MiB, disk a "
            "raw file in place of the image's, never written to. No state is kept beyond the "
            "test, and there is no start_command.")},
    {"retry", WITH_KEYWORDS(held_retry),
        PyDoc_STR("retry(fn, timeout=900)\n--\n\nCall fn(last_try) again and again until "
                  "it returns something true; last_try is True at its last call. timeout may also "
                  "be named "
                  "timeout_seconds.")},
    {"subtest", WITH_KEYWORDS(sp_py_subtest_new),
        PyDoc_STR("subtest(name, attributes={})\n--\n\nA context manager, or a decorator: a part "
                  "of the test, counted by "
                  "itself.")},
    {"polling_condition", WITH_KEYWORDS(sp_py_polling_condition),
        PyDoc_STR("polling_condition(fun_=None, seconds_interval=2.0, description=None)\n--\n\n"
                  "Decorate a function that fails, or returns something false, where a condition "
                  "does not hold. `with` it, the condition must hold all along: it is asked before "
                  "each command and during waits. Its wait() waits until it does.")},
    {"test_script", held_sp_py_test_script, METH_NOARGS,
        PyDoc_STR("test_script()\n--\n\nRun the test's script, as it is now, with the names of the "
                  "prompt.")},
    {"run_tests", held_sp_py_test_script, METH_NOARGS,
        PyDoc_STR("run_tests()\n--\n\nThe same as test_script().")},
    {"breakpoint", WITH_KEYWORDS(held_sp_py_breakpoint),
        PyDoc_STR("breakpoint()\n--\n\nA prompt at this place of the script, where the user has a "
                  "terminal.")},
    {"serial_stdout_on", held_serial_stdout_on, METH_NOARGS,
        PyDoc_STR("serial_stdout_on()\n--\n\nShow what comes on the consoles, where the log is "
                  "shown.")},
    {"serial_stdout_off", held_serial_stdout_off, METH_NOARGS,
        PyDoc_STR("serial_stdout_off()\n--\n\nKeep it to the log files.")},
    {NULL, NULL, 0, NULL},
};

PyObject *sp_py_machine_new(SpPyState *state, SpMachine *machine)
{
    SpPyMachine *object = (SpPyMachine *)state->machine_type->tp_alloc(state->machine_type, 0);

    if (object)
        object->machine = machine;
    return (PyObject *)object;
}

/* unittest's assertions; what does not hold raises what all of slotproof's do. */
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
    guint n = state->machines->len;
    PyObject *list = PyList_New(0);
    bool is_good = add(globals, "machines", list) &&
                   PyDict_SetItemString(globals, "machines_qemu", list) >= 0 &&
                   add(globals, "machines_nspawn", PyList_New(0));

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

    for (PyMethodDef *function = sp_py_functions; function->ml_name && is_good; function++) {
        /* Python's own of this name stays */
        if (!g_str_equal(function->ml_name, "breakpoint"))
            is_good =
                add(globals, function->ml_name, PyObject_GetAttrString(module, function->ml_name));
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

/* `networks`, and each by its name in NixOS' driver. */
static bool add_networks(PyObject *globals, SpPyState *state)
{
    PyObject *networks = sp_py_networks_new(state);

    return add(globals, "networks", networks) && sp_py_nixos_add_networks(globals, networks);
}

/* What NixOS' driver has as an object. */
static bool add_driver(PyObject *globals, SpPyState *state)
{
    PyObject *driver = make_driver(globals);
    bool is_good = add(globals, "driver", driver) && PyObject_SetAttrString(driver, "logger",
                                                         PyDict_GetItemString(globals, "log")) >= 0;

    if (is_good && state->machines->len > 0) {
        const char *path = sp_machine_out_dir(g_ptr_array_index(state->machines, 0));
        PyObject *out_dir = path ? sp_py_path_new(path) : Py_NewRef(Py_None);
        is_good = out_dir && PyObject_SetAttrString(driver, "out_dir", out_dir) >= 0;
        Py_XDECREF(out_dir);
    }
    return is_good && add(globals, "Driver", Py_NewRef((PyObject *)Py_TYPE(driver)));
}

static bool fill(PyObject *globals, PyObject *module)
{
    SpPyState *state = sp_py_module_state(module);

    return add_machines(globals, state) && add_functions(globals, module) &&
           add_networks(globals, state) && add(globals, "log", make_plain(state->log_type)) &&
           add_driver(globals, state) && add(globals, "t", make_test_case(state)) &&
           add(globals, "debug", sp_py_debug_new(module)) &&
           add(globals, "os", PyImport_ImportModule("os")) &&
           add(globals, "__name__", PyUnicode_FromString("__main__")) &&
           add(globals, "__file__", PyUnicode_DecodeFSDefault(state->config->path)) &&
           PyDict_SetItemString(globals, "__builtins__", PyEval_GetBuiltins()) >= 0 &&
           sp_py_nixos_add_modules(globals, module) &&
           (state->config->prompt == SP_PROMPT_ONLY || redirect_streams(state));
}

PyObject *sp_py_globals_new(PyObject *module)
{
    PyObject *globals = PyDict_New();

    if (globals && !fill(globals, module))
        Py_CLEAR(globals);
    return globals;
}
