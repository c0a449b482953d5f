/* SPDX-License-Identifier: MIT */

/* The interfaces are in org.freedesktop.systemd1(5). */

#include "agent/units.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#define ADDRESS "unix:path=/run/systemd/private"
#define ADDRESS_VARIABLE "SLOTPROOF_MANAGER_ADDRESS"
#define MANAGER_PATH "/org/freedesktop/systemd1"
#define MANAGER_INTERFACE "org.freedesktop.systemd1.Manager"
#define RETRY_USEC 50000u
/* With nobody to tell, the manager's signals only cost both sides time. */
#define LINGER_USEC 1000000u

struct units {
    sd_event *event; /* not owned */
    sd_bus *bus;
    sd_event_source *timer; /* connect, ask again, or disconnect: see on_timer() */
    struct unit *list;
};

struct unit {
    struct units *units;
    struct unit *next;
    char *name;
    char *path; /* of the manager's object; NULL until it told */
    unit_func func;
    void *data;
    sd_bus_slot *call; /* the question under way */
    bool is_stale;     /* something changed since it was asked, or the answer was an error */
    bool is_known;
    struct unit_state asked, told;
};

static void unit_ask(struct unit *unit);

static int on_timer(sd_event_source *source, uint64_t usec, void *data);

static int wake_in(struct units *units, uint64_t usec)
{
    units->timer = sd_event_source_disable_unref(units->timer);
    return sd_event_add_time_relative(
        units->event, &units->timer, CLOCK_MONOTONIC, usec, 1000, on_timer, units);
}

/* The state in @unit->asked is whole. */
static void unit_answered(struct unit *unit)
{
    bool is_new = !unit->is_known || memcmp(&unit->asked, &unit->told, sizeof unit->told) != 0;

    unit->call = sd_bus_slot_unref(unit->call);
    if (unit->is_stale)
        unit_ask(unit);
    if (!is_new)
        return;
    unit->is_known = true;
    unit->told = unit->asked;
    unit->func(unit->data, 0);
}

/* The manager may be too busy, or be about to restart: ask again soon. */
static void unit_unanswered(struct unit *unit)
{
    unit->call = sd_bus_slot_unref(unit->call);
    unit->is_stale = true;
    wake_in(unit->units, RETRY_USEC);
}

static void copy(char to[static 32], const char *from)
{
    snprintf(to, 32, "%s", from);
}

static int on_result(sd_bus_message *reply, void *data, sd_bus_error *error)
{
    struct unit *unit = data;
    const char *result;

    if (!sd_bus_message_is_method_error(reply, NULL) &&
        sd_bus_message_read(reply, "v", "s", &result) > 0)
        copy(unit->asked.result, result);
    unit_answered(unit);
    return 0;
}

/* The interface that has a Result depends on the type; targets, devices and slices have none. */
static bool ask_result(struct unit *unit)
{
    static const struct {
        const char *suffix, *interface;
    } types[] = {
        {".service", "org.freedesktop.systemd1.Service"},
        {".socket", "org.freedesktop.systemd1.Socket"},
        {".mount", "org.freedesktop.systemd1.Mount"},
        {".automount", "org.freedesktop.systemd1.Automount"},
        {".swap", "org.freedesktop.systemd1.Swap"},
        {".timer", "org.freedesktop.systemd1.Timer"},
        {".path", "org.freedesktop.systemd1.Path"},
        {".scope", "org.freedesktop.systemd1.Scope"},
    };
    const char *suffix = strrchr(unit->name, '.');

    for (size_t i = 0; suffix && i < sizeof types / sizeof *types; i++) {
        if (strcmp(types[i].suffix, suffix) != 0)
            continue;
        unit->call = sd_bus_slot_unref(unit->call);
        return sd_bus_call_method_async(unit->units->bus, &unit->call, NULL, unit->path,
                   "org.freedesktop.DBus.Properties", "Get", on_result, unit, "ss",
                   types[i].interface, "Result") >= 0;
    }
    return false;
}

/* The answer's row: 1, 0 if the manager knows no unit of such a name, or a negative errno. */
static int read_state(struct unit *unit, sd_bus_message *reply)
{
    const char *load, *active, *sub, *path;
    uint32_t job;
    int r;

    r = sd_bus_message_enter_container(reply, 'a', "(ssssssouso)");
    if (r >= 0)
        r = sd_bus_message_read(
            reply, "(ssssssouso)", NULL, NULL, &load, &active, &sub, NULL, &path, &job, NULL, NULL);
    if (r <= 0)
        return r;
    if (!unit->path || strcmp(unit->path, path) != 0) {
        free(unit->path);
        unit->path = strdup(path);
        if (!unit->path)
            return -ENOMEM;
    }
    memset(&unit->asked, 0, sizeof unit->asked); /* compared as bytes */
    copy(unit->asked.load, load);
    copy(unit->asked.active, active);
    copy(unit->asked.sub, sub);
    unit->asked.job = job;
    return 1;
}

static int on_state(sd_bus_message *reply, void *data, sd_bus_error *error)
{
    struct unit *unit = data;
    int r = -EIO;

    if (!sd_bus_message_is_method_error(reply, NULL))
        r = read_state(unit, reply);
    else if (sd_bus_message_is_method_error(reply, SD_BUS_ERROR_INVALID_ARGS))
        r = 0; /* a template, which can't be a unit itself */
    if (r < 0) {
        unit_unanswered(unit);
    } else if (r == 0) {
        unit->call = sd_bus_slot_unref(unit->call);
        unit->func(unit->data, -EINVAL);
    } else if (!ask_result(unit)) {
        unit_answered(unit);
    }
    return 0;
}

