/* SPDX-License-Identifier: MIT */
#include "script/py-source.h"

#include "base/text.h"
#include "script/py-text.h"

#include <string.h>

#define SIZE_MAX_FILE (4u * 1024 * 1024)
#define STATEMENT_LINES 8
#define VALUE_MAX 400u
#define VALUES_MAX 12u

static char *read_source_file(SpPyState *state, const char *file)
{
    g_autofree char *text = NULL;
    gsize length;

    if (state->source && g_str_equal(file, state->config->path))
        return g_strdup(state->source);
    if (!g_file_get_contents(file, &text, &length, NULL) || length > SIZE_MAX_FILE ||
        !g_utf8_validate(text, (gssize)length, NULL))
        return g_strdup("");
    return g_steal_pointer(&text);
}

char *sp_py_source_lines(SpPyState *state, const char *file, int first, int last)
{
    g_autofree char *text = read_source_file(state, file);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    GString *part = g_string_new(NULL);
    int n;

    n = (int)g_strv_length(lines);
    for (int i = MAX(first, 1); i <= MIN(last, n); i++) {
        /* what follows the last newline is not a line */
        if (i == n && !*lines[i - 1])
            break;
        g_string_append_printf(part, "%s%s", part->len > 0 ? "\n" : "", lines[i - 1]);
    }
    return g_string_free(part, FALSE);
}

char *sp_py_source_statement(SpPyState *state, const char *file, int first, int last)
{
    g_autofree char *text =
        sp_py_source_lines(state, file, first, MIN(last, first + STATEMENT_LINES - 1));
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    GString *statement = g_string_new(NULL);
    gsize indent = strspn(text, " \t");

    for (char **line = lines; *line; line++) {
        gsize own = strspn(*line, " \t");
        g_string_append_printf(
            statement, "%s%s", line == lines ? "" : "\n", g_strchomp(*line + MIN(own, indent)));
    }
    if (last >= first + STATEMENT_LINES)
        g_string_append(statement, "\n[...]");
    return g_string_free(statement, FALSE);
}

static bool is_worth_showing(SpPyState *state, PyObject *value)
{
    return !PyCallable_Check(value) && !PyModule_Check(value) &&
           !PyObject_TypeCheck(value, state->machine_type);
}

/* @name's value in the function, or in its module; NULL without an exception if it has none. */
static PyObject *look_up(PyObject *locals, PyObject *globals, const char *name)
{
    PyObject *value = locals ? PyMapping_GetItemString(locals, name) : NULL;

    PyErr_Clear();
    if (!value && globals)
        value = PyMapping_GetItemString(globals, name);
    PyErr_Clear();
    return value;
}

static void append_value(GString *text, const char *name, PyObject *value)
{
    PyObject *repr = PyObject_Repr(value);
    g_autofree char *utf8 = repr ? sp_py_utf8(repr) : NULL;

    if (utf8) {
        g_autofree char *excerpt = sp_text_excerpt(utf8, strlen(utf8), VALUE_MAX);
        g_string_append_printf(text, "  %s = %s\n", name, excerpt);
    }
    Py_XDECREF(repr);
    PyErr_Clear();
}

/* The names in @source that are not attributes. Keywords are among them, but have no value. So are
 * words in strings and comments, which at worst shows too much. */
static GPtrArray *names_in(const char *source)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GRegex) word = g_regex_new("(?<![\\w.])[^\\W\\d]\\w*", 0, 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;

    for (g_regex_match(word, source, 0, &match); g_match_info_matches(match);
         g_match_info_next(match, NULL)) {
        g_autofree char *name = g_match_info_fetch(match, 0);
        if (!g_ptr_array_find_with_equal_func(names, name, g_str_equal, NULL))
            g_ptr_array_add(names, g_steal_pointer(&name));
    }
    return names;
}

char *sp_py_source_values(SpPyState *state, PyObject *frame, const char *file, int first, int last)
{
    PyObject *locals = PyObject_GetAttrString(frame, "f_locals");
    PyObject *globals = PyObject_GetAttrString(frame, "f_globals");
    g_autofree char *source = sp_py_source_lines(state, file, first, last);
    g_autoptr(GPtrArray) names = names_in(source);
    GString *text = g_string_new(NULL);
    guint count = 0;

    PyErr_Clear();
    for (guint i = 0; i < names->len && count < VALUES_MAX; i++) {
        const char *name = g_ptr_array_index(names, i);
        PyObject *value = look_up(locals, globals, name);
        if (value && is_worth_showing(state, value)) {
            append_value(text, name, value);
            count++;
        }
        Py_XDECREF(value);
    }
    Py_XDECREF(locals);
    Py_XDECREF(globals);
    PyErr_Clear();
    return g_string_free(text, FALSE);
}
