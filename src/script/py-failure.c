/* SPDX-License-Identifier: MIT */

/* What is told of a script that failed, once, and in the order in which it is read: which
 * assertion, in which line, what was expected and seen, the last lines of the consoles, and where
 * the rest lies. */

#include "base/text.h"
#include "script/py-module.h"
#include "script/py-source.h"

#include <string.h>

#define CONSOLE_LINES 20u
#define FRAMES_MAX 20u
/* Of the script, above and below the line that failed. */
#define CONTEXT_LINES 5

/* A call in a file of the test's own. */
typedef struct {
    char *file;
    char *function; /* NULL: the script itself */
    int line;
    int last_line; /* of the statement, or the part of it that was being done */
    PyObject *frame;
} Frame;

static void clear_frame(void *data)
{
    Frame *frame = data;

    g_free(frame->file);
    g_free(frame->function);
    Py_XDECREF(frame->frame);
}

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

/* The script's, and of the modules beside it and in the folder above: not Python's own. */
static bool is_of_test(SpPyState *state, const char *file)
{
    g_autofree char *script = g_canonicalize_filename(state->config->path, NULL);
    g_autofree char *dir = g_path_get_dirname(script);
    g_autofree char *tests = g_path_get_dirname(dir);
    g_autofree char *absolute = g_canonicalize_filename(file, NULL);
    g_autofree char *of = g_path_get_dirname(absolute);

    return g_str_equal(of, dir) || g_str_equal(of, tests);
}

