/* SPDX-License-Identifier: MIT */

/* The report of a script that failed, in the order in which it is read: which assertion, in which
 * line, what was expected and seen, the last lines of the consoles, and where the rest is. All
 * exceptions of a chain are reported, oldest first, as in Python's own tracebacks.
 *
 * Its length is limited here, for the terminal, the log and all reports. */

#include "base/text.h"
#include "machine/machine-console.h"
#include "script/py-chain.h"
#include "script/py-frames.h"
#include "script/py-source.h"
#include "script/py-text.h"

#include <string.h>

#define CONSOLE_LINES 20u
/* In bytes: one exception's message or note, everything about one exception, all of them. */
#define MESSAGE_MAX 8192u
#define REASON_MAX 12288u
#define CHAIN_MAX 49152u
/* How many exceptions are reported, how deep in groups, and how many notes of each. */
#define EXCEPTIONS_MAX 40u
#define DEPTH_MAX 6u
#define NOTES_MAX 20
/* Lines of the script above and below the one that failed. */
#define CONTEXT_LINES 5

static char *message_of(PyObject *value)
{
    g_autofree char *text = sp_py_utf8(value);
    char *message = text ? sp_text_excerpt(text, strlen(text), MESSAGE_MAX)
                         : g_strdup("<its __str__() failed>");

    PyErr_Clear();
    return g_strchomp(message);
}

/* Consoles whose last lines an error of machine/ has shown are not repeated. */
static void append_consoles(GString *report, SpPyState *state, const char *shown)
{
    for (guint i = 0; i < state->machines->len; i++) {
        SpMachine *machine = g_ptr_array_index(state->machines, i);
        g_autofree char *tail = sp_machine_console_tail(machine, CONSOLE_LINES);

        if (!tail || !*g_strchomp(tail) || strstr(shown, tail))
            continue;
        g_string_append_printf(
            report, "The last lines of the console of '%s':\n%s\n", sp_machine_name(machine), tail);
    }
}

bool sp_py_is_good_exit(PyObject *type, PyObject *value)
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

/* The state of writing a report. */
typedef struct {
    SpPyState *state;
    GHashTable *seen; /* exceptions that are reported already */
    guint room;       /* how many more exceptions are reported */
    PyObject *primary;
    char *subtest;  /* that failed; NULL if none did */
    char *headline; /* of the primary exception, like the next two */
    char *reason;
    SpPyFrame innermost; /* its file is NULL if there is none */
} Telling;

static void append_place(GString *text, const Telling *telling, const SpPyFrame *frame,
    bool is_innermost, bool is_primary)
{
    g_autofree char *file = g_utf8_make_valid(frame->file, -1);

    g_string_append_printf(
        text, "  %s %s:%d", is_innermost ? "at" : "called from", file, frame->line);
    if (frame->function)
        g_string_append_printf(text, ", in %s()", frame->function);
    if (is_innermost && is_primary && telling->subtest)
        g_string_append_printf(text, ", in subtest '%s'", telling->subtest);
    if (!is_innermost) {
        g_autofree char *source =
            sp_py_source_lines(telling->state, frame->file, frame->line, frame->line);
        g_string_append_printf(text, ": %s", g_strstrip(source));
    }
    g_string_append_c(text, '\n');
}

/* The assertion: "assertion failed: ...". */
static char *describe_statement(SpPyState *state, PyObject *type, const SpPyFrame *frame)
{
    const char *what = PyErr_GivenExceptionMatches(type, PyExc_KeyboardInterrupt) ? "interrupted"
                       : is_assertion(state, type) ? "assertion failed"
                                                   : "failed";
    g_autofree char *text =
        sp_py_source_statement(state, frame->file, frame->line, frame->last_line);

    return g_strdup_printf("%s: %s", what, text);
}

/* The line, and the calls that led to it. */
static void append_frames(
    GString *text, const Telling *telling, const GArray *frames, bool is_primary)
{
    for (guint i = frames->len; i > 0; i--) {
        const SpPyFrame *frame = &g_array_index(frames, SpPyFrame, i - 1);

        append_place(text, telling, frame, i == frames->len, is_primary);
        if (frame->left_out > 0)
            g_string_append_printf(text, "  [... %u calls left out ...]\n", frame->left_out);
    }
}

