/* SPDX-License-Identifier: MIT */

/* Commands and waits: what a machine asks of the guest through its agent. */

#include "base/error.h"
#include "base/unit-words.h"
#include "machine/machine-private.h"

#include <errno.h>
#include <string.h>

/* Between two looks at what has no event, on a loop of its own. */
#define POLL_MS 50

typedef struct {
    SpMachine *machine;
    SpChannel *channel;
} ChannelWait;

bool sp_machine_answers(SpMachine *machine)
{
    return machine->agent && sp_agent_is_ready(machine->agent) &&
           sp_machine_is_well(machine, SP_WAIT_GUEST, NULL);
}

static bool channel_is_done(void *data, GError **error)
{
    ChannelWait *wait = data;

    if (sp_channel_is_done(wait->channel, error))
        return true;
    return !sp_machine_is_well(wait->machine, SP_WAIT_GUEST, error);
}

/* A lost connection is explained by what happened to the machine, if that is known by then. */
static bool machine_is_broken(void *data, GError **error)
{
    return !sp_machine_is_well(data, SP_WAIT_GUEST, NULL);
}

static void explain_loss(SpMachine *machine, GError **error)
{
    if (g_error_matches(*error, SP_ERROR, SP_ERROR_MACHINE) &&
        !strstr((*error)->message, machine->config.name)) {
        if (sp_wait(machine_is_broken, machine, sp_deadline(500), NULL, NULL)) {
            g_clear_error(error);
            sp_machine_is_well(machine, SP_WAIT_GUEST, error);
        } else {
            sp_machine_explain(machine, error);
        }
    } else if (g_error_matches(*error, SP_ERROR, SP_ERROR_PROTOCOL)) {
        sp_machine_explain(machine, error);
    }
}

bool sp_machine_wait_channel(
    SpMachine *machine, SpChannel *channel, gint64 deadline, GError **error)
{
    ChannelWait wait = {.machine = machine, .channel = channel};
    GError *local = NULL;

    if (sp_wait(channel_is_done, &wait, deadline, &machine->config.interrupt, &local))
        return true;
    explain_loss(machine, &local);
    g_propagate_error(error, local);
    return false;
}

void sp_command_result_clear(SpCommandResult *result)
{
    if (result->output)
        g_string_free(result->output, TRUE);
    if (result->errors)
        g_string_free(result->errors, TRUE);
    memset(result, 0, sizeof *result);
}

static GString *copy_string(const GString *string)
{
    return g_string_new_len(string->str, (gssize)string->len);
}

/* The kernel takes 128 KiB in one argument at most (execve(2)). */
#define ARGUMENT_MAX (96u * 1024)

/* errexit and pipefail, so that no part of a line fails unseen. A long command comes in several
 * arguments, none of which it gets to see. */
static GStrv shell_argv(const char *command)
{
    static const char *const shell[] = {"/bin/bash", "-euo", "pipefail", "-c"};
    gsize length = strlen(command), pieces = 1 + length / ARGUMENT_MAX;
    GPtrArray *argv = g_ptr_array_new();

    for (gsize i = 0; i < G_N_ELEMENTS(shell); i++)
        g_ptr_array_add(argv, g_strdup(shell[i]));
    if (pieces == 1) {
        g_ptr_array_add(argv, g_strdup(command));
    } else {
        GString *script = g_string_new("eval \"set --\n");

        for (gsize i = 1; i <= pieces; i++)
            g_string_append_printf(script, "${%" G_GSIZE_FORMAT "}", i);
        g_string_append_c(script, '"');
        g_ptr_array_add(argv, g_string_free(script, FALSE));
        g_ptr_array_add(argv, g_strdup(shell[0]));
        for (gsize i = 0; i < pieces; i++)
            g_ptr_array_add(argv, g_strndup(command + i * ARGUMENT_MAX, ARGUMENT_MAX));
    }
    g_ptr_array_add(argv, NULL);
    return (GStrv)g_ptr_array_free(argv, FALSE);
}

