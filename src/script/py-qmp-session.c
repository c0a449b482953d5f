/* SPDX-License-Identifier: MIT */

/* The type QMPSession: machine.qmp_client, by which scripts of the NixOS test driver talk to QEMU,
 * and what is raised if QEMU refuses. */

#include "machine/machine-monitor.h"
#include "script/api.h"

/* Replace the pending exception with a QMPAPIError if it is a refusal of @machine's QEMU. Returns
 * NULL. */
static PyObject *raise_refusal(SpPyState *state, SpMachine *machine)
{
    const char *class_name, *description;
    PyObject *error;

    if (!PyErr_ExceptionMatches(state->assertion_failed) ||
        !sp_machine_qmp_refusal(machine, &class_name, &description))
        return NULL;
    PyErr_Clear();
    error = PyObject_CallFunction(state->qmp_error, "s", description);
    if (!error)
        return NULL;
    PyObject *values[] = {
        PyUnicode_FromString(class_name), PyUnicode_FromString(description), Py_NewRef(Py_None)};
    const char *const names[] = {"class_name", "description", "transaction_id"};
    bool is_good = true;

    for (gsize i = 0; i < G_N_ELEMENTS(values); i++) {
        is_good = is_good && values[i] && PyObject_SetAttrString(error, names[i], values[i]) >= 0;
        Py_XDECREF(values[i]);
    }
    if (is_good)
        PyErr_SetObject(state->qmp_error, error);
    Py_DECREF(error);
    return NULL;
}

PyObject *sp_py_qmp_session_send(SpPyMachine *self, const char *cmd, PyObject *args)
{
    PyObject *result = sp_py_machine_qmp(self, cmd, args);

    return result ? result : raise_refusal(sp_py_state((PyObject *)self), self->machine);
}

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)SP_PY_QMP_SESSION_DOC},
    {Py_tp_dealloc, sp_py_free_object},
    {Py_tp_methods, sp_py_qmp_session_methods},
    {0, NULL},
};

PyType_Spec sp_py_qmp_session_spec = {
    .name = "slotproof.QMPSession",
    .basicsize = sizeof(SpPyMachine),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};

PyObject *sp_py_qmp_session_new(SpPyMachine *machine)
{
    PyTypeObject *type = sp_py_state((PyObject *)machine)->qmp_session_type;
    SpPyMachine *session = (SpPyMachine *)type->tp_alloc(type, 0);

    if (session)
        session->machine = machine->machine;
    return (PyObject *)session;
}
