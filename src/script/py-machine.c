/* SPDX-License-Identifier: MIT */

/* The type Machine: its attributes, and its methods that are about power, files and the log. */

#include "script/py-machine.h"
#include "script/py-polling.h"
#include "script/py-text.h"

#include <string.h>
#include <structmember.h>

SpLog *sp_py_machine_log(SpPyMachine *self)
{
    return sp_py_state((PyObject *)self)->config->log;
}

bool sp_py_machine_timeout(SpPyMachine *self, PyObject *value, gint64 *ret_ms)
{
    return sp_py_timeout(value, sp_machine_time_factor(self->machine), ret_ms);
}

void sp_py_machine_begin(SpPyMachine *self, const char *kind, const char *format, ...)
{
    g_autofree char *text = NULL;
    g_autofree char *valid = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    valid = g_utf8_make_valid(text, -1); /* a path may be anything */
    sp_log_begin(sp_py_machine_log(self), sp_machine_name(self->machine), kind, "%s", valid);
}

bool sp_py_machine_enter(PyObject *self)
{
    sp_py_hold();
    return sp_py_claim(sp_py_state(self), ((SpPyMachine *)self)->machine);
}

PyObject *sp_py_machine_leave(PyObject *self, PyObject *result)
{
    sp_py_unclaim(sp_py_state(self), ((SpPyMachine *)self)->machine);
    sp_py_release();
    return result;
}

bool sp_py_machine_enter_wait(SpPyMachine *self)
{
    SpPyState *state = sp_py_state((PyObject *)self);

    if (!sp_py_is_main_thread())
        return true;
    if (!sp_py_check_conditions(state))
        return false;
    state->is_waiting = true;
    return true;
}

void sp_py_machine_leave_wait(SpPyMachine *self)
{
    if (sp_py_is_main_thread())
        sp_py_state((PyObject *)self)->is_waiting = false;
}

PyObject *sp_py_machine_end(SpPyMachine *self, bool is_good, GError *error)
{
    sp_py_machine_leave_wait(self);
    sp_log_end(sp_py_machine_log(self), is_good ? NULL : error->message);
    if (!is_good)
        return sp_py_raise(sp_py_state((PyObject *)self), error);
    if (PyErr_Occurred()) /* a signal that came in at the last moment */
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *start(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"allow_reboot", NULL};
    GError *error = NULL;
    int allow_reboot = 0;
    bool is_good;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|p:start", keywords, &allow_reboot))
        return NULL;
    sp_py_machine_begin(self, "boot", "start");
    is_good = sp_machine_start(self->machine, allow_reboot != 0, &error);
    return sp_py_machine_end(self, is_good, error);
}

typedef bool (*TimedPowerFunc)(SpMachine *machine, gint64 timeout_ms, GError **error);

static PyObject *crash(SpPyMachine *self, PyObject *unused)
{
    GError *error = NULL;
    bool is_good;

    sp_py_machine_begin(self, "boot", "crash");
    is_good = sp_machine_crash(self->machine, &error);
    return sp_py_machine_end(self, is_good, error);
}

/* A method with a time-out, which is @otherwise unless it is given. */
static PyObject *change_power(SpPyMachine *self, PyObject *args, PyObject *kwargs, const char *name,
    TimedPowerFunc func, PyObject *otherwise)
{
    char *keywords[] = {"timeout", NULL};
    PyObject *timeout = otherwise;
    GError *error = NULL;
    gint64 timeout_ms;
    bool is_good;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O", keywords, &timeout) ||
        !sp_py_machine_timeout(self, timeout, &timeout_ms))
        return NULL;
    sp_py_machine_begin(self, "boot", "%s", name);
    is_good = func(self->machine, timeout_ms, &error);
    return sp_py_machine_end(self, is_good, error);
}

static PyObject *connect(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    return change_power(self, args, kwargs, "connect", sp_machine_connect, NULL);
}

static PyObject *wait_for_boot(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    return change_power(
        self, args, kwargs, "wait for another boot", sp_machine_wait_for_boot, NULL);
}

static PyObject *shutdown(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    return change_power(self, args, kwargs, "shutdown", sp_machine_shutdown, NULL);
}

