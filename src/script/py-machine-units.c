/* SPDX-License-Identifier: MIT */

/* Methods of Machine about systemd's units. */

#include "base/unit-words.h"
#include "machine/machine-guest.h"
#include "script/api.h"

#include <string.h>

/* systemctl for the system, or for the manager of @user. */
static char *make_command(const char *arguments, const char *user)
{
    g_autofree char *inner = NULL;
    g_autofree char *quoted_inner = NULL;
    g_autofree char *quoted_user = NULL;

    if (!user)
        return g_strconcat("systemctl ", arguments, NULL);
    inner = g_strconcat("XDG_RUNTIME_DIR=/run/user/$(id -u) systemctl --user ", arguments, NULL);
    quoted_inner = g_shell_quote(inner);
    quoted_user = g_shell_quote(user);
    return g_strdup_printf("su -l %s --shell /bin/sh -c %s", quoted_user, quoted_inner);
}

static bool run_systemctl(SpPyMachine *self, const char *arguments, const char *user,
    gint64 timeout_ms, SpCommandResult *ret_result)
{
    g_autofree char *command = make_command(arguments, user);

    return sp_py_machine_run(self, command, timeout_ms, ret_result);
}

PyObject *sp_py_machine_systemctl(SpPyMachine *self, const char *q, const char *user)
{
    g_auto(SpCommandResult) result = {0};

    if (!run_systemctl(self, q, user, sp_py_machine_default_timeout_ms(self), &result))
        return NULL;
    return sp_py_machine_pack_result(result.status, result.output);
}

/* `systemctl show` of @unit as text; NULL with an exception. @property NULL: all. */
static char *show_unit(
    SpPyMachine *self, const char *unit, const char *property, const char *user, gint64 timeout_ms)
{
    g_auto(SpCommandResult) result = {0};
    g_autofree char *quoted_unit = g_shell_quote(unit);
    g_autofree char *quoted_property = property ? g_shell_quote(property) : NULL;
    g_autofree char *arguments = g_strdup_printf("--no-pager show %s%s%s", quoted_unit,
        property ? " --property=" : "", property ? quoted_property : "");

    if (!run_systemctl(self, arguments, user, timeout_ms, &result))
        return NULL;
    if (result.status != 0) {
        g_autofree char *errors = sp_py_excerpt(result.errors);
        sp_py_machine_raise(self, "asking for unit '%s'%s%s failed with exit status %d: %s", unit,
            user ? " of user " : "", user ? user : "", result.status, errors);
        return NULL;
    }
    return g_utf8_make_valid(result.output->str, (gssize)result.output->len);
}

PyObject *sp_py_machine_get_unit_info(SpPyMachine *self, const char *unit, const char *user)
{
    g_autofree char *text =
        show_unit(self, unit, NULL, user, sp_py_machine_default_timeout_ms(self));
    g_auto(GStrv) lines = NULL;
    PyObject *info;

    info = text ? PyDict_New() : NULL;
    if (!info)
        return NULL;
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        char *equals = strchr(*line, '=');
        PyObject *value;
        int added;
        if (!equals || equals == *line)
            continue;
        *equals = 0;
        value = PyUnicode_FromString(equals + 1);
        added = value ? PyDict_SetItemString(info, *line, value) : -1;
        Py_XDECREF(value);
        if (added < 0) {
            Py_DECREF(info);
            return NULL;
        }
    }
    return info;
}

/* The value of one property; NULL with an exception. */
static char *read_property(
    SpPyMachine *self, const char *unit, const char *property, const char *user, gint64 timeout_ms)
{
    g_autofree char *text = show_unit(self, unit, property, user, timeout_ms);
    gsize length = strlen(property);

    if (!text)
        return NULL;
    if (strncmp(text, property, length) == 0 && text[length] == '=')
        return g_strndup(text + length + 1, strcspn(text + length + 1, "\n"));
    sp_py_machine_raise(self, "unit '%s' has no property '%s'", unit, property);
    return NULL;
}

PyObject *sp_py_machine_get_unit_property(
    SpPyMachine *self, const char *unit, const char *property, const char *user)
{
    g_autofree char *value =
        read_property(self, unit, property, user, sp_py_machine_default_timeout_ms(self));

    return value ? PyUnicode_FromString(value) : NULL;
}

/* 1 if a job is pending, 0 if none is, -1 with an exception. */
static int has_jobs(SpPyMachine *self, const char *user, gint64 timeout_ms)
{
    g_auto(SpCommandResult) result = {0};

    if (!run_systemctl(self, "list-jobs --full 2>&1", user, timeout_ms, &result))
        return -1;
    return strstr(result.output->str, "No jobs") ? 0 : 1;
}

/* Why a user's unit will never be active, to be freed with g_free(); NULL if it may still become
 * so.
 * @ret_failed is set if that could not be found out. */
