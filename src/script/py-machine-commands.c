/* SPDX-License-Identifier: MIT */

/* Methods of Machine that run commands in the guest. */

#include "base/error.h"
#include "machine/machine-guest.h"
#include "script/api.h"
#include "script/py-call.h"
#include "script/py-polling.h"

#include <string.h>

#define STATUS_TIMEOUT 124

/* What the NixOS test driver returns instead of a status that was not asked for. */
#define STATUS_UNCHECKED (-1)
#define STATUS_DETACHED (-2)

bool sp_py_machine_run(
    SpPyMachine *self, const char *command, gint64 timeout_ms, SpCommandResult *ret_result)
{
    GError *error = NULL;

    if (!sp_py_check_conditions(sp_py_state((PyObject *)self)))
        return false;
    if (sp_machine_execute(self->machine, command, timeout_ms, ret_result, &error))
        return !PyErr_Occurred(); /* a signal may have come at the last moment */
    sp_py_raise(sp_py_state((PyObject *)self), error);
    return false;
}

static void log_errors(SpPyMachine *self, const SpCommandResult *result)
{
    g_autofree char *text = NULL;

    if (!result->errors || result->errors->len == 0)
        return;
    text = g_strchomp(g_utf8_make_valid(result->errors->str, (gssize)result->errors->len));
    sp_log(sp_py_log_of(self), sp_machine_name(self->machine), "%s", text);
}

static void log_result(SpPyMachine *self, const SpCommandResult *result)
{
    log_errors(self, result);
    sp_log_result(sp_py_log_of(self), result->status, result->output, result->errors);
}

static const char *expectation(bool succeeds)
{
    return succeeds ? "exit status 0" : "another exit status than 0";
}

/* Raise RequestedAssertionFailed with everything known about a command. Returns NULL. */
static PyObject *raise_result(SpPyMachine *self, const char *command, const char *expected,
    const char *seen, const SpCommandResult *result)
{
    GString *text = g_string_new(NULL);
    const struct {
        const char *name;
        const GString *bytes;
    } streams[] = {{"stdout", result->output}, {"stderr", result->errors}};

    g_string_append_printf(text, "machine '%s': command `%s`\nexpected: %s\nseen:     %s",
        sp_machine_name(self->machine), command, expected, seen);
    for (gsize i = 0; i < G_N_ELEMENTS(streams); i++) {
        if (!streams[i].bytes || streams[i].bytes->len == 0)
            continue;
        g_autofree char *excerpt = sp_py_excerpt(streams[i].bytes);
        g_string_append_printf(text, "\n%s:\n%s", streams[i].name, excerpt);
    }
    PyErr_SetString(sp_py_state((PyObject *)self)->assertion_failed, text->str);
    g_string_free(text, TRUE);
    return NULL;
}

/* One command that is expected to succeed or to fail; false with an exception if it does not. */
static bool run_expected(SpPyMachine *self, const char *command, gint64 timeout_ms, bool succeeds,
    SpCommandResult *ret_result)
{
    g_autofree char *seen = NULL;

    sp_py_step_begin(sp_py_state((PyObject *)self), sp_machine_name(self->machine), "command",
        "%s: %s", succeeds ? "must succeed" : "must fail", command);
    if (!sp_py_machine_run(self, command, timeout_ms, ret_result)) {
        sp_log_end(sp_py_log_of(self), "could not be run");
        return false;
    }
    log_result(self, ret_result);
    if ((ret_result->status == 0) == succeeds) {
        sp_log_end(sp_py_log_of(self), NULL);
        return true;
    }
    seen = g_strdup_printf("exit status %d%s", ret_result->status,
        ret_result->status == STATUS_TIMEOUT && timeout_ms != SP_NO_TIMEOUT ? ": did it time out?"
                                                                            : "");
    raise_result(self, command, expectation(succeeds), seen, ret_result);
    sp_log_end(sp_py_log_of(self), seen);
    return false;
}

/* The commands of a call in UTF-8, which live as long as @args. */
static const char **get_commands(PyObject *args)
{
    Py_ssize_t n = PyTuple_GET_SIZE(args);
    g_autofree const char **commands = g_new0(const char *, (gsize)n + 1);

    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *item = PyTuple_GET_ITEM(args, i);
        Py_ssize_t length;
        if (!PyUnicode_Check(item))
            return PyErr_Format(
                       PyExc_TypeError, "a command must be a str, not %s", Py_TYPE(item)->tp_name),
                   NULL;
        commands[i] = PyUnicode_AsUTF8AndSize(item, &length);
        if (!commands[i])
            return NULL;
        if (strlen(commands[i]) != (gsize)length)
            return PyErr_Format(PyExc_ValueError, "a command contains a null character"), NULL;
    }
    return g_steal_pointer(&commands);
}

static PyObject *run_commands(SpPyMachine *self, PyObject *args, gint64 timeout_ms, bool succeeds)
{
    g_autofree const char **commands = get_commands(args);
    g_autoptr(GString) output = g_string_new(NULL);

    if (!commands)
        return NULL;
    for (gsize i = 0; commands[i]; i++) {
        g_auto(SpCommandResult) result = {0};
        if (!run_expected(self, commands[i], timeout_ms, succeeds, &result))
            return NULL;
        g_string_append_len(output, result.output->str, (gssize)result.output->len);
    }
    return sp_py_text(output);
}

