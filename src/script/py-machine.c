/* SPDX-License-Identifier: MIT */

/* The type Machine: its attributes, and those of its methods that have no subject of their own. */

#include "script/py-machine.h"
#include "machine/machine-console.h"
#include "machine/machine-guest.h"
#include "machine/machine-network.h"
#include "script/api.h"
#include "script/py-text.h"

#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

SpLog *sp_py_log_of(SpPyMachine *self)
{
    return sp_py_state((PyObject *)self)->config->log;
}

gint64 sp_py_machine_default_timeout_ms(SpPyMachine *self)
{
    return (gint64)(SP_DEFAULT_TIMEOUT_MS * sp_machine_time_factor(self->machine));
}

PyObject *sp_py_machine_raise(SpPyMachine *self, const char *format, ...)
{
    PyObject *text;
    va_list args;

    va_start(args, format);
    text = PyUnicode_FromFormatV(format, args);
    va_end(args);
    if (text)
        PyErr_Format(sp_py_state((PyObject *)self)->assertion_failed, "machine '%s': %U",
            sp_machine_name(self->machine), text);
    Py_XDECREF(text);
    return NULL;
}

PyObject *sp_py_machine_is_up(SpPyMachine *self)
{
    return PyBool_FromLong(sp_machine_is_up(self->machine));
}

/* What the guest's shell makes of @path, as the NixOS test driver does; NULL with an exception. */
static char *expand_in_guest(SpPyMachine *self, const char *path)
{
    g_autofree char *command = g_strconcat("printf %s ", path, NULL);
    g_auto(SpCommandResult) result = {0};

    if (*path != '~' && !strchr(path, '$'))
        return g_strdup(path);
    if (!sp_py_machine_run(self, command, SP_DEFAULT_TIMEOUT_MS, &result))
        return NULL;
    if (result.status == 0)
        return g_strdup(result.output->str);
    g_autofree char *errors = sp_py_excerpt(result.errors);
    sp_py_machine_raise(self, "the guest's shell can't expand '%s': %s", path, errors);
    return NULL;
}

PyObject *sp_py_machine_copy_from_host_via_shell(
    SpPyMachine *self, const char *source, const char *target)
{
    g_autofree char *expanded = expand_in_guest(self, target);

    if (!expanded)
        return NULL;
    return PyObject_CallMethod((PyObject *)self, "copy_from_host", "yy", source, expanded);
}

PyObject *sp_py_machine_sleep(SpPyMachine *self, double duration)
{
    g_auto(SpCommandResult) result = {0};
    char number[G_ASCII_DTOSTR_BUF_SIZE];
    g_autofree char *command = NULL;

    g_ascii_formatd(number, sizeof number, "%.6f", duration);
    command = g_strconcat("sleep ", number, NULL);
    return sp_py_machine_run(self, command, SP_NO_TIMEOUT, &result) ? Py_NewRef(Py_None) : NULL;
}

PyObject *sp_py_machine_set_link(SpPyMachine *self, const char *network, double loss, double delay)
{
    GError *error = NULL;

    if (!(loss >= 0 && loss <= 1))
        return PyErr_Format(PyExc_ValueError, "loss is a fraction, from 0.0 to 1.0");
    if (!sp_machine_set_cable(self->machine, network, loss, (guint)lround(delay * 1000), &error))
        return sp_py_raise(sp_py_state((PyObject *)self), error);
    Py_RETURN_NONE;
}

PyObject *sp_py_machine_get_console_log(SpPyMachine *self)
{
    g_autofree char *text = sp_machine_console_log(self->machine);

    return PyUnicode_FromString(text);
}

PyObject *sp_py_machine_log(SpPyMachine *self, const char *msg)
{
    sp_log(sp_py_log_of(self), sp_machine_name(self->machine), "%s", msg);
    Py_RETURN_NONE;
}

PyObject *sp_py_machine_get_name(SpPyMachine *self)
{
    return PyUnicode_FromString(sp_machine_name(self->machine));
}

