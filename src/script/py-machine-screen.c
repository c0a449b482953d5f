/* SPDX-License-Identifier: MIT */

/* Methods of Machine about its screen, its keyboard and its serial console. */

#include "machine/machine-console.h"
#include "machine/machine-screen.h"
#include "machine/machine-terminal.h"
#include "machine/ocr.h"
#include "script/api.h"
#include "script/py-call.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

/* A name is a file in the machine's out_dir; a path is used as it is. */
static char *build_screenshot_path(SpPyMachine *self, const char *name)
{
    g_autofree char *base = g_path_get_basename(name);
    g_autofree char *full = strchr(base, '.') ? g_strdup(name) : g_strconcat(name, ".png", NULL);

    return strchr(full, '/') ? g_steal_pointer(&full)
                             : g_build_filename(sp_machine_out_dir(self->machine), full, NULL);
}

/* For reports, which show what is in the test's directory. */
static void mark_screenshot(SpPyMachine *self, const char *path)
{
    g_autofree char *dir = g_path_get_dirname(path);
    g_autofree char *name = g_path_get_basename(path);

    if (g_strcmp0(dir, sp_machine_out_dir(self->machine)) == 0)
        sp_log_mark(sp_py_log_of(self), sp_machine_name(self->machine), "screenshot", "%s", name);
}

static PyObject *return_none(SpPyMachine *self, bool is_good, GError *error)
{
    return is_good ? Py_NewRef(Py_None) : sp_py_raise(sp_py_state((PyObject *)self), error);
}

PyObject *sp_py_machine_screenshot(SpPyMachine *self, const char *filename)
{
    SpPyState *state = sp_py_state((PyObject *)self);
    g_autofree char *path = NULL;
    GError *error = NULL;
    bool is_good;

    if (!*filename || g_str_has_suffix(filename, "/"))
        return PyErr_Format(PyExc_ValueError, "'%s' is not a name for a screenshot", filename);
    path = build_screenshot_path(self, filename);
    sp_py_step_begin(state, sp_machine_name(self->machine), "screen", "screenshot to %s", path);
    is_good = sp_machine_screenshot(self->machine, path, &error);
    if (is_good)
        mark_screenshot(self, path);
    return sp_py_step_end(state, return_none(self, is_good, error), NULL);
}

PyObject *sp_py_machine_get_screen_text(SpPyMachine *self)
{
    GError *error = NULL;
    g_auto(GStrv) texts = sp_machine_screen_text(self->machine, 1, &error);

    return texts ? PyUnicode_FromString(texts[0])
                 : sp_py_raise(sp_py_state((PyObject *)self), error);
}

PyObject *sp_py_machine_get_screen_text_variants(SpPyMachine *self)
{
    GError *error = NULL;
    g_auto(GStrv) texts = sp_machine_screen_text(self->machine, SP_OCR_VARIANTS, &error);
    PyObject *list;

    if (!texts)
        return sp_py_raise(sp_py_state((PyObject *)self), error);
    list = PyList_New(0);
    for (char **text = texts; list && *text; text++) {
        PyObject *item = PyUnicode_FromString(*text);
        if (!item || PyList_Append(list, item) < 0)
            Py_CLEAR(list);
        Py_XDECREF(item);
    }
    return list;
}

PyObject *sp_py_machine_send_key(SpPyMachine *self, const char *key, double delay, bool log)
{
    SpPyState *state = sp_py_state((PyObject *)self);
    GError *error = NULL;
    PyObject *result;
    bool is_good;

    if (log)
        sp_py_step_begin(state, sp_machine_name(self->machine), "screen", "press %s", key);
    is_good = sp_machine_send_key(self->machine, key, &error);
    result = return_none(self, is_good, error);
    if (log)
        result = sp_py_step_end(state, result, NULL);
    if (result && delay > 0 && !sp_py_pause(state, (gint64)ceil(delay * 1000)))
        Py_CLEAR(result);
    return result;
}

PyObject *sp_py_machine_send_chars(SpPyMachine *self, const char *chars, double delay)
{
    SpPyState *state = sp_py_state((PyObject *)self);
    g_autofree char *shown = g_strescape(chars, NULL);
    GError *error = NULL;
    bool is_good;

    sp_py_step_begin(state, sp_machine_name(self->machine), "screen", "type '%s'", shown);
    is_good = sp_machine_send_chars(self->machine, chars, (gint64)ceil(delay * 1000), &error);
    return sp_py_step_end(state, return_none(self, is_good, error), NULL);
}

PyObject *sp_py_machine_send_console(SpPyMachine *self, const guint8 *chars, gsize chars_length)
{
    SpPyState *state = sp_py_state((PyObject *)self);
    g_autofree char *shown = g_strescape((const char *)chars, NULL);
    GError *error = NULL;
    bool is_good;

    sp_py_step_begin(
        state, sp_machine_name(self->machine), "console", "send '%s' to the console", shown);
    is_good = sp_machine_send_console(self->machine, chars, chars_length, &error);
    return sp_py_step_end(state, return_none(self, is_good, error), NULL);
}

typedef bool (*InteractFunc)(SpMachine *machine, int input_fd, int output_fd, GError **error);

static PyObject *interact_on_terminal(SpPyMachine *self, InteractFunc func)
{
    SpLog *log = sp_py_log_of(self);
    bool is_shown = sp_log_shows_consoles(log), is_good;
    GError *error = NULL;

    /* the terminal is the shell's */
    sp_log_show_consoles(log, false);
    is_good = func(self->machine, STDIN_FILENO, STDOUT_FILENO, &error);
    sp_log_show_consoles(log, is_shown);
    return return_none(self, is_good, error);
}

PyObject *sp_py_machine_shell_interact(SpPyMachine *self, PyObject *address)
{
    if (address && address != Py_None)
        return PyErr_Format(PyExc_NotImplementedError,
            "shell_interact() only has this terminal: start 'slotproof debug' in another one");
    return interact_on_terminal(self, sp_machine_shell_interact);
}

PyObject *sp_py_machine_console_interact(SpPyMachine *self)
{
    return interact_on_terminal(self, sp_machine_console_interact);
}
