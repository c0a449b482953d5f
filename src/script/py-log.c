/* SPDX-License-Identifier: MIT */

/* The script's ways to the test's log: `log`, and what it prints. */

#include "script/py-text.h"

#include <string.h>
#include <unistd.h>

#define LINE_MAX_LENGTH 65536u

static PyObject *log_message(PyObject *self, PyObject *args, PyObject *kwargs)
{
    g_autofree char *message = sp_py_utf8_argument(args, kwargs, "msg", "O:log");

    if (!message)
        return NULL;
    sp_log(sp_py_state(self)->config->log, NULL, "%s", message);
    Py_RETURN_NONE;
}

static void dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    type->tp_free(self);
    Py_DECREF(type);
}

#define LOG_METHOD(name)                                                                           \
    {                                                                                              \
        name, (PyCFunction)(void (*)(void))log_message, METH_VARARGS | METH_KEYWORDS,              \
            PyDoc_STR(name "(msg)\n--\n\nWrite msg, an object as print() takes it, to the "        \
                           "test's log.")                                                          \
    }

static PyObject *log_nested(PyObject *self, PyObject *args, PyObject *kwargs)
{
    return sp_py_nested_new(sp_py_state(self), NULL, args, kwargs);
}

/* NixOS' driver has levels; here all of them are one. */
static PyMethodDef log_methods[] = {
    LOG_METHOD("log"),
    LOG_METHOD("info"),
    LOG_METHOD("warning"),
    LOG_METHOD("error"),
    {"nested", (PyCFunction)(void (*)(void))log_nested, METH_VARARGS | METH_KEYWORDS,
        PyDoc_STR("nested(msg, attrs={})\n--\n\nA context manager: what happens in it stands below "
                  "msg in the test's log.")},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot log_slots[] = {
    {Py_tp_dealloc, dealloc},
    {Py_tp_call, log_message},
    {Py_tp_methods, log_methods},
    {0, NULL},
};

PyType_Spec sp_py_log_spec = {
    .name = "slotproof.Log",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = log_slots,
};

/* What stands for sys.stdout and sys.stderr: whole lines go to the log. */
typedef struct {
    PyObject_HEAD GString *line;
} Stream;

static void log_line(Stream *self)
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
            log_line(self);
    }
    return PyLong_FromSsize_t(PyUnicode_GET_LENGTH(arg));
}

static PyObject *stream_flush(Stream *self, PyObject *unused)
{
    if (self->line && self->line->len > 0)
        log_line(self);
    Py_RETURN_NONE;
}

/* For programs that are to write there: what they write goes to the log as well. */
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
    dealloc(self);
}

static PyMethodDef stream_methods[] = {
    {"write", (PyCFunction)(void (*)(void))stream_write, METH_O, NULL},
    {"flush", (PyCFunction)(void (*)(void))stream_flush, METH_NOARGS, NULL},
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