static PyObject *reboot(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    return change_power(self, args, kwargs, "reboot", sp_machine_reboot, NULL);
}

static PyObject *wait_for_shutdown(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    return change_power(
        self, args, kwargs, "wait for the shutdown", sp_machine_wait_for_shutdown, Py_None);
}

static PyObject *switch_root(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    return change_power(self, args, kwargs, "switch root", sp_machine_switch_root, NULL);
}

static PyObject *is_up(SpPyMachine *self, PyObject *unused)
{
    return PyBool_FromLong(sp_machine_is_up(self->machine));
}

static PyObject *copy_from_host(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"source", "target", NULL};
    g_autofree char *source = NULL, *target = NULL;
    GError *error = NULL;
    bool is_good;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O&O&:copy_from_host", keywords, sp_py_path,
            &source, sp_py_path, &target))
        return NULL;
    sp_py_machine_begin(self, "copy", "copy the host's %s to %s", source, target);
    is_good = sp_machine_copy_from_host(self->machine, source, target, &error);
    return sp_py_machine_end(self, is_good, error);
}

/* What the guest's shell makes of @path, as NixOS' driver has it make; NULL with an exception. */
static char *expand_in_guest(SpPyMachine *self, const char *path)
{
    g_autofree char *command = g_strconcat("printf %s ", path, NULL);
    g_auto(SpCommandResult) result = {0};

    if (*path != '~' && !strchr(path, '$'))
        return g_strdup(path);
    if (!sp_py_machine_execute(self, command, SP_DEFAULT_TIMEOUT_MS, &result))
        return NULL;
    if (result.status == 0)
        return g_strdup(result.output->str);
    g_autofree char *errors = sp_py_excerpt(result.errors);
    PyErr_Format(sp_py_state((PyObject *)self)->assertion_failed,
        "machine '%s': the guest's shell can't expand '%s': %s", sp_machine_name(self->machine),
        path, errors);
    return NULL;
}

static PyObject *copy_from_host_via_shell(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"source", "target", NULL};
    g_autofree char *source = NULL, *target = NULL, *path = NULL;
    PyObject *words, *answer;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O&O&:copy_from_host_via_shell", keywords,
            sp_py_path, &source, sp_py_path, &target))
        return NULL;
    path = expand_in_guest(self, target);
    words = path ? Py_BuildValue("(yy)", source, path) : NULL;
    answer = words ? copy_from_host(self, words, NULL) : NULL;
    Py_XDECREF(words);
    return answer;
}

static PyObject *copy_from_machine(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"source", "target_dir", NULL};
    g_autofree char *source = NULL, *target_dir = NULL;
    GError *error = NULL;
    bool is_good;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O&|O&:copy_from_machine", keywords, sp_py_path,
            &source, sp_py_path, &target_dir))
        return NULL;
    sp_py_machine_begin(self, "copy", "copy %s out", source);
    is_good =
        sp_machine_copy_from_machine(self->machine, source, target_dir ? target_dir : "", &error);
    return sp_py_machine_end(self, is_good, error);
}

static PyObject *log_message(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"msg", NULL};
    g_autofree char *text = NULL;
    PyObject *message;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:log", keywords, &message))
        return NULL;
    text = sp_py_utf8(message);
    if (!text)
        return NULL;
    sp_log(sp_py_machine_log(self), sp_machine_name(self->machine), "%s", text);
    Py_RETURN_NONE;
}

static PyObject *nested(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    return sp_py_nested_new(sp_py_state((PyObject *)self), self->machine, args, kwargs);
}

static PyObject *sleep_in_guest(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"duration", "secs", NULL};
    PyObject *duration = NULL, *older_name = NULL;
    g_auto(SpCommandResult) result = {0};
    char number[G_ASCII_DTOSTR_BUF_SIZE];
    g_autofree char *command = NULL;
    double seconds;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O$O:sleep", keywords, &duration, &older_name))
        return NULL;
    if ((duration == NULL) == (older_name == NULL))
        return PyErr_Format(PyExc_TypeError, "sleep() takes one duration");
    if (!sp_py_seconds(duration ? duration : older_name, "duration", SP_PY_SECONDS_MAX, &seconds))
        return NULL;
    g_ascii_formatd(number, sizeof number, "%.6f", seconds);
    command = g_strconcat("sleep ", number, NULL);
    if (!sp_py_machine_execute(self, command, SP_NO_TIMEOUT, &result))
        return NULL;
    Py_RETURN_NONE;
}