static char *find_hopeless(SpPyMachine *self, const char *unit, const char *user, const char *state,
    gint64 timeout_ms, bool *ret_failed)
{
    g_autofree char *again = NULL;
    g_autofree char *properties = NULL;
    g_autofree char *why = NULL;
    int jobs;

    if (g_str_equal(state, "failed"))
        return g_strdup("failed");
    if (!g_str_equal(state, "inactive"))
        return NULL;
    jobs = has_jobs(self, user, timeout_ms);
    if (jobs == 0)
        again = read_property(self, unit, "ActiveState", user, timeout_ms);
    if (again && g_str_equal(again, "inactive"))
        properties = show_unit(self, unit, SP_UNIT_PROPERTIES, user, timeout_ms);
    *ret_failed = PyErr_Occurred() != NULL;
    if (!properties)
        return NULL;
    why = sp_unit_why_inactive(properties);
    return g_strconcat("inactive and no job is pending that could start it: ", why, NULL);
}

static PyObject *raise_unit(SpPyMachine *self, const char *unit, const char *user, const char *what)
{
    return sp_py_machine_raise(self, "unit '%s' of user '%s' is %s", unit, user, what);
}

/* The agent only watches the system's units: those of a user's manager are polled. */
static PyObject *poll_user_unit(
    SpPyMachine *self, const char *unit, const char *user, gint64 timeout_ms)
{
    gint64 deadline = sp_deadline(timeout_ms);
    SpPyPause pause = {0};

    for (;;) {
        gint64 left_ms = sp_py_left_ms(deadline);
        g_autofree char *state = read_property(self, unit, "ActiveState", user, left_ms);
        g_autofree char *hopeless = NULL;
        bool has_failed = false;

        if (!state)
            return NULL;
        if (g_str_equal(state, "active"))
            Py_RETURN_NONE;
        hopeless = find_hopeless(self, unit, user, state, left_ms, &has_failed);
        if (has_failed)
            return NULL;
        if (hopeless)
            return raise_unit(self, unit, user, hopeless);
        if (g_get_monotonic_time() >= deadline) {
            g_autofree char *what = g_strconcat("not active in time, but ", state, NULL);
            return raise_unit(self, unit, user, what);
        }
        if (!sp_py_pause_longer(sp_py_state((PyObject *)self), &pause))
            return NULL;
    }
}

PyObject *sp_py_machine_wait_for_unit(
    SpPyMachine *self, const char *unit, const char *user, gint64 timeout_ms)
{
    GError *error = NULL;

    if (user)
        return poll_user_unit(self, unit, user, timeout_ms);
    if (!sp_machine_wait_for_unit(self->machine, unit, timeout_ms, &error))
        return sp_py_raise(sp_py_state((PyObject *)self), error);
    Py_RETURN_NONE;
}

PyObject *sp_py_machine_require_unit_state(
    SpPyMachine *self, const char *unit, const char *require_state)
{
    g_autofree char *state =
        read_property(self, unit, "ActiveState", NULL, sp_py_machine_default_timeout_ms(self));

    if (!state)
        return NULL;
    if (g_str_equal(state, require_state))
        Py_RETURN_NONE;
    return sp_py_machine_raise(
        self, "unit '%s' is %s, but was expected to be %s", unit, state, require_state);
}

static bool is_active_state(const char *state)
{
    static const char *const states[] = {"active", "reloading", "inactive", "failed", "activating",
        "deactivating", "maintenance", "refreshing", NULL};

    return g_strv_contains(states, state);
}

/* Returns None; NULL with an exception. */
static PyObject *poll_active_state(
    SpPyMachine *self, const char *unit, const char *wanted, const char *user, gint64 timeout_ms)
{
    gint64 deadline = sp_deadline(timeout_ms);
    SpPyPause pause = {0};

    for (;;) {
        gint64 left_ms = sp_py_left_ms(deadline);
        g_autofree char *seen = read_property(self, unit, "ActiveState", user, left_ms);

        if (!seen)
            return NULL;
        if (g_str_equal(seen, wanted))
            Py_RETURN_NONE;
        if (g_get_monotonic_time() >= deadline)
            return sp_py_machine_raise(
                self, "unit '%s' was not %s in time, but is %s", unit, wanted, seen);
        if (!sp_py_pause_longer(sp_py_state((PyObject *)self), &pause))
            return NULL;
    }
}

PyObject *sp_py_machine_wait_for_unit_active_state(SpPyMachine *self, const char *unit,
    const char *active_state, const char *user, gint64 timeout_ms)
{
    if (!is_active_state(active_state))
        return PyErr_Format(PyExc_ValueError,
            "'%s' is not a unit state: expected active, reloading, inactive, failed, activating, "
            "deactivating, maintenance or refreshing",
            active_state);
    return poll_active_state(self, unit, active_state, user, timeout_ms);
}

static PyObject *change_unit(
    SpPyMachine *self, const char *verb, const char *unit, const char *user)
{
    g_autofree char *quoted = g_shell_quote(unit);
    g_autofree char *arguments = g_strdup_printf("%s %s", verb, quoted);

    return sp_py_machine_systemctl(self, arguments, user);
}

PyObject *sp_py_machine_start_job(SpPyMachine *self, const char *jobname, const char *user)
{
    return change_unit(self, "start", jobname, user);
}

PyObject *sp_py_machine_stop_job(SpPyMachine *self, const char *jobname, const char *user)
{
    return change_unit(self, "stop", jobname, user);
}