/* What add_note() has added to the exception, each on its own lines. */
static void append_notes(GString *text, PyObject *value)
{
    PyObject *notes = PyObject_GetAttrString(value, "__notes__");
    bool is_list = notes && PyList_Check(notes);
    Py_ssize_t n = is_list ? PyList_GET_SIZE(notes) : notes ? 1 : 0;

    PyErr_Clear();
    for (Py_ssize_t i = 0; i < MIN(n, NOTES_MAX); i++) {
        g_autofree char *note = message_of(is_list ? PyList_GET_ITEM(notes, i) : notes);
        g_string_append_printf(text, "%s\n", note);
    }
    if (n > NOTES_MAX)
        g_string_append_printf(text, "[... %zd notes left out ...]\n", n - NOTES_MAX);
    Py_XDECREF(notes);
}

/* What was expected and seen, or the values in an assertion that does not say it. */
static char *describe_reason(
    SpPyState *state, PyObject *type, PyObject *value, const SpPyFrame *innermost)
{
    g_autofree char *name = sp_py_get_text(type, "__name__");
    g_autofree char *message = message_of(value);
    g_autoptr(GString) text = g_string_new(NULL);

    g_string_append_printf(
        text, "%s%s%s\n", name ? name : "exception", *message ? ": " : "", message);
    if (innermost && !*message && PyErr_GivenExceptionMatches(type, PyExc_AssertionError)) {
        g_autofree char *values = sp_py_source_values(
            state, innermost->frame, innermost->file, innermost->line, innermost->last_line);
        g_string_append(text, values);
    }
    append_notes(text, value);
    return sp_text_excerpt(text->str, text->len, REASON_MAX);
}

static void append_exception(GString *text, Telling *telling, PyObject *value)
{
    PyObject *type = (PyObject *)Py_TYPE(value);
    PyObject *trace = PyException_GetTraceback(value);
    g_autoptr(GArray) frames = sp_py_frames(telling->state, trace);
    SpPyFrame *innermost =
        frames->len > 0 ? &g_array_index(frames, SpPyFrame, frames->len - 1) : NULL;
    g_autofree char *headline =
        innermost ? describe_statement(telling->state, type, innermost) : NULL;
    g_autofree char *reason = describe_reason(telling->state, type, value, innermost);
    bool is_primary = value == telling->primary;

    if (headline)
        g_string_append_printf(text, "%s\n", headline);
    append_frames(text, telling, frames, is_primary);
    g_string_append(text, reason);
    if (is_primary && !telling->reason) {
        telling->headline = g_steal_pointer(&headline);
        telling->reason = g_steal_pointer(&reason);
        if (innermost) {
            telling->innermost = *innermost;
            telling->innermost.file = g_strdup(innermost->file);
        }
    }
    Py_XDECREF(trace);
}

static void append_chain(GString *text, Telling *telling, GArray *chain, guint depth);

/* Each line of @inner, two columns to the right. */
static void append_indented(GString *text, const char *inner)
{
    for (const char *line = inner; *line;) {
        gsize length = strcspn(line, "\n");

        g_string_append_printf(text, "%s%.*s\n", length > 0 ? "  " : "", (int)length, line);
        line += length + (line[length] == '\n');
    }
}

/* The members of a group, each with what led to it. */
static void append_members(GString *text, Telling *telling, PyObject *value, guint depth)
{
    PyObject *members = PyObject_TypeCheck(value, (PyTypeObject *)PyExc_BaseExceptionGroup)
                            ? PyObject_GetAttrString(value, "exceptions")
                            : NULL;
    Py_ssize_t n = members && PyTuple_Check(members) ? PyTuple_GET_SIZE(members) : 0;
    Py_ssize_t i;

    PyErr_Clear();
    for (i = 0; i < n && depth < DEPTH_MAX && telling->room > 0; i++) {
        g_autoptr(GString) inner = g_string_new(NULL);
        g_autoptr(GArray) chain = sp_py_chain(PyTuple_GET_ITEM(members, i), telling->seen);

        g_string_append_printf(text, "  %zd of %zd:\n", i + 1, n);
        append_chain(inner, telling, chain, depth + 1);
        if (chain->len == 0)
            g_string_append(inner, "(it is among those above)\n");
        append_indented(text, inner->str);
    }
    if (i < n)
        g_string_append_printf(text, "  [... %zd exceptions left out ...]\n", n - i);
    Py_XDECREF(members);
}

