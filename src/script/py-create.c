/* SPDX-License-Identifier: MIT */

/* create_machine(): machines that test.conf does not have. */

#include "script/py-convert.h"

static bool to_networks(PyObject *value, GArray *networks)
{
    PyObject *list = PySequence_Fast(value, "networks: expected a list of numbers");

    for (Py_ssize_t i = 0; list && i < PySequence_Fast_GET_SIZE(list); i++) {
        long number = PyLong_AsLong(PySequence_Fast_GET_ITEM(list, i));
        guint network = (guint)number;

        if (PyErr_Occurred() || number < 0 || number > G_MAXUINT16) {
            if (!PyErr_Occurred())
                PyErr_Format(PyExc_ValueError, "there is no network %ld", number);
            Py_CLEAR(list);
            return false;
        }
        g_array_append_val(networks, network);
    }
    Py_XDECREF(list);
    return list != NULL;
}

/* False with an exception where no machine can have @name. */
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

static PyObject *create(SpPyState *state, const SpScriptMachine *wanted)
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

PyObject *sp_py_create_machine(PyObject *module, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"name", "image", "networks", "memory", "cpus", "disk", NULL};
    g_autoptr(GArray) networks = g_array_new(FALSE, FALSE, sizeof(guint));
    SpPyState *state = sp_py_module_state(module);
    PyObject *list = NULL, *memory = Py_None, *cpus = Py_None, *image = Py_None, *disk = Py_None;
    g_autofree char *image_path = NULL, *disk_path = NULL;
    SpScriptMachine wanted = {0};

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s|$OOOOO:create_machine", keywords,
            &wanted.name, &image, &list, &memory, &cpus, &disk) ||
        !sp_py_is_main_thread() || !check_name(state, wanted.name) ||
        (list && !to_networks(list, networks)) ||
        (image != Py_None && !sp_py_path(image, &image_path)) ||
        (disk != Py_None && !sp_py_path(disk, &disk_path)))
        return NULL;
    wanted.image = image_path;
    wanted.disk = disk_path;
    wanted.memory_mib = memory == Py_None ? 0 : (guint)PyLong_AsUnsignedLong(memory);
    wanted.cpus = cpus == Py_None || PyErr_Occurred() ? 0 : (guint)PyLong_AsUnsignedLong(cpus);
    if (PyErr_Occurred())
        return NULL;
    wanted.networks = (const guint *)(const void *)networks->data;
    wanted.nics = networks->len;
    return create(state, &wanted);
}
