/* SPDX-License-Identifier: MIT */

/* Waits for what a guest's agent, or its console, reports: units, files, ports, sockets, text. */

#include "base/error.h"
#include "base/unit-words.h"
#include "machine/machine-console.h"
#include "machine/machine-guest.h"
#include "machine/machine-private.h"

#include <errno.h>
#include <string.h>

/* Between two looks at what has no event. */
#define POLL_MS 50

/* A watch's STATE, by its strings' places (lib/agent-frame.h). */
enum { UNIT_LOAD, UNIT_ACTIVE, UNIT_SUB, UNIT_RESULT, UNIT_JOB, UNIT_STRINGS };

typedef struct {
    SpMachine *machine;
    SpChannel *watch;
    SpChannel *jobs;    /* asks for the manager's jobs */
    SpChannel *details; /* asks why it is inactive if there are none */
    const char *unit;
    guint serial;     /* of the watch's STATE that jobs is about */
    gint64 ask_again; /* when, if jobs were pending */
} UnitWait;

static bool unit_failed(UnitWait *wait, char **state, GError **error)
{
    g_set_error(error, SP_ERROR, SP_ERROR_ASSERTION,
        "unit '%s' failed (%s, %s); 'systemctl status %s' and 'journalctl -u %s' say more",
        wait->unit, state[UNIT_SUB], *state[UNIT_RESULT] ? state[UNIT_RESULT] : "no result",
        wait->unit, wait->unit);
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
        "unit '%s' is inactive and no job is pending that could start it: %s", wait->unit, why);
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

/* "timed out" becomes what was waited for. */
static bool explain_wait(SpMachine *machine, GError *local, GError **error, const char *format, ...)
    G_GNUC_PRINTF(4, 5);