static void append_chain(GString *text, Telling *telling, GArray *chain, guint depth)
{
    static const char *const sentences[] = {
        [SP_PY_CONTEXT] =
            "\nDuring handling of the above exception, another exception occurred:\n\n",
        [SP_PY_CAUSE] =
            "\nThe above exception was the direct cause of the following exception:\n\n",
    };

    for (guint i = 0; i < chain->len; i++) {
        const SpPyLink *link = &g_array_index(chain, SpPyLink, i);

        if (link->left_out > 0)
            g_string_append_printf(text, "\n[... %u exceptions left out ...]\n", link->left_out);
        if (i > 0)
            g_string_append(text, sentences[link->kind]);
        telling->room -= telling->room > 0;
        append_exception(text, telling, link->value);
        append_members(text, telling, link->value, depth);
    }
}

/* The exception that a report is about: the last one, as in Python, unless an assertion failed and
 * something else during the cleanup after it. */
static PyObject *find_primary(SpPyState *state, const GArray *chain)
{
    PyObject *primary = g_array_index(chain, SpPyLink, chain->len - 1).value;

    for (guint i = chain->len; i > 0; i--) {
        const SpPyLink *link = &g_array_index(chain, SpPyLink, i - 1);

        if (is_assertion(state, (PyObject *)Py_TYPE(link->value)))
            primary = link->value;
        if (link->kind == SP_PY_CAUSE)
            break;
    }
    return primary;
}

/* The innermost subtest that an exception of @chain left; NULL if the one that left a subtest was
 * caught by the script. */
static char *find_subtest(SpPyState *state, const GArray *chain)
{
    for (guint i = 0; i < chain->len; i++) {
        if (state->failed_exception == g_array_index(chain, SpPyLink, i).value)
            return g_strdup(state->failed_subtest);
    }
    return NULL;
}

static void add_excerpt(json_t *object, const char *name, const char *text)
{
    g_autofree char *excerpt = text ? sp_text_excerpt(text, strlen(text), REASON_MAX) : NULL;

    if (excerpt)
        json_object_set_new(object, name, json_string(excerpt));
}

/* For HTML reports: the line that failed, and those around it as they are now. */
static void log_script_failure(const Telling *telling, const char *chain)
{
    const SpPyFrame *innermost = &telling->innermost;
    json_t *members = json_object();

    add_excerpt(members, "text", telling->reason);
    add_excerpt(members, "headline", telling->headline);
    add_excerpt(members, "subtest", telling->subtest);
    if (g_hash_table_size(telling->seen) > 1)
        add_excerpt(members, "chain", chain);
    if (innermost->file) {
        int first = MAX(1, innermost->line - CONTEXT_LINES);
        g_autofree char *source = sp_py_source_lines(
            telling->state, innermost->file, first, innermost->last_line + CONTEXT_LINES);

        add_excerpt(members, "file", innermost->file);
        json_object_set_new(members, "line", json_integer(innermost->line));
        json_object_set_new(members, "last_line", json_integer(innermost->last_line));
        json_object_set_new(members, "first", json_integer(first));
        add_excerpt(members, "source", source);
    }
    sp_log_failure(telling->state->config->log, chain, members);
}

static char *write_failure_report(SpPyState *state, PyObject *value)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);
    g_autoptr(GArray) chain = sp_py_chain(value, seen);
    Telling telling = {.state = state,
        .seen = seen,
        .room = EXCEPTIONS_MAX,
        .primary = find_primary(state, chain),
        .subtest = find_subtest(state, chain)};
    g_autoptr(GString) text = g_string_new(NULL);
    g_autofree char *told = NULL;
    GString *report;

    append_chain(text, &telling, chain, 0);
    told = sp_text_excerpt(text->str, text->len, CHAIN_MAX);
    log_script_failure(&telling, told);
    report = g_string_new(told);
    append_consoles(report, state, told);
    if (state->config->out_dir)
        g_string_append_printf(report, "More is in %s: the log, consoles, journals, screenshots\n",
            state->config->out_dir);
    g_free(telling.subtest);
    g_free(telling.headline);
    g_free(telling.reason);
    g_free(telling.innermost.file);
    return g_string_free(report, FALSE);
}

char *sp_py_failure_report(SpPyState *state)
{
    PyObject *type, *value, *trace;
    char *report = NULL;

    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    if (trace && value)
        PyException_SetTraceback(value, trace);
    if (!sp_py_is_good_exit(type, value))
        report = write_failure_report(state, value);
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
    reason = sp_py_get_text(value, "msg");
    if (!reason)
        reason = message_of(value);
    text = sp_py_get_text(value, "text");
    line = sp_py_get_number(value, "lineno");
    report = g_strdup_printf("%s:%ld: %s%s%s", state->config->path, line > 0 ? line : 1, reason,
        text ? ": " : "", text ? g_strstrip(text) : "");
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(trace);
    return report;
}
