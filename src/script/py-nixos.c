/* SPDX-License-Identifier: MIT */

/* Names of the NixOS test driver for what slotproof has, for annotations and imports. */

#include "script/py-nixos.h"

#include <string.h>

static PyType_Slot no_slots[] = {
    {Py_tp_doc,
        (void *)PyDoc_STR("A container of the NixOS test driver: there is none here, but scripts "
                          "may name it.")},
    {0, NULL},
};

static PyType_Spec nspawn_machine_spec = {
    .name = "slotproof.NspawnMachine",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = no_slots,
};

/* Types of the module `slotproof` by their name in the NixOS test driver, for a script's globals.
 */
static const struct {
    const char *name, *of_module;
} aliases[] = {
    {"Machine", "Machine"},
    {"BaseMachine", "Machine"},
    {"QemuMachine", "Machine"},
    {"VLan", "Network"},
    {"PollingCondition", "PollingCondition"},
};

/* What scripts import, and from where: @ours is a name of the globals or of the module `slotproof`.
 */
static const struct {
    const char *module, *name, *ours;
} imports[] = {
    {"errors", "RequestedAssertionFailed", "RequestedAssertionFailed"},
    {"errors", "MachineError", "MachineError"},
    {"machine", "Machine", "Machine"},
    {"machine", "BaseMachine", "Machine"},
    {"machine", "QemuMachine", "Machine"},
    {"machine", "NspawnMachine", "NspawnMachine"},
    {"machine", "retry", "retry"},
    {"machine.qmp", "QMPAPIError", "QMPAPIError"},
    {"machine.qmp", "QMPSession", "QMPSession"},
    {"driver", "Driver", "Driver"},
    {"vlan", "VLan", "Network"},
    {"logger", "AbstractLogger", "Log"},
    {"polling_condition", "PollingCondition", "PollingCondition"},
    {"polling_condition", "PollingConditionError", "RequestedAssertionFailed"},
};

/* Add @value, which is taken and may be NULL with an exception. */
static bool set_global(PyObject *globals, const char *name, PyObject *value)
{
    int added = value ? PyDict_SetItemString(globals, name, value) : -1;

    Py_XDECREF(value);
    return added >= 0;
}

bool sp_py_nixos_add_types(PyObject *globals, PyObject *module)
{
    bool is_good = set_global(
        globals, "NspawnMachine", PyType_FromModuleAndSpec(module, &nspawn_machine_spec, NULL));

    for (gsize i = 0; i < G_N_ELEMENTS(aliases) && is_good; i++)
        is_good = set_global(
            globals, aliases[i].name, PyObject_GetAttrString(module, aliases[i].of_module));
    return is_good;
}

/* networks[1] as vlan1, and all of them as vlans. */
bool sp_py_nixos_add_networks(PyObject *globals, PyObject *networks)
{
    PyObject *number, *network, *list = PyList_New(0);
    Py_ssize_t at = 0;
    bool is_good = list != NULL;

    while (is_good && PyDict_Next(networks, &at, &number, &network)) {
        g_autofree char *name = g_strdup_printf("vlan%ld", PyLong_AsLong(number));
        is_good =
            PyList_Append(list, network) >= 0 && PyDict_SetItemString(globals, name, network) >= 0;
    }
    if (is_good)
        return set_global(globals, "vlans", list);
    Py_XDECREF(list);
    return false;
}

/* The module test_driver.@name, which is also an attribute of its package; borrowed. */
static PyObject *make_module(const char *name)
{
    g_autofree char *full = g_strconcat("test_driver.", name, NULL);
    const char *own = strrchr(full, '.') + 1;
    g_autofree char *parent = g_strndup(full, (gsize)(own - 1 - full));
    PyObject *package = PyImport_AddModule(parent);
    PyObject *module = package ? PyImport_AddModule(full) : NULL;

    return module && PyObject_SetAttrString(package, own, module) >= 0 ? module : NULL;
}

bool sp_py_nixos_add_modules(PyObject *globals, PyObject *module)
{
    for (gsize i = 0; i < G_N_ELEMENTS(imports); i++) {
        PyObject *target = make_module(imports[i].module);
        PyObject *value = PyDict_GetItemString(globals, imports[i].ours);
        int added;

        value = value ? Py_NewRef(value) : PyObject_GetAttrString(module, imports[i].ours);
        added = target && value ? PyObject_SetAttrString(target, imports[i].name, value) : -1;
        Py_XDECREF(value);
        if (added < 0)
            return false;
    }
    return true;
}