static bool explain_wait(SpMachine *machine, GError *local, GError **error, const char *format, ...)
{
    va_list args;

    if (g_error_matches(local, SP_ERROR, SP_ERROR_TIMEOUT)) {
        g_free(local->message);
        va_start(args, format);
        local->message = g_strdup_vprintf(format, args);
        va_end(args);
    } else {
        local = sp_machine_explain_loss(machine, local);
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

/* Takes @local, the agent's refusal. */
static void explain_unit_refusal(const char *unit, int number, GError *local, GError **error)
{
    if (number == EINVAL)
        g_set_error(error, SP_ERROR, SP_ERROR_GUEST, "unit '%s' can't be waited for: %s (%s)", unit,
            sp_unit_name_fault(unit), local->message);
    else
        g_set_error(error, SP_ERROR, SP_ERROR_GUEST, "unit '%s' can't be waited for: %s", unit,
            local->message);
    g_error_free(local);
}

bool sp_machine_await_unit(SpMachine *machine, const char *unit, gint64 timeout_ms, GError **error)
{
    gint64 deadline = sp_machine_deadline(machine, timeout_ms);
    UnitWait wait = {.machine = machine};
    g_autofree char *full =
        strchr(unit, '.') ? g_strdup(unit) : g_strconcat(unit, ".service", NULL);
    g_autofree char *state = NULL;
    GError *local = NULL;
    guint poll;
    int number;
    bool is_active;

    if (!sp_machine_contact(machine, sp_machine_contact_deadline(machine, deadline), error))
        return false;
    wait.unit = full;
    wait.watch = sp_agent_watch(machine->agent, SP_WATCH_UNIT, full);
    poll = g_timeout_add(POLL_MS, on_poll, NULL);
    is_active = sp_wait(unit_is_active, &wait, deadline, &machine->config.interrupt, &local);
    g_source_remove(poll);
    state = describe_state(sp_channel_state(wait.watch, NULL));
    number = sp_channel_error_number(wait.watch);
    sp_channel_free(wait.watch);
    sp_channel_free(wait.jobs);
    sp_channel_free(wait.details);
    if (g_error_matches(local, SP_ERROR, SP_ERROR_GUEST)) {
        explain_unit_refusal(unit, number, local, error);
        return false;
    }
    return is_active || explain_wait(machine, local, error,
                            "unit '%s' did not become active in time (%s)", full, state);
}

bool sp_machine_wait_for_unit(
    SpMachine *machine, const char *unit, gint64 timeout_ms, GError **error)
{
    GError *local = NULL;

    (void)!sp_machine_await_unit(machine, unit, timeout_ms, &local);
    return sp_machine_report(machine, local, error);
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

/* What is waited for; @subject and @wish are for messages: "file '/x'" is to "appear". */
typedef struct {
    enum sp_watch_kind kind;
    const char *what; /* for the agent */
    const char *wanted;
    const char *subject, *wish;
} Goal;

static bool wait_for_goal(SpMachine *machine, const Goal *goal, gint64 timeout_ms, GError **error)
{
    gint64 deadline = sp_machine_deadline(machine, timeout_ms);
    StateWait wait = {.machine = machine, .wanted = goal->wanted};
    g_autoptr(SpChannel) watch = NULL;
    GError *local = NULL;

    if (!sp_machine_contact(machine, sp_machine_contact_deadline(machine, deadline), error))
        return false;
    wait.watch = watch = sp_agent_watch(machine->agent, goal->kind, goal->what);
    if (sp_wait(state_is_there, &wait, deadline, &machine->config.interrupt, &local))
        return true;
    if (g_error_matches(local, SP_ERROR, SP_ERROR_GUEST)) {
        g_set_error(error, SP_ERROR, SP_ERROR_GUEST, "%s can't be waited for: %s", goal->subject,
            explain_refusal(goal->kind, sp_channel_error_number(watch), local->message));
        g_error_free(local);
        return false;
    }
    return explain_wait(machine, local, error, "%s did not %s in time", goal->subject, goal->wish);
}

bool sp_machine_wait_for_file(
    SpMachine *machine, const char *path, gint64 timeout_ms, GError **error)
{
    g_autofree char *subject = g_strdup_printf("file '%s'", path);
    const Goal goal = {SP_WATCH_FILE, path, "1", subject, "appear"};
    GError *local = NULL;

    if (sp_machine_refuse_empty(path, "the file", &local))
        wait_for_goal(machine, &goal, timeout_ms, &local);
    return sp_machine_report(machine, local, error);
}

bool sp_machine_wait_for_port(SpMachine *machine, const char *address, guint port, bool open,
    gint64 timeout_ms, GError **error)
{
    g_autofree char *what = g_strdup_printf("%s %u", address, port);
    g_autofree char *subject = g_strdup_printf("TCP port %u of '%s'", port, address);
    const Goal goal = {
        SP_WATCH_PORT, what, open ? "1" : "0", subject, open ? "become open" : "become closed"};
    GError *local = NULL;

    wait_for_goal(machine, &goal, timeout_ms, &local);
    return sp_machine_report(machine, local, error);
}

bool sp_machine_wait_for_unix_socket(
    SpMachine *machine, const char *path, bool is_datagram, gint64 timeout_ms, GError **error)
{
    g_autofree char *what = g_strconcat(is_datagram ? "dgram " : "stream ", path, NULL);
    g_autofree char *subject = g_strdup_printf("socket '%s'", path);
    const Goal goal = {SP_WATCH_UNIX, what, "1", subject, "become open"};
    GError *local = NULL;

    if (sp_machine_refuse_empty(path, "the socket", &local))
        wait_for_goal(machine, &goal, timeout_ms, &local);
    return sp_machine_report(machine, local, error);
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

static bool wait_for_console_text(
    SpMachine *machine, const char *regex, gint64 timeout_ms, GError **error)
{
    GError *local = NULL;
    g_autoptr(GRegex) compiled = sp_console_regex_new(regex, &local);
    TextWait wait = {.machine = machine, .regex = compiled};

    if (!compiled) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "'%s' is not a valid regular expression: %s",
            regex, local->message);
        g_error_free(local);
        return false;
    }
    return sp_machine_switch_on(machine, false, error) &&
           (sp_wait(text_is_there, &wait, sp_deadline(timeout_ms), &machine->config.interrupt,
                &local) ||
               explain_wait(machine, local, error,
                   "no unread line of the console matched '%s' in time", regex));
}

bool sp_machine_wait_for_console_text(
    SpMachine *machine, const char *regex, gint64 timeout_ms, GError **error)
{
    GError *local = NULL;

    wait_for_console_text(machine, regex, timeout_ms, &local);
    return sp_machine_report(machine, local, error);
}
