/* SPDX-License-Identifier: MIT */

/* Methods of Machine that wait for something in the guest. */

#include "machine/machine-guest.h"
#include "script/api.h"
#include "script/py-call.h"

#include <string.h>

/* Whether a shell would expand it: the NixOS test driver gives it to one. */
static bool is_pattern(const char *path)
{
    return *path == '~' || strpbrk(path, "*?[{$") != NULL;
}

/* Wait until a file matches @pattern. Returns None, or NULL with an exception. */
static PyObject *poll_pattern(SpPyMachine *self, const char *pattern, gint64 timeout_ms)
{
    g_autofree char *command = g_strdup_printf(
        "for file in %s; do if test -e \"$file\"; then exit 0; fi; done; exit 1", pattern);
    gint64 deadline = sp_deadline(timeout_ms);
    SpPyPause pause = {0};

    for (;;) {
        g_auto(SpCommandResult) result = {0};
        gint64 left_ms = sp_py_left_ms(deadline);

        if (!sp_py_machine_run(self, command, left_ms, &result))
            return NULL;
        if (result.status == 0)
            Py_RETURN_NONE;
        if (g_get_monotonic_time() >= deadline) {
            g_autofree char *errors = sp_py_excerpt(result.errors);
            return sp_py_machine_raise(
                self, "there was no file '%s' in time%s%s", pattern, *errors ? ": " : "", errors);
        }
        if (!sp_py_pause_longer(sp_py_state((PyObject *)self), &pause))
            return NULL;
    }
}

PyObject *sp_py_machine_wait_for_file(SpPyMachine *self, const char *filename, gint64 timeout_ms)
{
    GError *error = NULL;

    if (is_pattern(filename)) {
        sp_py_machine_leave_wait(self); /* each command checks the conditions */
        return poll_pattern(self, filename, timeout_ms);
    }
    if (!sp_machine_wait_for_file(self->machine, filename, timeout_ms, &error))
        return sp_py_raise(sp_py_state((PyObject *)self), error);
    Py_RETURN_NONE;
}
