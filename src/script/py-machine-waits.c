/* SPDX-License-Identifier: MIT */

/* Methods of Machine that wait for what the machine tells of by itself. */

#include "script/py-machine.h"

#include <string.h>

/* Whether a shell would not take it as it stands: as NixOS' driver has it, which gives it to one.
 */
static bool is_pattern(const char *path)
{
    return *path == '~' || strpbrk(path, "*?[{$") != NULL;
}

/* Wait until one of the files that @pattern stands for is there. Returns None, or NULL with an
 * exception. */
static PyObject *poll_pattern(SpPyMachine *self, const char *pattern, gint64 timeout_ms)
{
    g_autofree char *command = g_strdup_printf(
        "for file in %s; do if test -e \"$file\"; then exit 0; fi; done; exit 1", pattern);
    gint64 deadline = sp_deadline(timeout_ms);
    SpPyPause pause = {0};

    for (;;) {
        g_auto(SpCommandResult) result = {0};
        gint64 left_ms = deadline == SP_FOREVER
                             ? SP_NO_TIMEOUT
                             : MAX(1, (deadline - g_get_monotonic_time()) / 1000);

        if (!sp_py_machine_execute(self, command, left_ms, &result))
            return NULL;
        if (result.status == 0)
            Py_RETURN_NONE;
        if (g_get_monotonic_time() >= deadline) {
            g_autofree char *errors = sp_py_excerpt(result.errors);
            return PyErr_Format(sp_py_state((PyObject *)self)->assertion_failed,
                "machine '%s': there was no file '%s' in time%s%s", sp_machine_name(self->machine),
                pattern, *errors ? ": " : "", errors);
        }
        if (!sp_py_pause_longer(sp_py_state((PyObject *)self), &pause))
            return NULL;
    }
}

static PyObject *wait_for_file(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"filename", "timeout", NULL};
    g_autofree char *path = NULL;
    PyObject *timeout = NULL;
    GError *error = NULL;
    gint64 timeout_ms;
    bool is_good;

    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "O&|O:wait_for_file", keywords, sp_py_path, &path, &timeout) ||
        !sp_py_machine_timeout(self, timeout, &timeout_ms) || !sp_py_machine_enter_wait(self))
        return NULL;
    sp_py_machine_begin(self, "wait", "wait for file %s", path);
    if (is_pattern(path)) {
        PyObject *answer;
        sp_py_machine_leave_wait(self); /* each command asks for conditions */
        answer = poll_pattern(self, path, timeout_ms);
        sp_log_end(sp_py_machine_log(self), answer ? NULL : "it did not come");
        return answer;
    }
    is_good = sp_machine_wait_for_file(self->machine, path, timeout_ms, &error);
    return sp_py_machine_end(self, is_good, error);
}

static PyObject *wait_for_port(SpPyMachine *self, PyObject *args, PyObject *kwargs, bool open)
{
    char *keywords[] = {"port", "addr", "timeout", NULL};
    const char *address = "localhost";
    PyObject *timeout = NULL;
    GError *error = NULL;
    gint64 timeout_ms;
    bool is_good;
    int port;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs,
            open ? "i|sO:wait_for_open_port" : "i|sO:wait_for_closed_port", keywords, &port,
            &address, &timeout) ||
        !sp_py_machine_timeout(self, timeout, &timeout_ms))
        return NULL;
    if (port < 1 || port > 65535)
        return PyErr_Format(PyExc_ValueError, "port %d: expected a number from 1 to 65535", port);
    if (!sp_py_machine_enter_wait(self))
        return NULL;
    sp_py_machine_begin(self, "wait", "wait for TCP port %d of %s to be %s", port, address,
        open ? "open" : "closed");
    is_good =
        sp_machine_wait_for_port(self->machine, address, (guint)port, open, timeout_ms, &error);
    return sp_py_machine_end(self, is_good, error);
}

static PyObject *wait_for_open_port(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    return wait_for_port(self, args, kwargs, true);
}

static PyObject *wait_for_closed_port(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    return wait_for_port(self, args, kwargs, false);
}