static SpChannel *exec_shell(SpMachine *machine, const char *command)
{
    g_auto(GStrv) argv = shell_argv(command);

    return sp_agent_exec(machine->agent, (const char *const *)argv);
}

bool sp_machine_execute(SpMachine *machine, const char *command, gint64 timeout_ms,
    SpCommandResult *ret_result, GError **error)
{
    gint64 deadline = sp_machine_deadline(machine, timeout_ms);
    g_autoptr(SpChannel) channel = NULL;
    bool timed_out = false;
    GError *local = NULL;
    int status;

    if (!sp_machine_contact(machine, sp_machine_contact_deadline(machine, deadline), error))
        return false;
    channel = exec_shell(machine, command);
    if (sp_machine_wait_channel(machine, channel, deadline, &local)) {
        status = sp_channel_status(channel);
    } else if (g_error_matches(local, SP_ERROR, SP_ERROR_TIMEOUT)) {
        g_clear_error(&local);
        status = 124;
        timed_out = true;
    } else {
        g_propagate_error(error, local);
        return false;
    }
    if (sp_channel_holders(channel))
        sp_log(machine->config.log, machine->config.name,
            "its output is cut off here: background processes still hold it open: %s",
            sp_channel_holders(channel));
    ret_result->status = status;
    ret_result->timed_out = timed_out;
    ret_result->output = copy_string(sp_channel_output(channel));
    ret_result->errors = copy_string(sp_channel_errors(channel));
    return true;
}

static bool run_until(SpMachine *machine, const char *purpose, const char *const *argv,
    gint64 deadline, GString **ret_output, GError **error)
{
    g_autoptr(SpChannel) channel = NULL;
    GError *local = NULL;

    if (!sp_machine_contact(machine, deadline, error))
        return false;
    channel = sp_agent_exec(machine->agent, argv);
    if (!sp_machine_wait_channel(machine, channel, deadline, &local)) {
        if (g_error_matches(local, SP_ERROR, SP_ERROR_GUEST) ||
            g_error_matches(local, SP_ERROR, SP_ERROR_TIMEOUT))
            g_prefix_error(&local, "machine '%s': %s: ", machine->config.name, purpose);
        g_propagate_error(error, local);
        return false;
    }
    if (sp_channel_status(channel) != 0) {
        const char *said = g_strchomp(sp_channel_errors(channel)->str);
        g_autofree char *status =
            g_strdup_printf("it ended with status %d", sp_channel_status(channel));

        g_set_error(error, SP_ERROR, SP_ERROR_GUEST, "machine '%s': %s: %s", machine->config.name,
            purpose, *said ? said : status);
        return false;
    }
    if (ret_output)
        *ret_output = copy_string(sp_channel_output(channel));
    return true;
}

bool sp_machine_execute_detached(
    SpMachine *machine, const char *command, gint64 timeout_ms, GError **error)
{
    static const char *const detach[] = {
        "/bin/bash", "-c", "setsid \"$@\" </dev/null >/dev/null 2>&1 &", "bash"};
    g_auto(GStrv) shell = shell_argv(command);
    g_autoptr(GPtrArray) argv = g_ptr_array_new();

    for (gsize i = 0; i < G_N_ELEMENTS(detach); i++)
        g_ptr_array_add(argv, (void *)detach[i]);
    for (char **word = shell; *word; word++)
        g_ptr_array_add(argv, *word);
    g_ptr_array_add(argv, NULL);
    return run_until(machine, "starting a command", (const char *const *)argv->pdata,
        sp_machine_deadline(machine, timeout_ms), NULL, error);
}

bool sp_machine_run(SpMachine *machine, const char *purpose, const char *const *argv,
    GString **ret_output, GError **error)
{
    return run_until(machine, purpose, argv, sp_machine_deadline(machine, -1), ret_output, error);
}

