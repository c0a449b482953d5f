/* SPDX-License-Identifier: MIT */

/* create_machine(): machines that are not in test.conf. */

#include "script/api.h"
#include "script/py-call.h"

#include <string.h>

static bool to_networks(PyObject *value, GArray *networks)
{
    PyObject *list = PySequence_Fast(value, "networks: expected a list of numbers");

    for (Py_ssize_t i = 0; list && i < PySequence_Fast_GET_SIZE(list); i++) {
        long number = PyLong_AsLong(PySequence_Fast_GET_ITEM(list, i));
        guint network = (guint)number;

        if (!PyErr_Occurred() && (number < 0 || number > G_MAXUINT16))
            PyErr_Format(PyExc_ValueError, "there is no network %ld", number);
        if (PyErr_Occurred())
            Py_CLEAR(list);
        else
            g_array_append_val(networks, network);
    }
    Py_XDECREF(list);
    return list != NULL;
}

/* False with an exception if no machine can have @name. */
static bool check_name(SpPyState *state, const char *name)
{
    const char *fault = sp_script_name_fault(name);

    if (fault) {
        PyErr_Format(PyExc_ValueError, "a machine can't be named '%s': expected %s", name, fault);
        return false;
    }
    for (guint i = 0; i < state->machines->len; i++) {
        const char *other = sp_machine_name(g_ptr_array_index(state->machines, i));
        if (!sp_script_is_same_name(other, name))
            continue;
        PyErr_Format(PyExc_ValueError, "there is a machine '%s' already", other);
        return false;
    }
    return true;
}

static PyObject *create_wanted(SpPyState *state, const SpScriptMachine *wanted)
{
    const SpScriptConfig *config = state->config;
    GError *error = NULL;
    SpMachine *machine;
    PyObject *object;

    if (!config->create_func)
        return PyErr_Format(state->machine_error, "machines can't be made here");
    machine = config->create_func(wanted, config->create_data, &error);
    if (!machine)
        return sp_py_raise(state, error);
    g_ptr_array_add(state->machines, machine);
    object = sp_py_machine_new(state, machine);
    if (object && state->machine_list && PyList_Append(state->machine_list, object) < 0)
        Py_CLEAR(object);
    return object;
}

bool sp_py_check_create(PyObject *args, PyObject *kwargs)
{
    PyObject *kept = kwargs ? PyDict_GetItemString(kwargs, "keep_machine_state") : NULL;
    PyObject *first = PyTuple_GET_SIZE(args) > 0 ? PyTuple_GET_ITEM(args, 0) : NULL;
    const char *text = first && PyUnicode_Check(first) ? PyUnicode_AsUTF8(first) : NULL;
    bool has_command = kwargs && (PyDict_GetItemString(kwargs, "start_command") ||
                                     (first && PyDict_GetItemString(kwargs, "name")));

    if (!text)
        PyErr_Clear();
    if (has_command || (text && strchr(text, '/'))) {
        PyErr_SetString(PyExc_NotImplementedError,
            "create_machine() runs no start_command: give it a name, and image= if it is not to "
            "be the first machine's");
        return false;
    }
    if (kept && PyObject_IsTrue(kept) == 1) {
        PyErr_SetString(PyExc_NotImplementedError,
            "create_machine() keeps no machine's state beyond the test: leave keep_machine_state "
            "out");
        return false;
    }
    return !PyErr_Occurred();
}

/* @value, a positive number; None or NULL is 0. False with an exception. */
static bool to_number(PyObject *value, guint *ret_number)
{
    *ret_number = value && value != Py_None ? (guint)PyLong_AsUnsignedLong(value) : 0;
    return !PyErr_Occurred();
}

PyObject *sp_py_script_create_machine(SpPyState *state, const char *name, const char *image,
    PyObject *networks, PyObject *memory, PyObject *cpus, const char *disk, bool keep_machine_state)
{
    g_autoptr(GArray) numbers = g_array_new(FALSE, FALSE, sizeof(guint));
    SpScriptMachine wanted = {.name = name, .image = image, .disk = disk};

    if (!check_name(state, name) || (networks && !to_networks(networks, numbers)) ||
        !to_number(memory, &wanted.memory_mib) || !to_number(cpus, &wanted.cpus))
        return NULL;
    wanted.networks = (const guint *)(const void *)numbers->data;
    wanted.nics = numbers->len;
    return create_wanted(state, &wanted);
}
