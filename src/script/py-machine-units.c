/* SPDX-License-Identifier: MIT */

/* Methods of Machine about systemd's units. */

#include "base/unit-words.h"
#include "script/py-machine.h"

#include <string.h>

#define PAUSE_FIRST_MS 20
#define PAUSE_MAX_MS 250

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

    return sp_py_machine_execute(self, command, timeout_ms, ret_result);
}

static PyObject *systemctl(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"q", "user", NULL};
    g_auto(SpCommandResult) result = {0};
    const char *arguments, *user = NULL;
    PyObject *text;
    gint64 timeout_ms;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s|z:systemctl", keywords, &arguments, &user) ||
        !sp_py_machine_timeout(self, NULL, &timeout_ms) ||
        !run_systemctl(self, arguments, user, timeout_ms, &result))
        return NULL;
    text = sp_py_text(result.output);
    return text ? Py_BuildValue("(iN)", result.status, text) : NULL;
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
        PyErr_Format(sp_py_state((PyObject *)self)->assertion_failed,
            "machine '%s': asking for unit '%s'%s%s failed with exit status %d: %s",
            sp_machine_name(self->machine), unit, user ? " of user " : "", user ? user : "",
            result.status, errors);
        return NULL;
    }
    return g_utf8_make_valid(result.output->str, (gssize)result.output->len);
}

static PyObject *get_unit_info(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"unit", "user", NULL};
    const char *unit, *user = NULL;
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    gint64 timeout_ms;
    PyObject *info;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s|z:get_unit_info", keywords, &unit, &user) ||
        !sp_py_machine_timeout(self, NULL, &timeout_ms))
        return NULL;
    text = show_unit(self, unit, NULL, user, timeout_ms);
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

/* One property's value, or NULL with an exception. */
static char *read_property(
    SpPyMachine *self, const char *unit, const char *property, const char *user, gint64 timeout_ms)
{
    g_autofree char *text = show_unit(self, unit, property, user, timeout_ms);
    gsize length = strlen(property);

    if (!text)
        return NULL;
    if (strncmp(text, property, length) == 0 && text[length] == '=')
        return g_strndup(text + length + 1, strcspn(text + length + 1, "\n"));
    PyErr_Format(sp_py_state((PyObject *)self)->assertion_failed,
        "machine '%s': unit '%s' has no property '%s'", sp_machine_name(self->machine), unit,
        property);
    return NULL;
}

static PyObject *get_unit_property(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"unit", "property", "user", NULL};
    const char *unit, *property, *user = NULL;
    g_autofree char *value = NULL;
    gint64 timeout_ms;

    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "ss|z:get_unit_property", keywords, &unit, &property, &user) ||
        !sp_py_machine_timeout(self, NULL, &timeout_ms))
        return NULL;
    value = read_property(self, unit, property, user, timeout_ms);
    return value ? PyUnicode_FromString(value) : NULL;
}

/* 1: some job is pending, 0: none, -1 with an exception. */
static int has_jobs(SpPyMachine *self, const char *user, gint64 timeout_ms)
{
    g_auto(SpCommandResult) result = {0};

    if (!run_systemctl(self, "list-jobs --full 2>&1", user, timeout_ms, &result))
        return -1;
    return strstr(result.output->str, "No jobs") ? 0 : 1;
}

/* The state in which a user's unit stays without ever being active, free with g_free(); NULL while
 * there is hope. @ret_failed is set where that could not be found out. */
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
    return PyErr_Format(sp_py_state((PyObject *)self)->assertion_failed,
        "machine '%s': unit '%s' of user '%s' is %s", sp_machine_name(self->machine), unit, user,
        what);
}