SP_PY_SERVED(start)
SP_PY_SERVED(connect)
SP_PY_SERVED(wait_for_boot)
SP_PY_SERVED(shutdown)
SP_PY_SERVED_PLAIN(crash)
SP_PY_SERVED(reboot)
SP_PY_SERVED(wait_for_shutdown)
SP_PY_HELD_PLAIN(is_up)
SP_PY_SERVED(copy_from_host)
SP_PY_SERVED(copy_from_machine)
SP_PY_SERVED(copy_from_host_via_shell)
SP_PY_HELD(nested)
SP_PY_SERVED(switch_root)
SP_PY_HELD(log_message)
SP_PY_SERVED(sleep_in_guest)

PyMethodDef sp_py_machine_power_methods[] = {
    SP_PY_METHOD("start", start, SP_PY_KEYWORDS,
        "start(allow_reboot=False)\n--\n\nSwitch the machine on; nothing if it is on. With "
        "allow_reboot, the guest may reboot; otherwise that ends the machine."),
    SP_PY_METHOD("connect", connect, SP_PY_KEYWORDS,
        "connect(timeout=900)\n--\n\nStart it if need be, and wait until the guest takes commands: "
        "in another boot than before, where connected was set to False."),
    SP_PY_METHOD("wait_for_boot", wait_for_boot, SP_PY_KEYWORDS,
        "wait_for_boot(timeout=900)\n--\n\nWait until the guest takes commands in another boot "
        "than "
        "that of the last call, whatever started it: reboot -f, kexec, a watchdog, an updater."),
    SP_PY_METHOD("shutdown", shutdown, SP_PY_KEYWORDS,
        "shutdown(timeout=900)\n--\n\nHave the guest power off in an orderly way, and wait for its "
        "end."),
    SP_PY_METHOD("crash", crash, METH_NOARGS,
        "crash()\n--\n\nCut the power: what the guest had not written out is lost."),
    SP_PY_METHOD("reboot", reboot, SP_PY_KEYWORDS,
        "reboot(timeout=900)\n--\n\nHave the guest reboot, and return when it has left its old "
        "boot."),
    SP_PY_METHOD("wait_for_shutdown", wait_for_shutdown, SP_PY_KEYWORDS,
        "wait_for_shutdown(timeout=None)\n--\n\nWait until the machine has gone off by itself."),
    SP_PY_METHOD_HELD("is_up", is_up, METH_NOARGS, "is_up()\n--\n\nWhether the machine is on."),
    SP_PY_METHOD("copy_from_host", copy_from_host, SP_PY_KEYWORDS,
        "copy_from_host(source, target)\n--\n\nCopy the host's file or folder source to the "
        "guest's target."),
    SP_PY_METHOD("copy_from_machine", copy_from_machine, SP_PY_KEYWORDS,
        "copy_from_machine(source, target_dir='')\n--\n\nCopy the guest's file or folder source "
        "into target_dir, which is below out_dir if it is not absolute."),
    SP_PY_METHOD("copy_from_host_via_shell", copy_from_host_via_shell, SP_PY_KEYWORDS,
        "copy_from_host_via_shell(source, target)\n--\n\nThe same as copy_from_host(), but "
        "'$', and '~' at the begin, mean in target what they mean to a shell."),
    SP_PY_METHOD("copy_from_vm", copy_from_machine, SP_PY_KEYWORDS,
        "copy_from_vm(source, target_dir='')\n--\n\nThe same as copy_from_machine()."),
    SP_PY_METHOD_HELD("nested", nested, SP_PY_KEYWORDS,
        "nested(msg, attrs={})\n--\n\nA context manager: what happens in it stands below msg in "
        "the test's log."),
    SP_PY_METHOD("switch_root", switch_root, SP_PY_KEYWORDS,
        "switch_root(timeout=900)\n--\n\nLeave the initramfs, in which the agent has to run as "
        "well, for the "
        "real root: wait for initrd.target, switch, and wait for the agent there."),
    SP_PY_METHOD_HELD("log", log_message, SP_PY_KEYWORDS,
        "log(msg)\n--\n\nWrite msg to the test's log, with the machine's name."),
    SP_PY_METHOD("sleep", sleep_in_guest, SP_PY_KEYWORDS,
        "sleep(duration)\n--\n\nLet so much of the guest's time pass. The argument may also be "
        "named "
        "secs."),
    {NULL, NULL, 0, NULL},
};

