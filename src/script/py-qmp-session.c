/* SPDX-License-Identifier: MIT */

/* The type QMPSession: machine.qmp_client, by which scripts for NixOS' driver talk to QEMU, and
 * what is raised where QEMU refuses. */

#include "script/py-machine.h"

/* Raise QMPAPIError for the refusal of @machine's QEMU in place of the pending exception. Returns
 * NULL, as it does where there is another one. */
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

/* Machine.qmp(), with its arguments in a dict. */
static PyObject *send(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    SpPyState *state = sp_py_state((PyObject *)self);
    char *keywords[] = {"cmd", "args", NULL};
    PyObject *command, *arguments = NULL, *machine, *method, *words, *result = NULL;

    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "U|O!:send", keywords, &command, &PyDict_Type, &arguments))
        return NULL;
    machine = sp_py_machine_new(state, self->machine);
    method = machine ? PyObject_GetAttrString(machine, "qmp") : NULL;
    words = method ? PyTuple_Pack(1, command) : NULL;
    if (words)
        result = PyObject_Call(method, words, arguments);
    Py_XDECREF(words);
    Py_XDECREF(method);
    Py_XDECREF(machine);
    return result ? result : raise_refusal(state, self->machine);
}

static void dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    type->tp_free(self);
    Py_DECREF(type);
}

SP_PY_SERVED(send)

static PyMethodDef methods[] = {
    SP_PY_METHOD("send", send, SP_PY_KEYWORDS,
        "send(cmd, args={})\n--\n\nHave QEMU execute a command, as Machine.qmp() does; raises "
        "QMPAPIError if it refuses."),
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("What NixOS' driver has as a machine's qmp_client.")},
    {Py_tp_dealloc, dealloc},
    {Py_tp_methods, methods},
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
