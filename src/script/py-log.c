/* SPDX-License-Identifier: MIT */

/* How a script writes to the test's log: `log`, and what it prints. */

#include "script/api.h"
#include "script/py-text.h"
#include "script/py-threads.h"

#include <string.h>
#include <unistd.h>

#define LINE_MAX_LENGTH 65536u

/* The NixOS test driver has levels; here all of them are one. */
PyObject *sp_py_log_message(PyObject *self, const char *message)
{
    sp_log(sp_py_state(self)->config->log, NULL, "%s", message);
    Py_RETURN_NONE;
}

/* As in the NixOS test driver: not only a level, but the test's end. */
PyObject *sp_py_log_error(PyObject *self, const char *message)
{
    sp_log(sp_py_state(self)->config->log, NULL, "%s", message);
    PyErr_SetString(PyExc_SystemExit, message);
    return NULL;
}

static PyType_Slot log_slots[] = {
    {Py_tp_doc, (void *)SP_PY_LOG_DOC},
    {Py_tp_dealloc, sp_py_free_object},
    {Py_tp_call, sp_py_log_type_call},
    {Py_tp_methods, sp_py_log_methods},
    {0, NULL},
};

PyType_Spec sp_py_log_spec = {
    .name = "slotproof.Log",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = log_slots,
};

/* Replaces sys.stdout and sys.stderr: whole lines go to the log. */
typedef struct {
    PyObject_HEAD GString *line;
} Stream;

static void log_printed_line(Stream *self)
{
    const SpScriptConfig *config = sp_py_state((PyObject *)self)->config;

    sp_log_printed(config->log, self->line->str);
    if (config->print_func)
        config->print_func(self->line->str, config->print_data);
    g_string_truncate(self->line, 0);
}

static PyObject *stream_write(Stream *self, PyObject *arg)
{
    g_autofree char *text = PyUnicode_Check(arg) ? sp_py_utf8(arg) : NULL;

    if (!text)
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_TypeError, "write() takes a str");
    if (!self->line)
        self->line = g_string_new(NULL);
    for (const char *p = text; *p; p++) {
        if (*p != '\n')
            g_string_append_c(self->line, *p);
        if (*p == '\n' || self->line->len >= LINE_MAX_LENGTH)
            log_printed_line(self);
    }
    return PyLong_FromSsize_t(PyUnicode_GET_LENGTH(arg));
}

static PyObject *stream_flush(Stream *self, PyObject *unused)
{
    if (self->line && self->line->len > 0)
        log_printed_line(self);
    Py_RETURN_NONE;
}

/* For programs that write there: their output goes to the log as well. */
static PyObject *stream_fileno(Stream *self, PyObject *unused)
{
    return PyLong_FromLong(STDOUT_FILENO);
}

static PyObject *stream_isatty(Stream *self, PyObject *unused)
{
    Py_RETURN_FALSE;
}

static void stream_dealloc(PyObject *self)
{
    GString *line = ((Stream *)self)->line;

    if (line)
        g_string_free(line, TRUE);
    sp_py_free_object(self);
}

SP_PY_HELD_PLAIN(stream_write)
SP_PY_HELD_PLAIN(stream_flush)

static PyMethodDef stream_methods[] = {
    {"write", held_stream_write, METH_O, NULL},
    {"flush", held_stream_flush, METH_NOARGS, NULL},
    {"fileno", (PyCFunction)(void (*)(void))stream_fileno, METH_NOARGS, NULL},
    {"isatty", (PyCFunction)(void (*)(void))stream_isatty, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot stream_slots[] = {
    {Py_tp_dealloc, stream_dealloc},
    {Py_tp_methods, stream_methods},
    {0, NULL},
};

PyType_Spec sp_py_stream_spec = {
    .name = "slotproof.Stream",
    .basicsize = sizeof(Stream),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = stream_slots,
};