static PyObject *get_name(SpPyMachine *self, void *unused)
{
    return PyUnicode_FromString(sp_machine_name(self->machine));
}

static PyObject *get_out_dir(SpPyMachine *self, void *unused)
{
    return sp_py_path_new(sp_machine_out_dir(self->machine));
}

static PyObject *get_image_dir(SpPyMachine *self, void *unused)
{
    return sp_py_path_new(sp_machine_image_dir(self->machine));
}

static PyObject *get_boot_id(SpPyMachine *self, void *unused)
{
    g_autofree char *text = NULL;

    sp_py_hold();
    text = sp_machine_boot_id(self->machine);
    sp_py_release();
    return *text ? PyUnicode_FromString(text) : Py_NewRef(Py_None);
}

static PyObject *get_connected(SpPyMachine *self, void *unused)
{
    bool is_connected;

    sp_py_hold();
    is_connected = sp_machine_is_connected(self->machine);
    sp_py_release();
    return PyBool_FromLong(is_connected);
}

/* Scripts of NixOS' driver set it to False when the guest is about to reboot. */
static int set_connected(SpPyMachine *self, PyObject *value, void *unused)
{
    int is_connected = value ? PyObject_IsTrue(value) : -1;

    if (!value)
        PyErr_SetString(PyExc_AttributeError, "connected can't be deleted");
    if (is_connected < 0)
        return -1;
    sp_py_hold();
    if (!is_connected)
        sp_machine_expect_boot(self->machine);
    sp_py_release();
    return 0;
}

static PyObject *get_booted(SpPyMachine *self, void *unused)
{
    return held_is_up((PyObject *)self, NULL);
}

/* Accepted for scripts of NixOS' driver; whether it is on is nothing that a script decides. */
static int set_booted(SpPyMachine *self, PyObject *value, void *unused)
{
    if (!value)
        PyErr_SetString(PyExc_AttributeError, "booted can't be deleted");
    return value ? 0 : -1;
}

static PyObject *represent(SpPyMachine *self)
{
    return PyUnicode_FromFormat("<Machine '%s'>", sp_machine_name(self->machine));
}

static void dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    type->tp_free(self);
    Py_DECREF(type);
}

static PyGetSetDef attributes[] = {
    {"name", (getter)get_name, NULL, PyDoc_STR("The machine's name."), NULL},
    {"out_dir", (getter)get_out_dir, NULL,
        PyDoc_STR("The host's folder for what is copied out, as a Path."), NULL},
    {"image_dir", (getter)get_image_dir, NULL,
        PyDoc_STR("The host's folder of the machine's image, as a Path."), NULL},
    {"boot_id", (getter)get_boot_id, NULL,
        PyDoc_STR("The id of the boot in which the last call found the guest, as the guest's "
                  "/proc/sys/kernel/random/boot_id; None before the first."),
        NULL},
    {"connected", (getter)get_connected, (setter)set_connected,
        PyDoc_STR("Whether the guest takes commands. Set to False, it is to be in another boot "
                  "before it is spoken to again; setting it to True has no effect."),
        NULL},
    {"booted", (getter)get_booted, (setter)set_booted,
        PyDoc_STR("Whether the machine is on; setting it has no effect."), NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("A virtual machine of the test. Methods that talk to the guest "
                                  "start it and wait for it where need be.")},
    {Py_tp_dealloc, dealloc},
    {Py_tp_repr, represent},
    {Py_tp_getset, attributes},
    {0, NULL},
};

PyType_Spec sp_py_machine_spec = {
    .name = "slotproof.Machine",
    .basicsize = sizeof(SpPyMachine),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};