PyObject *sp_py_machine_get_out_dir(SpPyMachine *self)
{
    return sp_py_path_new(sp_machine_out_dir(self->machine));
}

PyObject *sp_py_machine_get_image_dir(SpPyMachine *self)
{
    return sp_py_path_new(sp_machine_image_dir(self->machine));
}

PyObject *sp_py_machine_get_boot_id(SpPyMachine *self)
{
    g_autofree char *text = sp_machine_boot_id(self->machine);

    return *text ? PyUnicode_FromString(text) : Py_NewRef(Py_None);
}

PyObject *sp_py_machine_get_connected(SpPyMachine *self)
{
    return PyBool_FromLong(sp_machine_is_connected(self->machine));
}

int sp_py_machine_set_connected(SpPyMachine *self, bool value)
{
    if (!value)
        sp_machine_expect_boot(self->machine);
    return 0;
}

PyObject *sp_py_machine_get_booted(SpPyMachine *self)
{
    return sp_py_machine_is_up(self);
}

/* Accepted for scripts of the NixOS test driver. */
int sp_py_machine_set_booted(SpPyMachine *self, bool value)
{
    return 0;
}

/* A directory below out_dir, created when it is first asked for. */
static PyObject *make_dir(SpPyMachine *self, const char *name)
{
    g_autofree char *path = g_build_filename(sp_machine_out_dir(self->machine), name, NULL);

    if (g_mkdir_with_parents(path, 0777) < 0)
        return PyErr_SetFromErrnoWithFilename(PyExc_OSError, path);
    return sp_py_path_new(path);
}

PyObject *sp_py_machine_get_tmp_dir(SpPyMachine *self)
{
    return make_dir(self, "tmp");
}

PyObject *sp_py_machine_get_shared_dir(SpPyMachine *self)
{
    return make_dir(self, "tmp/shared-xchg");
}

PyObject *sp_py_machine_get_state_dir(SpPyMachine *self)
{
    g_autofree char *name = g_strconcat("tmp/vm-state-", sp_machine_name(self->machine), NULL);

    return make_dir(self, name);
}

PyObject *sp_py_machine_get_pid(SpPyMachine *self)
{
    int pid = sp_machine_pid(self->machine);

    return pid ? PyLong_FromLong(pid) : Py_NewRef(Py_None);
}

PyObject *sp_py_machine_get_logger(SpPyMachine *self)
{
    PyTypeObject *type = sp_py_state((PyObject *)self)->log_type;

    return type->tp_alloc(type, 0);
}

PyObject *sp_py_machine_get_qmp_client(SpPyMachine *self)
{
    if (!sp_machine_is_up(self->machine))
        Py_RETURN_NONE;
    return sp_py_qmp_session_new(self);
}

PyObject *sp_py_machine_get_full_console_log(SpPyMachine *self)
{
    PyObject *text = PyObject_CallMethod((PyObject *)self, "get_console_log", NULL);
    PyObject *lines = text ? PyUnicode_Splitlines(text, 0) : NULL;

    Py_XDECREF(text);
    return lines;
}

static PyObject *represent_machine(SpPyMachine *self)
{
    return PyUnicode_FromFormat("<Machine '%s'>", sp_machine_name(self->machine));
}

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)SP_PY_MACHINE_DOC},
    {Py_tp_dealloc, sp_py_free_object},
    {Py_tp_repr, represent_machine},
    {Py_tp_methods, sp_py_machine_methods},
    {Py_tp_getset, sp_py_machine_attributes},
    {0, NULL},
};

PyType_Spec sp_py_machine_spec = {
    .name = "slotproof.Machine",
    .basicsize = sizeof(SpPyMachine),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};

PyObject *sp_py_machine_new(SpPyState *state, SpMachine *machine)
{
    SpPyMachine *object = (SpPyMachine *)state->machine_type->tp_alloc(state->machine_type, 0);

    if (object)
        object->machine = machine;
    return (PyObject *)object;
}
