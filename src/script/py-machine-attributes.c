/* SPDX-License-Identifier: MIT */

/* Attributes of Machine that scripts for NixOS' driver use: those that make sense here, and for the
 * others a sentence on what to use instead. */

#include "script/py-machine.h"

#include <glib/gstdio.h>

/* A folder of the host for the script's own files, made when it is first asked for. */
static PyObject *make_dir(SpPyMachine *self, const char *name)
{
    g_autofree char *path = g_build_filename(sp_machine_out_dir(self->machine), name, NULL);

    if (g_mkdir_with_parents(path, 0777) < 0)
        return PyErr_SetFromErrnoWithFilename(PyExc_OSError, path);
    return sp_py_path_new(path);
}

static PyObject *get_tmp_dir(SpPyMachine *self, void *unused)
{
    return make_dir(self, "tmp");
}

static PyObject *get_shared_dir(SpPyMachine *self, void *unused)
{
    return make_dir(self, "tmp/shared-xchg");
}

static PyObject *get_state_dir(SpPyMachine *self, void *unused)
{
    g_autofree char *name = g_strconcat("tmp/vm-state-", sp_machine_name(self->machine), NULL);

    return make_dir(self, name);
}

static PyObject *get_pid(SpPyMachine *self, void *unused)
{
    int pid;

    sp_py_hold();
    pid = sp_machine_pid(self->machine);
    sp_py_release();
    if (pid == 0)
        Py_RETURN_NONE;
    return PyLong_FromLong(pid);
}

static PyObject *get_logger(SpPyMachine *self, void *unused)
{
    PyTypeObject *type = sp_py_state((PyObject *)self)->log_type;

    return type->tp_alloc(type, 0);
}

static PyObject *get_qmp_client(SpPyMachine *self, void *unused)
{
    bool is_up;

    sp_py_hold();
    is_up = sp_machine_is_up(self->machine);
    sp_py_release();
    if (!is_up)
        Py_RETURN_NONE;
    return sp_py_qmp_session_new(self);
}

static PyObject *get_full_console_log(SpPyMachine *self, void *unused)
{
    PyObject *text = PyObject_CallMethod((PyObject *)self, "get_console_log", NULL);
    PyObject *lines = text ? PyUnicode_Splitlines(text, 0) : NULL;

    Py_XDECREF(text);
    return lines;
}

/* An AttributeError, so that hasattr() is False. */
static PyObject *refuse(SpPyMachine *self, void *sentence)
{
    return PyErr_Format(PyExc_AttributeError, "machine '%s': %s", sp_machine_name(self->machine),
        (const char *)sentence);
}

#define ATTRIBUTE(name, getter_function, doc)                                                      \
    {                                                                                              \
        name, (getter)(getter_function), NULL, PyDoc_STR(doc), NULL                                \
    }
#define REFUSED(name, sentence)                                                                    \
    {                                                                                              \
        name, (getter)refuse, NULL, PyDoc_STR("Not offered: " sentence "."), (void *)(sentence)    \
    }

PyGetSetDef sp_py_machine_nixos_attributes[] = {
    ATTRIBUTE("tmp_dir", get_tmp_dir,
        "A folder of the host for the script's own files, as a Path; below out_dir."),
    ATTRIBUTE("shared_dir", get_shared_dir,
        "Such a folder for all machines, as a Path. No guest sees it: copy_from_host() does that."),
    ATTRIBUTE("state_dir", get_state_dir, "Such a folder for this machine, as a Path."),
    ATTRIBUTE("pid", get_pid, "The process of its QEMU; None while it is off."),
    ATTRIBUTE("qmp_client", get_qmp_client,
        "Has send(cmd, args={}), which is qmp() but for its errors; None while it is off."),
    ATTRIBUTE("logger", get_logger, "The test's log."),
    ATTRIBUTE(
        "full_console_log", get_full_console_log, "The lines of get_console_log(), as a list."),
    REFUSED("process", "the process of QEMU is slotproof's own: use pid, crash(), is_up()"),
    REFUSED(
        "start_command", "no command starts a machine: test.conf, create_machine() and start() do"),
    REFUSED("script", "no script starts a machine: test.conf, create_machine() and start() do"),
    REFUSED("monitor", "the monitor's socket is slotproof's own: use send_monitor_command()"),
    REFUSED("monitor_path", "the monitor has no socket with a path: use send_monitor_command()"),
    REFUSED("qmp_path", "QMP has no socket with a path: use qmp()"),
    REFUSED("shell", "commands do not go over a socket of a shell: use execute()"),
    REFUSED("shell_path", "commands do not go over a socket of a shell: use execute()"),
    REFUSED("serial_thread", "no thread reads the console: use get_console_log()"),
    REFUSED("last_lines", "the console's lines are in no queue: use wait_for_console_text()"),
    {NULL, NULL, NULL, NULL, NULL},
};