/* A watch's STATE, by its strings' places (lib/agent-frame.h). */
enum { UNIT_LOAD, UNIT_ACTIVE, UNIT_SUB, UNIT_RESULT, UNIT_JOB, UNIT_STRINGS };

typedef struct {
    SpMachine *machine;
    SpChannel *watch;
    SpChannel *jobs;    /* asks for the manager's jobs */
    SpChannel *details; /* asks why it is inactive, where there are none */
    const char *unit;
    guint serial;     /* of the watch's STATE that jobs is about */
    gint64 ask_again; /* when, if jobs were pending */
} UnitWait;

static bool unit_failed(UnitWait *wait, char **state, GError **error)
{
    g_set_error(error, SP_ERROR, SP_ERROR_ASSERTION,
        "machine '%s': unit '%s' failed (%s, %s); 'systemctl status %s' and 'journalctl -u %s' "
        "say more",
        wait->machine->config.name, wait->unit, state[UNIT_SUB],
        *state[UNIT_RESULT] ? state[UNIT_RESULT] : "no result", wait->unit, wait->unit);
    return true;
}

/* With what the manager knows of it, unless it has changed meanwhile. */
static bool say_why_inactive(UnitWait *wait, guint serial, GError **error)
{
    g_autofree char *why = NULL;

    if (!sp_channel_is_done(wait->details, NULL))
        return false;
    why = sp_unit_why_inactive(sp_channel_output(wait->details)->str);
    g_clear_pointer(&wait->details, sp_channel_free);
    if (wait->serial != serial)
        return false;
    g_set_error(error, SP_ERROR, SP_ERROR_ASSERTION,
        "machine '%s': unit '%s' is inactive and no job is pending that could start it: %s",
        wait->machine->config.name, wait->unit, why);
    return true;
}

/* An inactive unit may still be started by a job of another one: only without any job is it lost.
 */
static bool unit_is_hopeless(UnitWait *wait, guint serial, GError **error)
{
    const char *const argv[] = {"systemctl", "show", "--property=NJobs", "--value", NULL};
    const char *const ask[] = {
        "systemctl", "show", "--property=" SP_UNIT_PROPERTIES, "--", wait->unit, NULL};
    bool none;

    if (wait->details)
        return say_why_inactive(wait, serial, error);
    if (!wait->jobs) {
        if (g_get_monotonic_time() < wait->ask_again)
            return false;
        wait->jobs = sp_agent_exec(wait->machine->agent, argv);
        wait->serial = serial;
        return false;
    }
    if (!sp_channel_is_done(wait->jobs, NULL))
        return false;
    none = g_str_equal(g_strchomp(sp_channel_output(wait->jobs)->str), "0");
    g_clear_pointer(&wait->jobs, sp_channel_free);
    wait->ask_again = g_get_monotonic_time() + POLL_MS * G_TIME_SPAN_MILLISECOND;
    if (none && wait->serial == serial)
        wait->details = sp_agent_exec(wait->machine->agent, ask);
    return false;
}

static bool unit_is_active(void *data, GError **error)
{
    UnitWait *wait = data;
    guint serial;
    char **state;

    if (sp_channel_is_done(wait->watch, error))
        return true;
    if (!sp_machine_is_well(wait->machine, SP_WAIT_GUEST, error))
        return true;
    state = sp_channel_state(wait->watch, &serial);
    if (!state || g_strv_length(state) < UNIT_STRINGS)
        return false;
    if (g_str_equal(state[UNIT_ACTIVE], "active"))
        return true;
    if (g_str_equal(state[UNIT_ACTIVE], "failed"))
        return unit_failed(wait, state, error);
    if (g_str_equal(state[UNIT_ACTIVE], "inactive") && g_str_equal(state[UNIT_JOB], "0"))
        return unit_is_hopeless(wait, serial, error);
    return false;
}

