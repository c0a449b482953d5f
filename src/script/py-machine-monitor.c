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

    if (!PyArg_ParseTuple(args, "s:qmp", &command))
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

static PyObject *send_monitor_command(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"command", NULL};
    PyObject *command, *arguments, *text;
    GError *error = NULL;
    char *ret = NULL;
    bool is_good;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "U:send_monitor_command", keywords, &command))
        return NULL;
    arguments = Py_BuildValue("{sO}", "command-line", command);
    text = call_json("dumps", arguments);
    if (!text)
        return NULL;
    sp_py_machine_begin(self, "qmp", "monitor command %s", PyUnicode_AsUTF8(command));
    is_good = sp_machine_qmp(
        self->machine, "human-monitor-command", PyUnicode_AsUTF8(text), &ret, &error);
    Py_DECREF(text);
    return answer(self, is_good, ret, error);
}

/* The first event that @filter, a function of the script's, takes; those before it are dropped. */
static PyObject *wait_for_filtered(SpPyMachine *self, PyObject *filter, gint64 timeout_ms)
{
    gint64 deadline = sp_deadline(timeout_ms);

    for (;;) {
        gint64 left_ms = deadline == SP_FOREVER
                             ? SP_NO_TIMEOUT
                             : MAX(0, (deadline - g_get_monotonic_time()) / 1000);
        PyObject *event, *result;
        GError *error = NULL;
        char *ret = NULL;
        bool is_good;
        guint depth;
        int is_taken;

        sp_py_machine_begin(self, "wait", "wait for an event of QEMU's");
        is_good = sp_machine_wait_for_event(self->machine, NULL, left_ms, &ret, &error);
        event = answer(self, is_good, ret, error);
        depth = sp_py_suspend();
        result = event ? PyObject_CallOneArg(filter, event) : NULL;
        is_taken = result ? PyObject_IsTrue(result) : -1;
        sp_py_resume(depth);
        Py_XDECREF(result);
        if (is_taken == 1)
            return event;
        Py_XDECREF(event);
        if (is_taken < 0)
            return NULL;
    }
}

static PyObject *wait_for_qmp_event(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"event_filter", "timeout", NULL};
    PyObject *timeout = NULL, *wanted;
    GError *error = NULL;
    const char *event;
    gint64 timeout_ms;
    char *ret = NULL;
    bool is_good;

    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "O|O:wait_for_qmp_event", keywords, &wanted, &timeout) ||
        !sp_py_machine_timeout(self, timeout, &timeout_ms))
        return NULL;
    if (PyCallable_Check(wanted))
        return wait_for_filtered(self, wanted, timeout_ms);
    event = PyUnicode_AsUTF8(wanted);
    if (!event)
        return NULL;
    sp_py_machine_begin(self, "wait", "wait for QEMU's event %s", event);
    is_good = sp_machine_wait_for_event(self->machine, event, timeout_ms, &ret, &error);
    return answer(self, is_good, ret, error);
}

typedef struct {
    const char *what;
    /* with the machine's memory, and without */
    bool (*with_memory)(SpMachine *machine, const char *name, GError **error);
    bool (*of_disk)(SpMachine *machine, const char *name, GError **error);
} Snapshotting;

static PyObject *snapshot(
    SpPyMachine *self, PyObject *args, PyObject *kwargs, const Snapshotting *way)
{
    char *keywords[] = {"name", "memory", NULL};
    GError *error = NULL;
    const char *name;
    int has_memory = 1;
    bool is_good;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s|p", keywords, &name, &has_memory))
        return NULL;
    if (!*name)
        return PyErr_Format(PyExc_ValueError, "a snapshot needs a name");
    sp_py_machine_begin(
        self, "snapshot", "%s snapshot '%s'%s", way->what, name, has_memory ? "" : " of the disk");
    is_good = (has_memory ? way->with_memory : way->of_disk)(self->machine, name, &error);
    return sp_py_machine_end(self, is_good, error);
}

static PyObject *save_snapshot(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    static const Snapshotting way = {
        "save", sp_machine_save_snapshot, sp_machine_save_disk_snapshot};

    return snapshot(self, args, kwargs, &way);
}

static PyObject *load_snapshot(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    static const Snapshotting way = {
        "load", sp_machine_load_snapshot, sp_machine_load_disk_snapshot};

    return snapshot(self, args, kwargs, &way);
}

static PyObject *read_disk(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"offset", "size", NULL};
    g_autoptr(GBytes) bytes = NULL;
    long long offset, size;
    GError *error = NULL;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "LL:read_disk", keywords, &offset, &size))
        return NULL;
    if (offset < 0 || size < 0)
        return PyErr_Format(
            PyExc_ValueError, "%lld bytes from %lld on: expected numbers from 0 on", size, offset);
    bytes = sp_machine_read_disk(self->machine, (guint64)offset, (gsize)size, &error);
    if (!bytes)
        return sp_py_raise(sp_py_state((PyObject *)self), error);
    return PyBytes_FromStringAndSize(g_bytes_get_data(bytes, NULL), (Py_ssize_t)size);
}

static PyObject *disk_written(SpPyMachine *self, PyObject *unused)
{
    GError *error = NULL;
    guint64 bytes;

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
        !sp_py_machine_timeout(self, timeout, &timeout_ms))
        return NULL;
    if (bytes < 0)
        return PyErr_Format(PyExc_ValueError, "%lld bytes: expected a number from 0 on", bytes);
    sp_py_machine_begin(self, "wait", "wait until %lld bytes are written to the disk", bytes);
    is_good = sp_machine_wait_for_disk_written(self->machine, (guint64)bytes, timeout_ms, &error);
    return sp_py_machine_end(self, is_good, error);
}

