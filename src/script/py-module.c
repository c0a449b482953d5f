/* SPDX-License-Identifier: MIT */

/* The module `slotproof`: its types and exceptions, which a script's globals use. */

#include "script/api.h"

SpPyState *sp_py_module_state(PyObject *module)
{
    return PyModule_GetState(module);
}

SpPyState *sp_py_state(PyObject *object)
{
    return PyType_GetModuleState(Py_TYPE(object));
}

void sp_py_free_object(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    type->tp_free(self);
    Py_DECREF(type);
}

/* Add the types that scripts can name. */
static bool export_types(PyObject *module, const SpPyState *state)
{
    PyTypeObject *const types[] = {state->machine_type, state->network_type, state->endpoint_type,
        state->log_type, state->condition_type, state->qmp_session_type};

    for (gsize i = 0; i < G_N_ELEMENTS(types); i++) {
        if (PyModule_AddType(module, types[i]) < 0)
            return false;
    }
    return true;
}

static bool add_types(PyObject *module, SpPyState *state)
{
    const struct {
        PyType_Spec *spec;
        PyTypeObject **ret_type;
    } types[] = {
        {&sp_py_machine_spec, &state->machine_type},
        {&sp_py_step_spec, &state->step_type},
        {&sp_py_condition_spec, &state->condition_type},
        {&sp_py_log_spec, &state->log_type},
        {&sp_py_stream_spec, &state->stream_type},
        {&sp_py_network_spec, &state->network_type},
        {&sp_py_endpoint_spec, &state->endpoint_type},
        {&sp_py_qmp_session_spec, &state->qmp_session_type},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(types); i++) {
        PyObject *type = PyType_FromModuleAndSpec(module, types[i].spec, NULL);
        if (!type)
            return false;
        *types[i].ret_type = (PyTypeObject *)type;
    }
    return export_types(module, state);
}

static bool add_exception(
    PyObject *module, const char *name, const char *doc, PyObject *base, PyObject **ret_exception)
{
    g_autofree char *full = g_strconcat("slotproof.", name, NULL);

    *ret_exception = PyErr_NewExceptionWithDoc(full, doc, base, NULL);
    return *ret_exception && PyModule_AddObjectRef(module, name, *ret_exception) >= 0;
}

static int module_exec(PyObject *module)
{
    SpPyState *state = sp_py_module_state(module);

    if (!add_types(module, state) ||
        !add_exception(module, "RequestedAssertionFailed", "An assertion of a test failed.",
            PyExc_AssertionError, &state->assertion_failed) ||
        !add_exception(module, "MachineError", "A machine or the host failed.", PyExc_Exception,
            &state->machine_error) ||
        !add_exception(module, "QMPAPIError", "QEMU refused what qmp_client.send() sent.",
            PyExc_RuntimeError, &state->qmp_error))
        return -1;
    return 0;
}

/* The references that the state owns, for the garbage collector. */
#define FOR_EACH_REFERENCE(DO)                                                                     \
    DO(assertion_failed)                                                                           \
    DO(machine_error)                                                                              \
    DO(qmp_error)                                                                                  \
    DO(machine_type)                                                                               \
    DO(step_type)                                                                                  \
    DO(condition_type)                                                                             \
    DO(log_type)                                                                                   \
    DO(stream_type)                                                                                \
    DO(network_type)                                                                               \
    DO(endpoint_type)                                                                              \
    DO(qmp_session_type)                                                                           \
    DO(globals)                                                                                    \
    DO(machine_list)                                                                               \
    DO(thread_failure)                                                                             \
    DO(failed_exception)
#define VISIT(member) Py_VISIT(state->member);
#define CLEAR(member) Py_CLEAR(state->member);

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
    SpPyState *state = sp_py_module_state(module);

    FOR_EACH_REFERENCE(VISIT)
    return 0;
}

static int module_clear(PyObject *module)
{
    SpPyState *state = sp_py_module_state(module);

    FOR_EACH_REFERENCE(CLEAR)
    g_clear_pointer(&state->machines, g_ptr_array_unref);
    g_clear_pointer(&state->conditions, g_ptr_array_unref);
    g_clear_pointer(&state->failed_subtest, g_free);
    return 0;
}

static void module_free(void *module)
{
    module_clear(module);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

static PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "slotproof",
    .m_doc = PyDoc_STR("Machines, and what else a test's script can use."),
    .m_size = sizeof(SpPyState),
    .m_methods = sp_py_script_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC sp_py_module_init(void)
{
    return PyModuleDef_Init(&module_def);
}