/* The agent follows the system's units only: those of a user's manager are asked for. */
static PyObject *poll_user_unit(
    SpPyMachine *self, const char *unit, const char *user, gint64 timeout_ms)
{
    gint64 deadline = sp_deadline(timeout_ms);
    gint64 pause_ms = PAUSE_FIRST_MS;

    for (;;) {
        gint64 left_ms = deadline == SP_FOREVER
                             ? SP_NO_TIMEOUT
                             : MAX(1, (deadline - g_get_monotonic_time()) / 1000);
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
        if (!sp_py_pause(sp_py_state((PyObject *)self), pause_ms))
            return NULL;
        pause_ms = MIN(2 * pause_ms, PAUSE_MAX_MS);
    }
}

static PyObject *wait_for_unit(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"unit", "user", "timeout", NULL};
    const char *unit, *user = NULL;
    PyObject *timeout = NULL, *answer;
    GError *error = NULL;
    gint64 timeout_ms;
    bool is_good;

    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "s|zO:wait_for_unit", keywords, &unit, &user, &timeout) ||
        !sp_py_machine_timeout(self, timeout, &timeout_ms) || !sp_py_machine_enter_wait(self))
        return NULL;
    sp_py_machine_begin(
        self, "wait", "wait for unit %s%s%s", unit, user ? " of user " : "", user ? user : "");
    if (!user) {
        is_good = sp_machine_wait_for_unit(self->machine, unit, timeout_ms, &error);
        return sp_py_machine_end(self, is_good, error);
    }
    answer = poll_user_unit(self, unit, user, timeout_ms);
    sp_py_machine_leave_wait(self);
    sp_log_end(sp_py_machine_log(self), answer ? NULL : "it did not become active");
    return answer;
}

static PyObject *require_unit_state(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"unit", "require_state", NULL};
    const char *unit, *wanted = "active";
    g_autofree char *state = NULL;
    gint64 timeout_ms;

    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "s|s:require_unit_state", keywords, &unit, &wanted) ||
        !sp_py_machine_timeout(self, NULL, &timeout_ms))
        return NULL;
    sp_py_machine_begin(self, "command", "unit %s must be %s", unit, wanted);
    state = read_property(self, unit, "ActiveState", NULL, timeout_ms);
    sp_log_end(sp_py_machine_log(self), g_strcmp0(state, wanted) == 0 ? NULL : "it is not");
    if (!state)
        return NULL;
    if (g_str_equal(state, wanted))
        Py_RETURN_NONE;
    return PyErr_Format(sp_py_state((PyObject *)self)->assertion_failed,
        "machine '%s': unit '%s' is %s, but was expected to be %s", sp_machine_name(self->machine),
        unit, state, wanted);
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
    SpPyState *state = sp_py_state((PyObject *)self);
    gint64 deadline = sp_deadline(timeout_ms);
    SpPyPause pause = {0};

    for (;;) {
        gint64 left_ms = deadline == SP_FOREVER
                             ? SP_NO_TIMEOUT
                             : MAX(1, (deadline - g_get_monotonic_time()) / 1000);
        g_autofree char *seen = read_property(self, unit, "ActiveState", user, left_ms);

        if (!seen)
            return NULL;
        if (g_str_equal(seen, wanted))
            Py_RETURN_NONE;
        if (g_get_monotonic_time() >= deadline)
            return PyErr_Format(state->assertion_failed,
                "machine '%s': unit '%s' was not %s in time, but is %s",
                sp_machine_name(self->machine), unit, wanted, seen);
        if (!sp_py_pause_longer(state, &pause))
            return NULL;
    }
}

static PyObject *wait_for_unit_active_state(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"unit", "active_state", "user", "timeout", NULL};
    const char *unit, *wanted, *user = NULL;
    PyObject *timeout = NULL, *answer;
    gint64 timeout_ms;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "ss|zO:wait_for_unit_active_state", keywords,
            &unit, &wanted, &user, &timeout) ||
        !sp_py_machine_timeout(self, timeout, &timeout_ms))
        return NULL;
    if (!is_active_state(wanted))
        return PyErr_Format(PyExc_ValueError,
            "'%s' is no state of a unit: expected active, reloading, inactive, failed, activating, "
            "deactivating, maintenance or refreshing",
            wanted);
    sp_py_machine_begin(self, "wait", "wait for unit %s to be %s", unit, wanted);
    answer = poll_active_state(self, unit, wanted, user, timeout_ms);
    sp_log_end(sp_py_machine_log(self), answer ? NULL : "it was not");
    return answer;
}

