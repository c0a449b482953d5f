/* SPDX-License-Identifier: MIT */

/* Methods of Machine that talk to QEMU itself, and its snapshots. JSON is turned into Python by
 * Python's own module.
 */

#include "script/py-machine.h"

/* A new reference to json.@function(@argument); @argument is taken and may be NULL. */
static PyObject *call_json(const char *function, PyObject *argument)
{
    PyObject *json = argument ? PyImport_ImportModule("json") : NULL;
    PyObject *result = json ? PyObject_CallMethod(json, function, "O", argument) : NULL;

    Py_XDECREF(json);
    Py_XDECREF(argument);
    return result;
}

/* End the step and give the answer, which is taken, to the script. */
static PyObject *answer(SpPyMachine *self, bool is_good, char *text, GError *error)
{
    PyObject *none = sp_py_machine_end(self, is_good, error);
    PyObject *result = none ? call_json("loads", PyUnicode_FromString(text)) : NULL;

    Py_XDECREF(none);
    g_free(text);
    return result;
}

static PyObject *qmp(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    const char *command, *arguments = NULL;
    PyObject *text = NULL;
    GError *error = NULL;
    char *ret = NULL;
    bool is_good;

    if (!PyArg_ParseTuple(args, "s:qmp", &command) || !sp_py_is_main_thread())
        return NULL;
    if (kwargs && PyDict_Size(kwargs) > 0) {
        Py_INCREF(kwargs);
        text = call_json("dumps", kwargs);
        arguments = text ? PyUnicode_AsUTF8(text) : NULL;
        if (!arguments) {
            Py_XDECREF(text);
            return NULL;
        }
    }
    sp_py_machine_begin(self, "qmp", "QMP command %s %s", command, arguments ? arguments : "");
    is_good = sp_machine_qmp(self->machine, command, arguments, &ret, &error);
    Py_XDECREF(text);
    return answer(self, is_good, ret, error);
}

static PyObject *wait_for_qmp_event(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"event", "timeout", NULL};
    PyObject *timeout = NULL;
    GError *error = NULL;
    const char *event;
    gint64 timeout_ms;
    char *ret = NULL;
    bool is_good;

    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "s|O:wait_for_qmp_event", keywords, &event, &timeout) ||
        !sp_py_machine_timeout(self, timeout, &timeout_ms) || !sp_py_is_main_thread())
        return NULL;
    sp_py_machine_begin(self, "wait", "wait for QEMU's event %s", event);
    is_good = sp_machine_wait_for_event(self->machine, event, timeout_ms, &ret, &error);
    return answer(self, is_good, ret, error);
}

typedef bool (*SnapshotFunc)(SpMachine *machine, const char *name, GError **error);

static PyObject *snapshot(
    SpPyMachine *self, PyObject *args, PyObject *kwargs, const char *what, SnapshotFunc func)
{
    char *keywords[] = {"name", NULL};
    GError *error = NULL;
    const char *name;
    bool is_good;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s", keywords, &name) || !sp_py_is_main_thread())
        return NULL;
    if (!*name)
        return PyErr_Format(PyExc_ValueError, "a snapshot needs a name");
    sp_py_machine_begin(self, "snapshot", "%s snapshot '%s'", what, name);
    is_good = func(self->machine, name, &error);
    return sp_py_machine_end(self, is_good, error);
}

static PyObject *save_snapshot(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    return snapshot(self, args, kwargs, "save", sp_machine_save_snapshot);
}

static PyObject *load_snapshot(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    return snapshot(self, args, kwargs, "load", sp_machine_load_snapshot);
}

static PyObject *disk_written(SpPyMachine *self, PyObject *unused)
{
    GError *error = NULL;
    guint64 bytes;

    if (!sp_py_is_main_thread())
        return NULL;
    if (!sp_machine_disk_written(self->machine, &bytes, &error))
        return sp_py_raise(sp_py_state((PyObject *)self), error);
    return PyLong_FromUnsignedLongLong(bytes);
}

static PyObject *wait_for_disk_written(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"bytes", "timeout", NULL};
    PyObject *timeout = NULL;
    GError *error = NULL;
    gint64 timeout_ms;
    long long bytes;
    bool is_good;

    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "L|O:wait_for_disk_written", keywords, &bytes, &timeout) ||
        !sp_py_machine_timeout(self, timeout, &timeout_ms) || !sp_py_is_main_thread())
        return NULL;
    if (bytes < 0)
        return PyErr_Format(PyExc_ValueError, "%lld bytes: expected a number from 0 on", bytes);
    sp_py_machine_begin(self, "wait", "wait until %lld bytes are written to the disk", bytes);
    is_good = sp_machine_wait_for_disk_written(self->machine, (guint64)bytes, timeout_ms, &error);
    return sp_py_machine_end(self, is_good, error);
}

PyMethodDef sp_py_machine_monitor_methods[] = {
    SP_PY_METHOD("qmp", qmp, SP_PY_KEYWORDS,
        "qmp(command, **arguments)\n--\n\nHave QEMU execute a command of its monitor protocol; "
        "returns what it answers. Where an argument's name has a hyphen: "
        "**{'node-name': ...}."),
    SP_PY_METHOD("wait_for_qmp_event", wait_for_qmp_event, SP_PY_KEYWORDS,
        "wait_for_qmp_event(event, timeout=900)\n--\n\nTake the first event of this name that "
        "QEMU has sent since the machine's start and that was not taken yet; wait if there is "
        "none. Returns its data as a dict."),
    SP_PY_METHOD("save_snapshot", save_snapshot, SP_PY_KEYWORDS,
        "save_snapshot(name)\n--\n\nKeep memory, devices and disk of the running machine, until "
        "the "
        "test ends."),
    SP_PY_METHOD("load_snapshot", load_snapshot, SP_PY_KEYWORDS,
        "load_snapshot(name)\n--\n\nGo on from there. The guest does not know of the time "
        "between."),
    SP_PY_METHOD("disk_written", disk_written, METH_NOARGS,
        "disk_written()\n--\n\nThe bytes that the guest has written to its disk since the "
        "machine's start."),
    SP_PY_METHOD("wait_for_disk_written", wait_for_disk_written, SP_PY_KEYWORDS,
        "wait_for_disk_written(bytes, timeout=900)\n--\n\nWait until that is as much, or more."),
    {NULL, NULL, 0, NULL},
};