/* Makes "timed out" say what was waited for. */
static bool say_timeout(SpMachine *machine, GError *local, GError **error, const char *format, ...)
    G_GNUC_PRINTF(4, 5);
static bool say_timeout(SpMachine *machine, GError *local, GError **error, const char *format, ...)
{
    va_list args;

    if (g_error_matches(local, SP_ERROR, SP_ERROR_TIMEOUT)) {
        g_free(local->message);
        va_start(args, format);
        local->message = g_strdup_vprintf(format, args);
        va_end(args);
        sp_machine_explain(machine, &local);
    } else {
        explain_loss(machine, &local);
    }
    g_propagate_error(error, local);
    return false;
}

static gboolean on_poll(void *data)
{
    return G_SOURCE_CONTINUE;
}

/* The names that systemctl show has for them. */
static char *describe_state(char **state)
{
    if (!state || g_strv_length(state) < UNIT_STRINGS)
        return g_strdup("nothing is known of it");
    return g_strdup_printf("LoadState=%s, ActiveState=%s, SubState=%s, Result=%s, %s",
        state[UNIT_LOAD], state[UNIT_ACTIVE], state[UNIT_SUB], state[UNIT_RESULT],
        g_str_equal(state[UNIT_JOB], "0") ? "no job" : "with a job");
}

bool sp_machine_wait_for_unit(
    SpMachine *machine, const char *unit, gint64 timeout_ms, GError **error)
{
    gint64 deadline = sp_machine_deadline(machine, timeout_ms);
    UnitWait wait = {.machine = machine};
    g_autofree char *full =
        strchr(unit, '.') ? g_strdup(unit) : g_strconcat(unit, ".service", NULL);
    g_autofree char *state = NULL;
    GError *local = NULL;
    guint poll;
    bool is_active;

    if (!sp_machine_contact(machine, sp_machine_contact_deadline(machine, deadline), error))
        return false;
    wait.unit = full;
    wait.watch = sp_agent_watch(machine->agent, SP_WATCH_UNIT, full);
    poll = g_timeout_add(POLL_MS, on_poll, NULL);
    is_active = sp_wait(unit_is_active, &wait, deadline, &machine->config.interrupt, &local);
    g_source_remove(poll);
    state = describe_state(sp_channel_state(wait.watch, NULL));
    sp_channel_free(wait.watch);
    sp_channel_free(wait.jobs);
    sp_channel_free(wait.details);
    if (g_error_matches(local, SP_ERROR, SP_ERROR_GUEST)) {
        g_set_error(error, SP_ERROR, SP_ERROR_GUEST,
            "machine '%s': unit '%s' can't be waited for: %s (%s)", machine->config.name, unit,
            sp_unit_name_fault(unit), local->message);
        g_error_free(local);
        return false;
    }
    return is_active || say_timeout(machine, local, error,
                            "unit '%s' did not become active in time (%s)", full, state);
}

typedef struct {
    SpMachine *machine;
    SpChannel *watch;
    const char *wanted;
} StateWait;

static bool state_is_there(void *data, GError **error)
{
    StateWait *wait = data;
    char **state;

    if (sp_channel_is_done(wait->watch, error))
        return true;
    if (!sp_machine_is_well(wait->machine, SP_WAIT_GUEST, error))
        return true;
    state = sp_channel_state(wait->watch, NULL);
    return state && state[0] && g_str_equal(state[0], wait->wanted);
}

/* Why the agent can't watch it. */
static const char *explain_refusal(enum sp_watch_kind kind, int number, const char *message)
{
    if (kind == SP_WATCH_PORT && number == EADDRNOTAVAIL)
        return "the guest knows no such host: give an address, without brackets, or a name of its "
               "/etc/hosts";
    if (kind == SP_WATCH_UNIX && number == ENAMETOOLONG)
        return "the path is longer than a socket's may be (107 bytes)";
    return message;
}