/* The lines of what @trace was doing; the first one's is known anyway. */
static int last_line_of(PyObject *trace, PyObject *code, int line)
{
    long instruction = get_number(trace, "tb_lasti") / 2; /* of two bytes each */
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

static void add_frame(GArray *frames, SpPyState *state, PyObject *trace)
{
    PyObject *python_frame = PyObject_GetAttrString(trace, "tb_frame");
    PyObject *code = python_frame ? PyObject_GetAttrString(python_frame, "f_code") : NULL;
    g_autofree char *name = code ? get_text(code, "co_name") : NULL;
    Frame frame = {.line = (int)get_number(trace, "tb_lineno"), .frame = python_frame};

    frame.file = code ? get_text(code, "co_filename") : NULL;
    frame.function = name && *name != '<' ? g_steal_pointer(&name) : NULL;
    if (frame.file && frame.line > 0 && is_of_test(state, frame.file)) {
        frame.last_line = last_line_of(trace, code, frame.line);
        g_array_append_val(frames, frame);
    } else {
        clear_frame(&frame);
    }
    Py_XDECREF(code);
    PyErr_Clear();
}

/* Frame, the outermost first; of a deep recursion its end. @ret_left_out is given how many not. */
static GArray *get_frames(SpPyState *state, PyObject *trace, guint *ret_left_out)
{
    GArray *frames = g_array_new(FALSE, FALSE, sizeof(Frame));
    g_autoptr(GPtrArray) traces = g_ptr_array_new();

    g_array_set_clear_func(frames, clear_frame);
    for (PyObject *t = trace; t && t != Py_None;) {
        PyObject *next = PyObject_GetAttrString(t, "tb_next");
        g_ptr_array_add(traces, t);
        t = next;
        Py_XDECREF(next); /* the one before holds it */
    }
    PyErr_Clear();
    /* those of Python's own that are passed over are few */
    *ret_left_out = traces->len > FRAMES_MAX ? traces->len - FRAMES_MAX : 0;
    for (guint i = *ret_left_out; i < traces->len; i++)
        add_frame(frames, state, g_ptr_array_index(traces, i));
    return frames;
}

static char *message_of(PyObject *value)
{
    PyObject *text = value ? PyObject_Str(value) : NULL;
    const char *utf8 = text ? PyUnicode_AsUTF8(text) : NULL;
    char *message = g_strdup(utf8 ? utf8 : "");

    Py_XDECREF(text);
    PyErr_Clear();
    return g_strchomp(message);
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

static bool is_assertion(SpPyState *state, PyObject *type)
{
    return PyErr_GivenExceptionMatches(type, PyExc_AssertionError) ||
           PyErr_GivenExceptionMatches(type, state->assertion_failed);
}

static void append_place(GString *report, SpPyState *state, const Frame *frame, bool is_innermost)
{
    g_string_append_printf(
        report, "  %s %s:%d", is_innermost ? "at" : "called from", frame->file, frame->line);
    if (frame->function)
        g_string_append_printf(report, ", in %s()", frame->function);
    if (is_innermost && state->failed_subtest)
        g_string_append_printf(report, ", in subtest '%s'", state->failed_subtest);
    if (!is_innermost) {
        g_autofree char *text = sp_py_source_lines(state, frame->file, frame->line, frame->line);
        g_string_append_printf(report, ": %s", g_strstrip(text));
    }
    g_string_append_c(report, '\n');
}

/* Which assertion, and in which line. */
static void append_frames(
    GString *report, SpPyState *state, PyObject *type, const GArray *frames, guint left_out)
{
    const char *what = PyErr_GivenExceptionMatches(type, PyExc_KeyboardInterrupt) ? "interrupted"
                       : is_assertion(state, type) ? "assertion failed"
                                                   : "failed";

    for (guint i = frames->len; i > 0; i--) {
        const Frame *frame = &g_array_index(frames, Frame, i - 1);

        if (i == frames->len) {
            g_autofree char *text =
                sp_py_source_statement(state, frame->file, frame->line, frame->last_line);
            g_string_append_printf(report, "%s: %s\n", what, text);
        }
        append_place(report, state, frame, i == frames->len);
    }
    if (left_out > 0)
        g_string_append_printf(report, "  [... %u calls left out ...]\n", left_out);
}

/* What was expected and seen; of an assertion that does not say it, the values that it is about. */
static void append_message(GString *report, SpPyState *state, PyObject *type,
    const Frame *innermost, const char *name, const char *message)
{
    g_string_append_printf(
        report, "%s%s%s\n", name ? name : "exception", *message ? ": " : "", message);
    if (innermost && !*message && PyErr_GivenExceptionMatches(type, PyExc_AssertionError)) {
        g_autofree char *values = sp_py_source_values(
            state, innermost->frame, innermost->file, innermost->line, innermost->last_line);
        g_string_append(report, values);
    }
}

/* For reports: the line that failed, with those around it as they are now. */
static void log_failure(SpPyState *state, const Frame *innermost, const char *message)
{
    JsonObject *members = json_object_new();

    json_object_set_string_member(members, "text", message);
    if (state->failed_subtest)
        json_object_set_string_member(members, "subtest", state->failed_subtest);
    if (innermost) {
        int first = MAX(1, innermost->line - CONTEXT_LINES);
        g_autofree char *source =
            sp_py_source_lines(state, innermost->file, first, innermost->last_line + CONTEXT_LINES);

        json_object_set_string_member(members, "file", innermost->file);
        json_object_set_int_member(members, "line", innermost->line);
        json_object_set_int_member(members, "last_line", innermost->last_line);
        json_object_set_int_member(members, "first", first);
        json_object_set_string_member(members, "source", source);
    }
    sp_log_event(state->config->log, "failure", members);
}

static char *write_report(SpPyState *state, PyObject *type, PyObject *value, PyObject *trace)
{
    GString *report = g_string_new(NULL);
    g_autofree char *name = get_text(type, "__name__");
    g_autofree char *message = message_of(value);
    guint left_out;
    g_autoptr(GArray) frames = get_frames(state, trace, &left_out);
    const Frame *innermost =
        frames->len > 0 ? &g_array_index(frames, Frame, frames->len - 1) : NULL;
    gsize begin;

    append_frames(report, state, type, frames, left_out);
    begin = report->len;
    append_message(report, state, type, innermost, name, message);
    log_failure(state, innermost, report->str + begin);
    append_consoles(report, state, message);
    if (state->config->out_dir)
        g_string_append_printf(report,
            "The rest lies in %s: the log, consoles, journals, screens\n", state->config->out_dir);
    return g_string_free(report, FALSE);
}

char *sp_py_failure_report(SpPyState *state)
{
    PyObject *type, *value, *trace;
    char *report = NULL;

    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    if (!is_good_exit(type, value))
        report = write_report(state, type, value, trace);
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
