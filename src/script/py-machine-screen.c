/* SPDX-License-Identifier: MIT */

/* Methods of Machine about its screen, its keyboard and its serial console. */

#include "machine/ocr.h"
#include "script/py-machine.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

/* Between two keys, as in NixOS' driver. */
#define KEY_DELAY 0.01
#define KEY_DELAY_MAX 3600.0

/* A name is a file in the machine's out_dir, a path is taken as it is. */
static char *picture_path(SpPyMachine *self, const char *name)
{
    g_autofree char *base = g_path_get_basename(name);
    g_autofree char *full = strchr(base, '.') ? g_strdup(name) : g_strconcat(name, ".png", NULL);

    return strchr(full, '/') ? g_steal_pointer(&full)
                             : g_build_filename(sp_machine_out_dir(self->machine), full, NULL);
}

/* For reports, which show what lies in the test's folder. */
static void mark_picture(SpPyMachine *self, const char *path)
{
    g_autofree char *folder = g_path_get_dirname(path);
    g_autofree char *name = g_path_get_basename(path);

    if (g_strcmp0(folder, sp_machine_out_dir(self->machine)) == 0)
        sp_log_mark(
            sp_py_machine_log(self), sp_machine_name(self->machine), "screenshot", "%s", name);
}

static PyObject *screenshot(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"filename", NULL};
    g_autofree char *name = NULL, *path = NULL;
    GError *error = NULL;
    bool is_good;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O&:screenshot", keywords, sp_py_path, &name))
        return NULL;
    if (!*name || g_str_has_suffix(name, "/"))
        return PyErr_Format(PyExc_ValueError, "'%s' is no name for a screenshot", name);
    path = picture_path(self, name);
    sp_py_machine_begin(self, "screen", "screenshot to %s", path);
    is_good = sp_machine_screenshot(self->machine, path, &error);
    if (is_good)
        mark_picture(self, path);
    return sp_py_machine_end(self, is_good, error);
}

/* What is read off the screen, as a list of str; NULL with an exception. */
static PyObject *read_screen(SpPyMachine *self, guint variants)
{
    g_auto(GStrv) texts = NULL;
    GError *error = NULL;
    PyObject *none, *list;

    sp_py_machine_begin(self, "screen", "read the screen");
    texts = sp_machine_screen_text(self->machine, variants, &error);
    none = sp_py_machine_end(self, texts != NULL, error);
    list = none ? PyList_New(0) : NULL;
    Py_XDECREF(none);
    for (char **text = texts; list && *text; text++) {
        PyObject *item = PyUnicode_FromString(*text);
        if (!item || PyList_Append(list, item) < 0)
            Py_CLEAR(list);
        Py_XDECREF(item);
    }
    return list;
}

static PyObject *get_screen_text(SpPyMachine *self, PyObject *unused)
{
    PyObject *list = read_screen(self, 1);
    PyObject *text = list ? PySequence_GetItem(list, 0) : NULL;

    Py_XDECREF(list);
    return text;
}

static PyObject *get_screen_text_variants(SpPyMachine *self, PyObject *unused)
{
    return read_screen(self, SP_OCR_VARIANTS);
}

static PyObject *wait_for_text(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"regex", "timeout", NULL};
    PyObject *timeout = NULL;
    GError *error = NULL;
    const char *regex;
    gint64 timeout_ms;
    bool is_good;

    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "s|O:wait_for_text", keywords, &regex, &timeout) ||
        !sp_py_machine_timeout(self, timeout, &timeout_ms))
        return NULL;
    sp_py_machine_begin(self, "wait", "wait for '%s' on the screen", regex);
    is_good = sp_machine_wait_for_text(self->machine, regex, timeout_ms, &error);
    return sp_py_machine_end(self, is_good, error);
}

static bool to_delay(PyObject *value, gint64 *ret_ms)
{
    double seconds = value ? 0 : KEY_DELAY;

    if (value && value != Py_None && !sp_py_seconds(value, "delay", KEY_DELAY_MAX, &seconds))
        return false;
    *ret_ms = (gint64)ceil(seconds * 1000);
    return true;
}

static PyObject *send_key(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"key", "delay", "log", NULL};
    PyObject *delay = NULL, *none = NULL;
    GError *error = NULL;
    int is_logged = 1;
    gint64 delay_ms;
    const char *key;
    bool is_good;

    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "s|Op:send_key", keywords, &key, &delay, &is_logged) ||
        !to_delay(delay, &delay_ms))
        return NULL;
    if (is_logged)
        sp_py_machine_begin(self, "screen", "press %s", key);
    is_good = sp_machine_send_key(self->machine, key, &error);
    if (is_logged)
        none = sp_py_machine_end(self, is_good, error);
    else
        none = is_good ? Py_NewRef(Py_None) : sp_py_raise(sp_py_state((PyObject *)self), error);
    if (none && delay_ms > 0 && !sp_py_pause(sp_py_state((PyObject *)self), delay_ms))
        Py_CLEAR(none);
    return none;
}

static PyObject *send_chars(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"chars", "delay", NULL};
    g_autofree char *shown = NULL;
    PyObject *delay = NULL;
    GError *error = NULL;
    const char *text;
    gint64 delay_ms;
    bool is_good;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s|O:send_chars", keywords, &text, &delay) ||
        !to_delay(delay, &delay_ms))
        return NULL;
    shown = g_strescape(text, NULL);
    sp_py_machine_begin(self, "screen", "type '%s'", shown);
    is_good = sp_machine_send_chars(self->machine, text, delay_ms, &error);
    return sp_py_machine_end(self, is_good, error);
}