static PyObject *record_disk(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"folder", NULL};
    g_autofree char *folder = NULL, *path = NULL;
    GError *error = NULL;
    PyObject *none;
    bool is_good;

    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "|O&:record_disk", keywords, sp_py_path, &folder))
        return NULL;
    if (!folder)
        folder = g_strdup("recording");
    if (!*folder || strchr(folder, '/') || g_str_equal(folder, ".."))
        return PyErr_Format(
            PyExc_ValueError, "'%s': expected the name of a folder for the recording", folder);
    sp_py_machine_begin(self, "qmp", "record its disk in '%s'", folder);
    is_good = sp_machine_record_disk(self->machine, folder, &error);
    none = sp_py_machine_end(self, is_good, error);
    if (!none)
        return NULL;
    Py_DECREF(none);
    path = g_build_filename(sp_machine_out_dir(self->machine), folder, NULL);
    return sp_py_path_new(path);
}

static PyObject *mark_recording(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"name", NULL};
    GError *error = NULL;
    guint64 entries;
    const char *name;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s:mark_recording", keywords, &name))
        return NULL;
    if (!sp_machine_mark_recording(self->machine, name, &entries, &error))
        return sp_py_raise(sp_py_state((PyObject *)self), error);
    return PyLong_FromUnsignedLongLong(entries);
}

static PyObject *stop_recording(SpPyMachine *self, PyObject *unused)
{
    GError *error = NULL;
    bool is_good;

    sp_py_machine_begin(self, "qmp", "stop recording its disk");
    is_good = sp_machine_stop_recording(self->machine, &error);
    return sp_py_machine_end(self, is_good, error);
}

SP_PY_SERVED(qmp)
SP_PY_SERVED(wait_for_qmp_event)
SP_PY_SERVED(send_monitor_command)
SP_PY_SERVED(save_snapshot)
SP_PY_SERVED(load_snapshot)
SP_PY_SERVED(read_disk)
SP_PY_SERVED_PLAIN(disk_written)
SP_PY_SERVED(wait_for_disk_written)
SP_PY_SERVED(record_disk)
SP_PY_SERVED(mark_recording)
SP_PY_SERVED_PLAIN(stop_recording)

PyMethodDef sp_py_machine_monitor_methods[] = {
    SP_PY_METHOD("qmp", qmp, SP_PY_KEYWORDS,
        "qmp(command, **arguments)\n--\n\nHave QEMU execute a command of its monitor protocol; "
        "returns what it answers. Where an argument's name has a hyphen: "
        "**{'node-name': ...}."),
    SP_PY_METHOD("wait_for_qmp_event", wait_for_qmp_event, SP_PY_KEYWORDS,
        "wait_for_qmp_event(event_filter, timeout=900)\n--\n\nTake the first event of QEMU's that "
        "has this name, was sent since the machine's start, and was not taken yet; wait if there "
        "is none. Returns its data as a dict. In place of the name a function of the whole event "
        "may say whether it is meant; then the whole event is returned, and what came before it is "
        "dropped."),
    SP_PY_METHOD("send_monitor_command", send_monitor_command, SP_PY_KEYWORDS,
        "send_monitor_command(command)\n--\n\nHave QEMU execute a command of its monitor for "
        "people; returns what it answers as a str."),
    SP_PY_METHOD("save_snapshot", save_snapshot, SP_PY_KEYWORDS,
        "save_snapshot(name, memory=True)\n--\n\nKeep memory, devices and disk of the running "
        "machine, until the test ends; without memory the disk alone, as it is at this instant."),
    SP_PY_METHOD("load_snapshot", load_snapshot, SP_PY_KEYWORDS,
        "load_snapshot(name, memory=True)\n--\n\nGo on from there. The guest does not know of "
        "the time between. Without memory the machine must be off, stays so, and has the disk that "
        "it had then, as if power had failed at that instant."),
    SP_PY_METHOD("read_disk", read_disk, SP_PY_KEYWORDS,
        "read_disk(offset, size)\n--\n\nBytes of the running machine's disk, as they are now: what "
        "the guest has only in its caches is not among them."),
    SP_PY_METHOD("disk_written", disk_written, METH_NOARGS,
        "disk_written()\n--\n\nThe bytes that the guest has written to its disk since the "
        "machine's start."),
    SP_PY_METHOD("wait_for_disk_written", wait_for_disk_written, SP_PY_KEYWORDS,
        "wait_for_disk_written(bytes, timeout=900)\n--\n\nWait until that is as much, or more."),
    SP_PY_METHOD("record_disk", record_disk, SP_PY_KEYWORDS,
        "record_disk(folder='recording')\n--\n\nRecord what the running machine writes to its disk "
        "from now on, in that new folder below out_dir, whose path is returned: disk.raw is the "
        "disk as it is now, writes.log has all since, marks.json what was marked. 'slotproof "
        "powercut' reads them. Ends with stop_recording(), a power cut or a shutdown; resets are "
        "recorded."),
    SP_PY_METHOD("mark_recording", mark_recording, SP_PY_KEYWORDS,
        "mark_recording(name)\n--\n\nNote in the recording what has just happened; returns the "
        "number of its entries up to now."),
    SP_PY_METHOD("stop_recording", stop_recording, METH_NOARGS,
        "stop_recording()\n--\n\nEnd it. All that the machine wrote until now is in it, flushed or "
        "not."),
    {NULL, NULL, 0, NULL},
};