/* One call has all that belongs together, job included, and loads the unit where need be. */
static void unit_ask(struct unit *unit)
{
    unit->is_stale = unit->call || !unit->units->bus;
    if (unit->is_stale)
        return;
    if (sd_bus_call_method_async(unit->units->bus, &unit->call, NULL, MANAGER_PATH,
            MANAGER_INTERFACE, "ListUnitsByNames", on_state, unit, "as", 1, unit->name) < 0)
        unit_unanswered(unit);
}

static void ask_all(struct units *units)
{
    for (struct unit *unit = units->list; unit; unit = unit->next)
        unit_ask(unit);
}

/* A job came or went; also of units whose own object says nothing yet. */
static void on_job(struct units *units, sd_bus_message *m)
{
    const char *name;

    if (sd_bus_message_read(m, "uos", NULL, NULL, &name) < 0)
        return;
    for (struct unit *unit = units->list; unit; unit = unit->next) {
        if (strcmp(unit->name, name) == 0)
            unit_ask(unit);
    }
}

/* The manager sends all its signals to its own socket. */
static int on_message(sd_bus_message *m, void *data, sd_bus_error *error)
{
    struct units *units = data;
    const char *path = sd_bus_message_get_path(m);

    if (!path)
        return 0;
    if (sd_bus_message_is_signal(m, MANAGER_INTERFACE, "JobNew") ||
        sd_bus_message_is_signal(m, MANAGER_INTERFACE, "JobRemoved")) {
        on_job(units, m);
        sd_bus_message_rewind(m, true);
    } else if (sd_bus_message_is_signal(m, MANAGER_INTERFACE, "Reloading") ||
               sd_bus_message_is_signal(m, MANAGER_INTERFACE, "UnitFilesChanged")) {
        ask_all(units);
    } else if (sd_bus_message_is_signal(
                   m, "org.freedesktop.DBus.Properties", "PropertiesChanged")) {
        for (struct unit *unit = units->list; unit; unit = unit->next) {
            if (unit->path && strcmp(unit->path, path) == 0)
                unit_ask(unit);
        }
    }
    return 0;
}

static void disconnect(struct units *units)
{
    for (struct unit *unit = units->list; unit; unit = unit->next) {
        unit->call = sd_bus_slot_unref(unit->call);
        unit->is_stale = true;
        free(unit->path);
        unit->path = NULL;
    }
    units->bus = sd_bus_close_unref(units->bus);
}

static int on_disconnected(sd_bus_message *m, void *data, sd_bus_error *error)
{
    struct units *units = data;

    /* Not from within the bus' own callback. */
    return wake_in(units, RETRY_USEC);
}

static int connect_now(struct units *units)
{
    const char *address = getenv(ADDRESS_VARIABLE);
    sd_bus *bus = NULL;
    int r = sd_bus_new(&bus);

    if (r >= 0)
        r = sd_bus_set_address(bus, address ? address : ADDRESS);
    if (r >= 0)
        r = sd_bus_set_exit_on_disconnect(bus, false);
    if (r >= 0)
        r = sd_bus_start(bus);
    if (r >= 0)
        r = sd_bus_attach_event(bus, units->event, SD_EVENT_PRIORITY_NORMAL);
    if (r >= 0)
        r = sd_bus_add_filter(bus, NULL, on_message, units);
    if (r >= 0)
        r = sd_bus_match_signal(bus, NULL, NULL, "/org/freedesktop/DBus/Local",
            "org.freedesktop.DBus.Local", "Disconnected", on_disconnected, units);
    if (r < 0) {
        sd_bus_close_unref(bus);
        return r;
    }
    units->bus = bus;
    ask_all(units);
    return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *data)
{
    struct units *units = data;

    if (units->bus && (!units->list || sd_bus_is_open(units->bus) <= 0))
        disconnect(units);
    if (!units->list)
        return 0;
    if (!units->bus)
        return connect_now(units) < 0 ? wake_in(units, RETRY_USEC) : 0;
    for (struct unit *unit = units->list; unit; unit = unit->next) {
        if (unit->is_stale && !unit->call)
            unit_ask(unit);
    }
    return 0;
}

int units_follow(struct units **units, sd_event *event, const char *name, unit_func func,
    void *data, struct unit **ret)
{
    struct unit *unit;

    if (!*units)
        *units = calloc(1, sizeof **units);
    unit = *units ? calloc(1, sizeof *unit) : NULL;
    if (!unit)
        return -ENOMEM;
    (*units)->event = event;
    *unit = (struct unit){.units = *units, .name = strdup(name), .func = func, .data = data};
    if (!unit->name) {
        free(unit);
        return -ENOMEM;
    }
    unit->next = (*units)->list;
    (*units)->list = unit;
    *ret = unit;
    if ((*units)->bus)
        unit_ask(unit);
    else if (connect_now(*units) < 0)
        return wake_in(*units, RETRY_USEC);
    return 0;
}

const struct unit_state *unit_get_state(const struct unit *unit)
{
    return &unit->told;
}

void unit_free(struct unit *unit)
{
    if (!unit)
        return;
    for (struct unit **p = &unit->units->list; *p; p = &(*p)->next) {
        if (*p == unit) {
            *p = unit->next;
            break;
        }
    }
    if (!unit->units->list && unit->units->bus)
        wake_in(unit->units, LINGER_USEC);
    sd_bus_slot_unref(unit->call);
    free(unit->path);
    free(unit->name);
    free(unit);
}

void units_free(struct units *units)
{
    if (!units)
        return;
    sd_event_source_disable_unref(units->timer);
    sd_bus_close_unref(units->bus);
    free(units);
}