static PyObject *send_console(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"chars", NULL};
    g_autofree char *shown = NULL;
    GError *error = NULL;
    Py_ssize_t length;
    const char *text;
    bool is_good;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s#:send_console", keywords, &text, &length))
        return NULL;
    shown = g_strescape(text, NULL);
    sp_py_machine_begin(self, "console", "send '%s' to the console", shown);
    is_good = sp_machine_send_console(self->machine, (const guint8 *)text, (gsize)length, &error);
    return sp_py_machine_end(self, is_good, error);
}

typedef bool (*InteractFunc)(SpMachine *machine, int input_fd, int output_fd, GError **error);

static PyObject *interact(SpPyMachine *self, const char *what, InteractFunc func)
{
    SpLog *log = sp_py_machine_log(self);
    bool is_shown = sp_log_shows_consoles(log), is_good;
    GError *error = NULL;

    sp_py_machine_begin(self, "shell", "%s", what);
    /* the terminal is the shell's */
    sp_log_show_consoles(log, false);
    is_good = func(self->machine, STDIN_FILENO, STDOUT_FILENO, &error);
    sp_log_show_consoles(log, is_shown);
    return sp_py_machine_end(self, is_good, error);
}

static PyObject *shell_interact(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"address", NULL};
    PyObject *address = Py_None;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:shell_interact", keywords, &address))
        return NULL;
    if (address != Py_None)
        return PyErr_Format(PyExc_NotImplementedError,
            "shell_interact() has this terminal only: start 'slotproof debug' in another one");
    return interact(self, "a shell for the user", sp_machine_shell_interact);
}

static PyObject *console_interact(SpPyMachine *self, PyObject *unused)
{
    return interact(self, "the console for the user", sp_machine_console_interact);
}

/* Scripts for NixOS' driver may call these: they are told why they can't. */
static PyObject *refuse_windows(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    return PyErr_Format(PyExc_NotImplementedError,
        "machine '%s': slotproof knows nothing of X11 and its windows: wait for the display "
        "server's unit by wait_for_unit(), and look at the screen by wait_for_text() or "
        "screenshot()",
        sp_machine_name(self->machine));
}

SP_PY_SERVED(refuse_windows)
SP_PY_SERVED(screenshot)
SP_PY_SERVED_PLAIN(get_screen_text)
SP_PY_SERVED_PLAIN(get_screen_text_variants)
SP_PY_SERVED(wait_for_text)
SP_PY_SERVED(send_key)
SP_PY_SERVED(send_chars)
SP_PY_SERVED(send_console)
SP_PY_SERVED(shell_interact)
SP_PY_SERVED_PLAIN(console_interact)

PyMethodDef sp_py_machine_screen_methods[] = {
    SP_PY_METHOD("wait_for_x", refuse_windows, SP_PY_KEYWORDS,
        "wait_for_x(timeout=900)\n--\n\nNot offered: use wait_for_unit() and wait_for_text()."),
    SP_PY_METHOD("wait_for_window", refuse_windows, SP_PY_KEYWORDS,
        "wait_for_window(regexp, timeout=900)\n--\n\nNot offered: use wait_for_text()."),
    SP_PY_METHOD("get_window_names", refuse_windows, SP_PY_KEYWORDS,
        "get_window_names()\n--\n\nNot offered: use get_screen_text()."),
    SP_PY_METHOD("screenshot", screenshot, SP_PY_KEYWORDS,
        "screenshot(filename)\n--\n\nWrite what the screen shows as a PNG file: a name without '/' "
        "lies in out_dir, and '.png' is added to one without an ending."),
    SP_PY_METHOD("get_screen_text", get_screen_text, METH_NOARGS,
        "get_screen_text()\n--\n\nThe text on the screen, as tesseract reads it: with mistakes."),
    SP_PY_METHOD("get_screen_text_variants", get_screen_text_variants, METH_NOARGS,
        "get_screen_text_variants()\n--\n\nThe text on the screen, read in several ways: a list, "
        "the most likely one first."),
    SP_PY_METHOD("wait_for_text", wait_for_text, SP_PY_KEYWORDS,
        "wait_for_text(regex, timeout=900)\n--\n\nWait until text on the screen matches, in one of "
        "the ways to read it."),
    SP_PY_METHOD("send_key", send_key, SP_PY_KEYWORDS,
        "send_key(key, delay=0.01, log=True)\n--\n\nPress a key on the machine's keyboard: a "
        "character, or names of QEMU's joined by '-', such as 'ctrl-alt-delete'."),
    SP_PY_METHOD("send_chars", send_chars, SP_PY_KEYWORDS,
        "send_chars(chars, delay=0.01)\n--\n\nType on the machine's keyboard, a US one; '\\n' is "
        "its return key."),
    SP_PY_METHOD("send_console", send_console, SP_PY_KEYWORDS,
        "send_console(chars)\n--\n\nSend characters to the serial console, as if typed there."),
    SP_PY_METHOD("shell_interact", shell_interact, SP_PY_KEYWORDS,
        "shell_interact(address=None)\n--\n\nA shell in the guest, on this terminal, until it ends "
        "or is left with Ctrl-]."),
    SP_PY_METHOD("console_interact", console_interact, METH_NOARGS,
        "console_interact()\n--\n\nThe serial console, on this terminal, until it is left with "
        "Ctrl-]."),
    {NULL, NULL, 0, NULL},
};