static PyObject *wait_for_open_unix_socket(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"addr", "is_datagram", "timeout", NULL};
    PyObject *timeout = NULL;
    g_autofree char *path = NULL;
    int is_datagram = 0;
    GError *error = NULL;
    gint64 timeout_ms;
    bool is_good;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O&|pO:wait_for_open_unix_socket", keywords,
            sp_py_path, &path, &is_datagram, &timeout) ||
        !sp_py_machine_timeout(self, timeout, &timeout_ms) || !sp_py_machine_enter_wait(self))
        return NULL;
    sp_py_machine_begin(self, "wait", "wait for %s socket %s to be open",
        is_datagram ? "datagram" : "stream", path);
    is_good =
        sp_machine_wait_for_unix_socket(self->machine, path, is_datagram != 0, timeout_ms, &error);
    return sp_py_machine_end(self, is_good, error);
}

static PyObject *wait_for_console_text(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"regex", "timeout", NULL};
    PyObject *timeout = Py_None;
    const char *regex;
    GError *error = NULL;
    gint64 timeout_ms;
    bool is_good;

    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "s|O:wait_for_console_text", keywords, &regex, &timeout) ||
        !sp_py_machine_timeout(self, timeout, &timeout_ms) || !sp_py_machine_enter_wait(self))
        return NULL;
    sp_py_machine_begin(self, "wait", "wait for '%s' on the console", regex);
    is_good = sp_machine_wait_for_console_text(self->machine, regex, timeout_ms, &error);
    return sp_py_machine_end(self, is_good, error);
}

static PyObject *get_console_log(SpPyMachine *self, PyObject *unused)
{
    g_autofree char *text = sp_machine_console_log(self->machine);

    return PyUnicode_FromString(text);
}

SP_PY_SERVED(wait_for_file)
SP_PY_SERVED(wait_for_open_port)
SP_PY_SERVED(wait_for_closed_port)
SP_PY_SERVED(wait_for_open_unix_socket)
SP_PY_SERVED(wait_for_console_text)
SP_PY_SERVED_PLAIN(get_console_log)

PyMethodDef sp_py_machine_wait_methods[] = {
    SP_PY_METHOD("wait_for_file", wait_for_file, SP_PY_KEYWORDS,
        "wait_for_file(filename, timeout=900)\n--\n\nWait until the guest's file is there. '*', "
        "'?', '[', '{' and '$', and '~' at the begin, mean what they mean to bash."),
    SP_PY_METHOD("wait_for_open_port", wait_for_open_port, SP_PY_KEYWORDS,
        "wait_for_open_port(port, addr='localhost', timeout=900)\n--\n\nWait until a socket of the "
        "guest listens for addr, or a TCP connection from the guest to it comes about."),
    SP_PY_METHOD("wait_for_closed_port", wait_for_closed_port, SP_PY_KEYWORDS,
        "wait_for_closed_port(port, addr='localhost', timeout=900)\n--\n\nWait until neither is "
        "the case."),
    SP_PY_METHOD("wait_for_open_unix_socket", wait_for_open_unix_socket, SP_PY_KEYWORDS,
        "wait_for_open_unix_socket(addr, is_datagram=False, timeout=900)\n--\n\nWait until a "
        "connection to the guest's socket addr, a path, comes about."),
    SP_PY_METHOD("wait_for_console_text", wait_for_console_text, SP_PY_KEYWORDS,
        "wait_for_console_text(regex, timeout=None)\n--\n\nWait until a line of the console "
        "matches that was not read yet since the machine's last start or reset. A match is read, "
        "with "
        "all that stands before it, and the next wait begins right behind it; what is printed "
        "between "
        "waits is not lost, and a wait that fails reads nothing. A carriage return ends a line, "
        "too."),
    SP_PY_METHOD("get_console_log", get_console_log, METH_NOARGS,
        "get_console_log()\n--\n\nWhat the console said since the machine's last start, the last "
        "lines of it where that is very long."),
    {NULL, NULL, 0, NULL},
};