PyObject *sp_py_machine_succeed(SpPyMachine *self, PyObject *commands, gint64 timeout_ms)
{
    return run_commands(self, commands, timeout_ms, true);
}

PyObject *sp_py_machine_fail(SpPyMachine *self, PyObject *commands, gint64 timeout_ms)
{
    return run_commands(self, commands, timeout_ms, false);
}

PyObject *sp_py_machine_pack_result(int status, const GString *output)
{
    PyObject *text = sp_py_text(output);

    return text ? Py_BuildValue("(iN)", status, text) : NULL;
}

static PyObject *execute_detached(SpPyMachine *self, const char *command)
{
    GError *error = NULL;

    if (!sp_machine_execute_detached(self->machine, command, -1, &error))
        return sp_py_raise(sp_py_state((PyObject *)self), error);
    return sp_py_machine_pack_result(STATUS_DETACHED, NULL);
}

/* For a command that may switch the machine off before its end is reported. */
static PyObject *execute_unchecked(SpPyMachine *self, const char *command, gint64 timeout_ms)
{
    g_auto(SpCommandResult) result = {0};
    GError *error = NULL;

    if (sp_machine_execute(self->machine, command, timeout_ms, &result, &error)) {
        log_errors(self, &result);
    } else if (g_error_matches(error, SP_ERROR, SP_ERROR_MACHINE)) {
        sp_log(sp_py_log_of(self), sp_machine_name(self->machine), "%s", error->message);
        g_clear_error(&error);
    } else {
        return sp_py_raise(sp_py_state((PyObject *)self), error);
    }
    return sp_py_machine_pack_result(STATUS_UNCHECKED, result.output);
}

PyObject *sp_py_machine_execute(
    SpPyMachine *self, const char *command, bool check_return, bool check_output, gint64 timeout_ms)
{
    g_auto(SpCommandResult) result = {0};

    if (!check_output)
        return execute_detached(self, command);
    if (!check_return)
        return execute_unchecked(self, command, timeout_ms);
    if (!sp_py_machine_run(self, command, timeout_ms, &result))
        return NULL;
    log_result(self, &result);
    return sp_py_machine_pack_result(result.status, result.output);
}

/* @last is the last of the @tries that ended by themselves. The deadline may have killed another
 * one. */
static PyObject *raise_too_late(SpPyMachine *self, const char *command, gint64 timeout_ms,
    bool succeeds, guint tries, bool is_cut, const SpCommandResult *last)
{
    const char *cut = is_cut ? "; the one after it was killed at the end of that time" : "";
    g_autofree char *expected =
        g_strdup_printf("%s within %.1f s", expectation(succeeds), (double)timeout_ms / 1000);
    g_autofree char *seen = tries > 0 ? g_strdup_printf("exit status %d, the last time of %u%s",
                                            last->status, tries, cut)
                                      : g_strdup("exit status 124: it was killed at the end of its "
                                                 "time, and had not ended by itself");

    sp_log_result(sp_py_log_of(self), last->status, last->output, last->errors);
    return raise_result(self, command, expected, seen, last);
}

/* Run @command until it is as expected; returns its output, or NULL with an exception. */
static PyObject *poll_command(
    SpPyMachine *self, const char *command, gint64 timeout_ms, gint64 attempt_ms, bool succeeds)
{
    gint64 deadline = sp_deadline(timeout_ms);
    g_auto(SpCommandResult) last = {0};
    SpPyPause pause = {0};
    GError *error = NULL;
    guint tries = 0;

    /* the first attempt begins when the guest takes commands */
    if (attempt_ms != SP_NO_TIMEOUT && !sp_machine_connect(self->machine, timeout_ms, &error))
        return sp_py_raise(sp_py_state((PyObject *)self), error);
    for (;;) {
        g_auto(SpCommandResult) result = {0};
        gint64 left_ms = sp_py_left_ms(deadline);
        bool is_last =
            left_ms != SP_NO_TIMEOUT && (attempt_ms == SP_NO_TIMEOUT || left_ms < attempt_ms);
        bool is_cut;

        if (!sp_py_machine_run(self, command, is_last ? left_ms : attempt_ms, &result))
            return NULL;
        /* A run that the deadline killed counts neither way; one that its own time-out killed has
         * failed. The clock can't tell: a time-out in whole milliseconds ends before the
         * deadline. */
        is_cut = result.timed_out && is_last;
        if ((result.status == 0) == succeeds && !is_cut) {
            sp_log_result(sp_py_log_of(self), result.status, result.output, result.errors);
            return sp_py_text(result.output);
        }
        tries += is_cut ? 0 : 1;
        if (!is_cut || tries == 0) {
            sp_command_result_clear(&last);
            last = result;
            memset(&result, 0, sizeof result);
        }
        if (is_cut || g_get_monotonic_time() >= deadline)
            return raise_too_late(self, command, timeout_ms, succeeds, tries, is_cut, &last);
        if (!sp_py_pause_until(sp_py_state((PyObject *)self), &pause, deadline))
            return NULL;
    }
}

PyObject *sp_py_machine_wait_until_succeeds(
    SpPyMachine *self, const char *command, gint64 timeout_ms, gint64 attempt_timeout_ms)
{
    return poll_command(self, command, timeout_ms, attempt_timeout_ms, true);
}

PyObject *sp_py_machine_wait_until_fails(
    SpPyMachine *self, const char *command, gint64 timeout_ms, gint64 attempt_timeout_ms)
{
    return poll_command(self, command, timeout_ms, attempt_timeout_ms, false);
}