static PyObject *run_job(SpPyMachine *self, PyObject *args, PyObject *kwargs, const char *verb)
{
    char *keywords[] = {"jobname", "user", NULL};
    g_auto(SpCommandResult) result = {0};
    g_autofree char *arguments = NULL;
    const char *unit, *user = NULL;
    g_autofree char *quoted = NULL;
    gint64 timeout_ms;
    PyObject *text;
    bool has_run;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s|z", keywords, &unit, &user) ||
        !sp_py_machine_timeout(self, NULL, &timeout_ms))
        return NULL;
    quoted = g_shell_quote(unit);
    arguments = g_strdup_printf("%s %s", verb, quoted);
    sp_py_machine_begin(self, "command", "%s unit %s", verb, unit);
    has_run = run_systemctl(self, arguments, user, timeout_ms, &result);
    sp_log_end(sp_py_machine_log(self), has_run ? NULL : "could not be run");
    text = has_run ? sp_py_text(result.output) : NULL;
    return text ? Py_BuildValue("(iN)", result.status, text) : NULL;
}

static PyObject *start_job(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    return run_job(self, args, kwargs, "start");
}

static PyObject *stop_job(SpPyMachine *self, PyObject *args, PyObject *kwargs)
{
    return run_job(self, args, kwargs, "stop");
}

SP_PY_SERVED(require_unit_state)
SP_PY_SERVED(start_job)
SP_PY_SERVED(stop_job)
SP_PY_SERVED(wait_for_unit)
SP_PY_SERVED(wait_for_unit_active_state)
SP_PY_SERVED(systemctl)
SP_PY_SERVED(get_unit_info)
SP_PY_SERVED(get_unit_property)

PyMethodDef sp_py_machine_unit_methods[] = {
    SP_PY_METHOD("require_unit_state", require_unit_state, SP_PY_KEYWORDS,
        "require_unit_state(unit, require_state='active')\n--\n\nRaise RequestedAssertionFailed "
        "unless the unit is in that state now."),
    SP_PY_METHOD("start_job", start_job, SP_PY_KEYWORDS,
        "start_job(jobname, user=None)\n--\n\nHave systemd start a unit. Returns systemctl's "
        "status and stdout: it is not checked."),
    SP_PY_METHOD("stop_job", stop_job, SP_PY_KEYWORDS,
        "stop_job(jobname, user=None)\n--\n\nHave systemd stop a unit, in the same way."),
    SP_PY_METHOD("wait_for_unit", wait_for_unit, SP_PY_KEYWORDS,
        "wait_for_unit(unit, user=None, timeout=900)\n--\n\nWait until the unit is active. Raises "
        "RequestedAssertionFailed at once if it failed, or is inactive with no job pending."),
    SP_PY_METHOD("wait_for_unit_active_state", wait_for_unit_active_state, SP_PY_KEYWORDS,
        "wait_for_unit_active_state(unit, active_state, user=None, timeout=900)\n--\n\nWait until "
        "the unit's ActiveState is that one. A state that it passes through quickly may be "
        "missed."),
    SP_PY_METHOD("systemctl", systemctl, SP_PY_KEYWORDS,
        "systemctl(q, user=None)\n--\n\nRun systemctl with the arguments q, for the user's manager "
        "if one is given. Returns its status and stdout."),
    SP_PY_METHOD("get_unit_info", get_unit_info, SP_PY_KEYWORDS,
        "get_unit_info(unit, user=None)\n--\n\nAll properties of a unit as a dict of str."),
    SP_PY_METHOD("get_unit_property", get_unit_property, SP_PY_KEYWORDS,
        "get_unit_property(unit, property, user=None)\n--\n\nOne property of a unit as a str."),
    {NULL, NULL, 0, NULL},
};
