/* SPDX-License-Identifier: MIT */

/* What is told of a script that failed: once, and in the order in which it is read. */

#include "script/py-module.h"

#include <string.h>

#define CONSOLE_LINES 20u
#define FRAMES_MAX 20u

/* An attribute as a new string; NULL, with no exception left, where it is missing. */
static char *get_text(PyObject *object, const char *name)
{
    PyObject *value = PyObject_GetAttrString(object, name);
    const char *text = value && PyUnicode_Check(value) ? PyUnicode_AsUTF8(value) : NULL;
    char *copy = g_strdup(text);

    Py_XDECREF(value);
    PyErr_Clear();
    return copy;
}

static long get_number(PyObject *object, const char *name)
{
    PyObject *value = PyObject_GetAttrString(object, name);
    long number = value && PyLong_Check(value) ? PyLong_AsLong(value) : 0;

    Py_XDECREF(value);
    PyErr_Clear();
    return number;
}

static void append_frame(GString *report, SpPyState *state, PyObject *trace, char **lines)
{
    PyObject *frame = PyObject_GetAttrString(trace, "tb_frame");
    PyObject *code = frame ? PyObject_GetAttrString(frame, "f_code") : NULL;
    g_autofree char *file = code ? get_text(code, "co_filename") : NULL;
    g_autofree char *name = code ? get_text(code, "co_name") : NULL;
    long line = get_number(trace, "tb_lineno");

    Py_XDECREF(code);
    Py_XDECREF(frame);
    PyErr_Clear();
    if (g_strcmp0(file, state->config->path) != 0)
        return;
    g_string_append_printf(report, "%s:%ld:", file, line);
    if (name && *name != '<')
        g_string_append_printf(report, " in %s():", name);
    if (line > 0 && line <= (long)g_strv_length(lines)) {
        g_autofree char *text = g_strstrip(g_strdup(lines[line - 1]));
        g_string_append_printf(report, " %s", text);
    }
    g_string_append_c(report, '\n');
}

/* The script's own frames, the outermost first; of a deep recursion its end. */
static void append_frames(GString *report, SpPyState *state, PyObject *trace, const char *source)
{
    g_auto(GStrv) lines = g_strsplit(source, "\n", -1);
    g_autoptr(GPtrArray) traces = g_ptr_array_new();
    guint from;

    for (PyObject *t = trace; t && t != Py_None;) {
        PyObject *next = PyObject_GetAttrString(t, "tb_next");
        g_ptr_array_add(traces, t);
        t = next;
        Py_XDECREF(next); /* the one before holds it */
    }
    PyErr_Clear();
    from = traces->len > FRAMES_MAX ? traces->len - FRAMES_MAX : 0;
    if (from > 0)
        g_string_append_printf(report, "[... %u calls left out ...]\n", from);
    for (guint i = from; i < traces->len; i++)
        append_frame(report, state, g_ptr_array_index(traces, i), lines);
}

static char *message_of(PyObject *value)
{
    PyObject *text = value ? PyObject_Str(value) : NULL;
    const char *utf8 = text ? PyUnicode_AsUTF8(text) : NULL;
    char *message = g_strdup(utf8 ? utf8 : "");

    Py_XDECREF(text);
    PyErr_Clear();
    return message;
}

static bool is_told_already(const char *message, const char *name)
{
    g_autofree char *subject = g_strdup_printf("machine '%s': ", name);

    return strstr(message, subject) && strstr(message, "The last lines of its console:");
}

static void append_consoles(GString *report, SpPyState *state, const char *message)
{
    for (guint i = 0; i < state->machines->len; i++) {
        SpMachine *machine = g_ptr_array_index(state->machines, i);
        const char *name = sp_machine_name(machine);
        g_autofree char *tail = sp_machine_console_tail(machine, CONSOLE_LINES);

        if (!tail || !*tail || is_told_already(message, name))
            continue;
        g_string_append_printf(
            report, "The last lines of the console of '%s':\n%s", name, g_strchomp(tail));
        g_string_append_c(report, '\n');
    }
}

/* sys.exit() without a failure: the script is at its end. */
static bool is_good_exit(PyObject *type, PyObject *value)
{
    PyObject *code;
    bool is_good;

    if (!PyErr_GivenExceptionMatches(type, PyExc_SystemExit))
        return false;
    code = PyObject_GetAttrString(value, "code");
    is_good = code && (code == Py_None || (PyLong_Check(code) && PyObject_Not(code) == 1));
    Py_XDECREF(code);
    PyErr_Clear();
    return is_good;
}

static char *write_report(
    SpPyState *state, PyObject *type, PyObject *value, PyObject *trace, const char *source)
{
    GString *report = g_string_new(NULL);
    g_autofree char *name = get_text(type, "__name__");
    g_autofree char *message = message_of(value);

    if (state->failed_subtest)
        g_string_append_printf(report, "in subtest '%s':\n", state->failed_subtest);
    append_frames(report, state, trace, source);
    g_string_append_printf(
        report, "%s%s%s\n", name ? name : "exception", *message ? ": " : "", g_strchomp(message));
    append_consoles(report, state, message);
    if (state->config->out_dir)
        g_string_append_printf(
            report, "The whole log and the consoles are in %s\n", state->config->out_dir);
    return g_string_free(report, FALSE);
}

char *sp_py_failure_report(SpPyState *state, const char *source)
{
    PyObject *type, *value, *trace;
    char *report = NULL;

    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    if (!is_good_exit(type, value))
        report = write_report(state, type, value, trace, source);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(trace);
    return report;
}

char *sp_py_syntax_report(SpPyState *state)
{
    PyObject *type, *value, *trace;
    g_autofree char *reason = NULL;
    g_autofree char *text = NULL;
    char *report;
    long line;

    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    reason = get_text(value, "msg");
    if (!reason)
        reason = message_of(value);
    text = get_text(value, "text");
    line = get_number(value, "lineno");
    report = g_strdup_printf("%s:%ld: %s%s%s", state->config->path, line > 0 ? line : 1, reason,
        text ? ": " : "", text ? g_strstrip(text) : "");
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(trace);
    return report;
}
