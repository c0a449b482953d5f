/* SPDX-License-Identifier: MIT */
#include "script/py-frames.h"

#include "script/py-text.h"

#define OUTER_MAX 5u
#define INNER_MAX 15u

static void clear_frame(void *data)
{
    SpPyFrame *frame = data;

    g_free(frame->file);
    g_free(frame->function);
    Py_XDECREF(frame->frame);
}

char *sp_py_get_text(PyObject *object, const char *name)
{
    PyObject *value = PyObject_GetAttrString(object, name);
    char *text = value && PyUnicode_Check(value) ? sp_py_utf8(value) : NULL;

    Py_XDECREF(value);
    PyErr_Clear();
    return text;
}

long sp_py_get_number(PyObject *object, const char *name)
{
    PyObject *value = PyObject_GetAttrString(object, name);
    long number = value && PyLong_Check(value) ? PyLong_AsLong(value) : 0;

    Py_XDECREF(value);
    PyErr_Clear();
    return number;
}

/* Whether @file is the script, or a module beside it or in the directory of tests. */
static bool is_of_test(SpPyState *state, const char *file)
{
    g_autofree char *script = g_canonicalize_filename(state->config->path, NULL);
    g_autofree char *dir = g_path_get_dirname(script);
    g_autofree char *tests = sp_py_tests_dir(state->config);
    g_autofree char *absolute = g_canonicalize_filename(file, NULL);
    g_autofree char *of = g_path_get_dirname(absolute);

    return g_str_equal(of, dir) || g_str_equal(of, tests);
}

/* The last line of the statement that @trace was executing in @line. */
static int last_line_of(PyObject *trace, PyObject *code, int line)
{
    long instruction = sp_py_get_number(trace, "tb_lasti") / 2; /* each has two bytes */
    PyObject *positions = PyObject_CallMethod(code, "co_positions", NULL);
    PyObject *position = NULL, *column, *last_column;
    int first, last;

    for (long i = 0; positions && i <= instruction; i++) {
        Py_XDECREF(position);
        position = PyIter_Next(positions);
        if (!position)
            break;
    }
    if (!position || !PyArg_ParseTuple(position, "iiOO", &first, &last, &column, &last_column) ||
        last < line)
        last = line;
    Py_XDECREF(position);
    Py_XDECREF(positions);
    PyErr_Clear();
    return last;
}

/* The code that @trace, an entry of a traceback, is about: a new reference, or NULL. */
static PyObject *find_code(PyObject *trace)
{
    PyObject *frame = PyObject_GetAttrString(trace, "tb_frame");
    PyObject *code = frame ? PyObject_GetAttrString(frame, "f_code") : NULL;

    Py_XDECREF(frame);
    PyErr_Clear();
    return code;
}

/* The name of the file that @code is from, in bytes as it was opened; NULL for none. */
static char *find_file(PyObject *code)
{
    PyObject *name = code ? PyObject_GetAttrString(code, "co_filename") : NULL;
    PyObject *bytes = name && PyUnicode_Check(name) ? PyUnicode_EncodeFSDefault(name) : NULL;
    char *file = bytes ? g_strdup(PyBytes_AS_STRING(bytes)) : NULL;

    Py_XDECREF(bytes);
    Py_XDECREF(name);
    PyErr_Clear();
    return file;
}

/* The entries of @trace that are in the test's own files; each holds the next. */
static GPtrArray *list_own(SpPyState *state, PyObject *trace)
{
    GPtrArray *own = g_ptr_array_new();
    PyObject *last_code = NULL; /* most entries of a deep recursion are in one function */
    bool is_own = false;

    for (PyObject *t = trace; t && t != Py_None;) {
        PyObject *code = find_code(t);
        PyObject *next = PyObject_GetAttrString(t, "tb_next");

        if (code != last_code) {
            g_autofree char *file = find_file(code);
            is_own = file && is_of_test(state, file);
        }
        Py_XDECREF(last_code);
        last_code = code;
        if (is_own && sp_py_get_number(t, "tb_lineno") > 0)
            g_ptr_array_add(own, t);
        t = next;
        Py_XDECREF(next); /* the one before holds it */
    }
    Py_XDECREF(last_code);
    PyErr_Clear();
    return own;
}

static void add_frame(GArray *frames, PyObject *trace, guint left_out)
{
    PyObject *code = find_code(trace);
    g_autofree char *name = code ? sp_py_get_text(code, "co_name") : NULL;
    SpPyFrame frame = {.line = (int)sp_py_get_number(trace, "tb_lineno"), .left_out = left_out};

    frame.frame = PyObject_GetAttrString(trace, "tb_frame");
    frame.file = find_file(code);
    frame.function = name && *name != '<' ? g_steal_pointer(&name) : NULL;
    if (frame.file && frame.frame) {
        frame.last_line = last_line_of(trace, code, frame.line);
        g_array_append_val(frames, frame);
    } else {
        clear_frame(&frame);
    }
    Py_XDECREF(code);
    PyErr_Clear();
}

GArray *sp_py_frames(SpPyState *state, PyObject *trace)
{
    GArray *frames = g_array_new(FALSE, FALSE, sizeof(SpPyFrame));
    g_autoptr(GPtrArray) own = list_own(state, trace);
    guint left_out = own->len > OUTER_MAX + INNER_MAX ? own->len - OUTER_MAX - INNER_MAX : 0;

    g_array_set_clear_func(frames, clear_frame);
    for (guint i = 0; i < own->len; i++) {
        bool is_after = left_out > 0 && i == OUTER_MAX;

        if (is_after)
            i += left_out;
        add_frame(frames, g_ptr_array_index(own, i), is_after ? left_out : 0);
    }
    return frames;
}