/* @subject and @wish are for messages: what is waited for, and to become what. */
static bool wait_for_state(SpMachine *machine, enum sp_watch_kind kind, const char *what,
    const char *wanted, gint64 deadline, const char *subject, const char *wish, GError **error)
{
    g_autoptr(SpChannel) watch = sp_agent_watch(machine->agent, kind, what);
    StateWait wait = {.machine = machine, .watch = watch, .wanted = wanted};
    GError *local = NULL;

    if (sp_wait(state_is_there, &wait, deadline, &machine->config.interrupt, &local))
        return true;
    if (g_error_matches(local, SP_ERROR, SP_ERROR_GUEST)) {
        g_set_error(error, SP_ERROR, SP_ERROR_GUEST, "machine '%s': %s can't be waited for: %s",
            machine->config.name, subject,
            explain_refusal(kind, sp_channel_error_number(watch), local->message));
        g_error_free(local);
        return false;
    }
    return say_timeout(machine, local, error, "%s did not %s in time", subject, wish);
}

bool sp_machine_wait_for_file(
    SpMachine *machine, const char *path, gint64 timeout_ms, GError **error)
{
    gint64 deadline = sp_machine_deadline(machine, timeout_ms);
    g_autofree char *subject = g_strdup_printf("file '%s'", path);

    if (!sp_machine_refuse_empty(path, "the file", error) ||
        !sp_machine_contact(machine, sp_machine_contact_deadline(machine, deadline), error))
        return false;
    return wait_for_state(machine, SP_WATCH_FILE, path, "1", deadline, subject, "appear", error);
}

bool sp_machine_wait_for_port(SpMachine *machine, const char *address, guint port, bool open,
    gint64 timeout_ms, GError **error)
{
    gint64 deadline = sp_machine_deadline(machine, timeout_ms);
    g_autofree char *what = g_strdup_printf("%s %u", address, port);
    g_autofree char *subject = g_strdup_printf("TCP port %u of '%s'", port, address);

    if (!sp_machine_contact(machine, sp_machine_contact_deadline(machine, deadline), error))
        return false;
    return wait_for_state(machine, SP_WATCH_PORT, what, open ? "1" : "0", deadline, subject,
        open ? "become open" : "become closed", error);
}

bool sp_machine_wait_for_unix_socket(
    SpMachine *machine, const char *path, bool is_datagram, gint64 timeout_ms, GError **error)
{
    gint64 deadline = sp_machine_deadline(machine, timeout_ms);
    g_autofree char *what = g_strconcat(is_datagram ? "dgram " : "stream ", path, NULL);
    g_autofree char *subject = g_strdup_printf("socket '%s'", path);

    if (!sp_machine_refuse_empty(path, "the socket", error) ||
        !sp_machine_contact(machine, sp_machine_contact_deadline(machine, deadline), error))
        return false;
    return wait_for_state(
        machine, SP_WATCH_UNIX, what, "1", deadline, subject, "become open", error);
}

typedef struct {
    SpMachine *machine;
    GRegex *regex;
} TextWait;

static bool text_is_there(void *data, GError **error)
{
    TextWait *wait = data;

    return sp_console_take_match(wait->machine->console, wait->regex) ||
           !sp_machine_is_well(wait->machine, SP_WAIT_CONSOLE, error);
}

bool sp_machine_wait_for_console_text(
    SpMachine *machine, const char *regex, gint64 timeout_ms, GError **error)
{
    GError *local = NULL;
    g_autoptr(GRegex) compiled = sp_console_regex_new(regex, &local);
    TextWait wait = {.machine = machine, .regex = compiled};

    if (!compiled) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "'%s' is no regular expression: %s", regex,
            local->message);
        g_error_free(local);
        return false;
    }
    if (!sp_machine_start(machine, false, error))
        return false;
    return sp_wait(
               text_is_there, &wait, sp_deadline(timeout_ms), &machine->config.interrupt, &local) ||
           say_timeout(
               machine, local, error, "no unread line of the console matched '%s' in time", regex);
}
