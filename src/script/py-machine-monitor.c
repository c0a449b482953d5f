/* SPDX-License-Identifier: MIT */

/* Methods of Machine that talk to QEMU itself, and its snapshots. Python's own module converts
 * JSON. */

#include "machine/machine-disk.h"
#include "machine/machine-monitor.h"
#include "machine/machine-snapshot.h"
#include "script/api.h"
#include "script/py-call.h"

/* A new reference to json.@function(@argument); @argument is taken and may be NULL. */
static PyObject *call_json(const char *function, PyObject *argument)
{
    PyObject *json = argument ? PyImport_ImportModule("json") : NULL;
    PyObject *result = json ? PyObject_CallMethod(json, function, "O", argument) : NULL;

    Py_XDECREF(json);
    Py_XDECREF(argument);
    return result;
}

/* QEMU's answer @text, which is taken, as Python has it; NULL with @error, which is taken, raised.
 */
static PyObject *convert_answer(SpPyMachine *self, bool is_good, char *text, GError *error)
{
    PyObject *result = is_good ? call_json("loads", PyUnicode_FromString(text))
                               : sp_py_raise(sp_py_state((PyObject *)self), error);

    g_free(text);
    return result;
}

PyObject *sp_py_machine_qmp(SpPyMachine *self, const char *command, PyObject *arguments)
{
    SpPyState *state = sp_py_state((PyObject *)self);
    bool has_arguments = arguments && PyDict_Size(arguments) > 0;
    PyObject *text = has_arguments ? call_json("dumps", Py_NewRef(arguments)) : NULL;
    const char *utf8 = text ? PyUnicode_AsUTF8(text) : NULL;
    GError *error = NULL;
    char *ret = NULL;
    bool is_good;

    if (has_arguments && !utf8) {
        Py_XDECREF(text);
        return NULL;
    }
    sp_py_step_begin(state, sp_machine_name(self->machine), "qmp", "QMP command %s %s", command,
        utf8 ? utf8 : "");
    is_good = sp_machine_qmp(self->machine, command, utf8, &ret, &error);
    Py_XDECREF(text);
    return sp_py_step_end(state, convert_answer(self, is_good, ret, error), NULL);
}

PyObject *sp_py_machine_send_monitor_command(SpPyMachine *self, const char *command)
{
    PyObject *text = call_json("dumps", Py_BuildValue("{ss}", "command-line", command));
    const char *utf8 = text ? PyUnicode_AsUTF8(text) : NULL;
    GError *error = NULL;
    char *ret = NULL;
    bool is_good;

    is_good = utf8 && sp_machine_qmp(self->machine, "human-monitor-command", utf8, &ret, &error);
    Py_XDECREF(text);
    return utf8 ? convert_answer(self, is_good, ret, error) : NULL;
}

/* @name NULL: any event. */
static PyObject *wait_for_one_event(SpPyMachine *self, const char *name, gint64 timeout_ms)
{
    SpPyState *state = sp_py_state((PyObject *)self);
    GError *error = NULL;
    char *ret = NULL;
    bool is_good;

    sp_py_step_begin(state, sp_machine_name(self->machine), "wait", "wait for %s%s",
        name ? "QEMU's event " : "an event of QEMU's", name ? name : "");
    is_good = sp_machine_wait_for_event(self->machine, name, timeout_ms, &ret, &error);
    return sp_py_step_end(state, convert_answer(self, is_good, ret, error), NULL);
}

/* The first event that @filter, a function of the script's, takes; those before it are dropped. */
static PyObject *wait_for_filtered(SpPyMachine *self, PyObject *filter, gint64 timeout_ms)
{
    gint64 deadline = sp_deadline(timeout_ms);

    for (;;) {
        PyObject *event = wait_for_one_event(self, NULL, sp_py_left_ms(deadline));
        guint depth = sp_py_suspend();
        PyObject *result = event ? PyObject_CallOneArg(filter, event) : NULL;
        int is_taken = result ? PyObject_IsTrue(result) : -1;

        sp_py_resume(depth);
        Py_XDECREF(result);
        if (is_taken == 1)
            return event;
        Py_XDECREF(event);
        if (is_taken < 0)
            return NULL;
    }
}

PyObject *sp_py_machine_wait_for_qmp_event(
    SpPyMachine *self, PyObject *event_filter, gint64 timeout_ms)
{
    const char *name;

    if (PyCallable_Check(event_filter))
        return wait_for_filtered(self, event_filter, timeout_ms);
    name = PyUnicode_AsUTF8(event_filter);
    return name ? wait_for_one_event(self, name, timeout_ms) : NULL;
}

typedef bool (*SnapshotFunc)(SpMachine *machine, const char *name, GError **error);

static PyObject *use_snapshot(SpPyMachine *self, const char *name, SnapshotFunc func)
{
    GError *error = NULL;

    if (!*name)
        return PyErr_Format(PyExc_ValueError, "a snapshot needs a name");
    if (!func(self->machine, name, &error))
        return sp_py_raise(sp_py_state((PyObject *)self), error);
    Py_RETURN_NONE;
}

PyObject *sp_py_machine_save_snapshot(SpPyMachine *self, const char *name, bool memory)
{
    return use_snapshot(
        self, name, memory ? sp_machine_save_snapshot : sp_machine_save_disk_snapshot);
}

PyObject *sp_py_machine_load_snapshot(SpPyMachine *self, const char *name, bool memory)
{
    return use_snapshot(
        self, name, memory ? sp_machine_load_snapshot : sp_machine_load_disk_snapshot);
}

PyObject *sp_py_machine_read_disk(SpPyMachine *self, guint64 offset, guint64 size)
{
    GError *error = NULL;
    g_autoptr(GBytes) bytes = sp_machine_read_disk(self->machine, offset, size, &error);

    if (!bytes)
        return sp_py_raise(sp_py_state((PyObject *)self), error);
    return PyBytes_FromStringAndSize(g_bytes_get_data(bytes, NULL), (Py_ssize_t)size);
}

PyObject *sp_py_machine_record_disk(SpPyMachine *self, const char *folder)
{
    g_autofree char *path = g_build_filename(sp_machine_out_dir(self->machine), folder, NULL);
    GError *error = NULL;

    if (!*folder || strchr(folder, '/') || g_str_equal(folder, ".."))
        return PyErr_Format(
            PyExc_ValueError, "'%s': expected the name of a directory for the recording", folder);
    if (!sp_machine_record_disk(self->machine, folder, &error))
        return sp_py_raise(sp_py_state((PyObject *)self), error);
    return sp_py_path_new(path);
}
