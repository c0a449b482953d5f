/* SPDX-License-Identifier: MIT */
#include "agent-units.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#define MANAGER_ADDRESS "unix:path=/run/systemd/private"
#define MANAGER_PATH "/org/freedesktop/systemd1"
#define MANAGER_INTERFACE "org.freedesktop.systemd1.Manager"
#define UNIT_INTERFACE "org.freedesktop.systemd1.Unit"
#define RETRY_USEC 50000u

struct units {
    sd_event *event;
    sd_bus *bus;
    sd_event_source *retry;
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
    bool ask_again;    /* something changed since it was asked */
    bool is_known;
    struct unit_state asked, told;
};

static void unit_ask(struct unit *unit);

static void tell(struct unit *unit)
{
    unit->call = sd_bus_slot_unref(unit->call);
    if (!unit->is_known || memcmp(&unit->asked, &unit->told, sizeof unit->told) != 0) {
        unit->is_known = true;
        unit->told = unit->asked;
        unit->func(&unit->told, unit->data);
    }
    if (unit->ask_again) {
        unit->ask_again = false;
        unit_ask(unit);
    }
}

static void copy(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from);
}

static int on_result(sd_bus_message *reply, void *data, sd_bus_error *error)
{
    struct unit *unit = data;
    const char *result;

    if (!sd_bus_message_is_method_error(reply, NULL) &&
        sd_bus_message_enter_container(reply, 'v', "s") > 0 &&
        sd_bus_message_read(reply, "s", &result) > 0)
        copy(unit->asked.result, sizeof unit->asked.result, result);
    tell(unit);
    return 0;
}

/* Only a failed unit's Result says something; the interface that has it depends on the type. */
static bool ask_result(struct unit *unit)
{
    static const struct {
        const char *suffix, *interface;
    } types[] = {
        {".service", "org.freedesktop.systemd1.Service"},
        {".socket", "org.freedesktop.systemd1.Socket"},
        {".mount", "org.freedesktop.systemd1.Mount"},
        {".timer", "org.freedesktop.systemd1.Timer"},
        {".path", "org.freedesktop.systemd1.Path"},
    };
    const char *suffix = strrchr(unit->name, '.');

    if (strcmp(unit->asked.active, "failed") != 0 || !suffix)
        return false;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(types[i].suffix, suffix) != 0)
            continue;
        unit->call = sd_bus_slot_unref(unit->call);
        return sd_bus_call_method_async(unit->units->bus, &unit->call, NULL, unit->path,
                   "org.freedesktop.DBus.Properties", "Get", on_result, unit, "ss",
                   types[i].interface, "Result") >= 0;
    }
    return false;
}

static int read_property(sd_bus_message *m, struct unit_state *state)
{
    const struct {
        const char *name;
        char *to;
    } strings[] = {
        {"LoadState", state->load}, {"ActiveState", state->active}, {"SubState", state->sub}};
    const char *name, *value;
    int r = sd_bus_message_read(m, "s", &name);

    for (size_t i = 0; r > 0 && i < sizeof strings / sizeof *strings; i++) {
        if (strcmp(name, strings[i].name) != 0)
            continue;
        r = sd_bus_message_read(m, "v", "s", &value);
        if (r > 0)
            copy(strings[i].to, sizeof state->load, value);
        return r;
    }
    if (r > 0 && strcmp(name, "Job") == 0) {
        uint32_t id;
        const char *path;
        r = sd_bus_message_read(m, "v", "(uo)", &id, &path);
        if (r > 0)
            state->job = id;
        return r;
    }
    return r > 0 ? sd_bus_message_skip(m, "v") : r;
}

static int on_properties(sd_bus_message *reply, void *data, sd_bus_error *error)
{
    struct unit *unit = data;
    int r = -EIO;

    memset(&unit->asked, 0, sizeof unit->asked);
    if (!sd_bus_message_is_method_error(reply, NULL))
        r = sd_bus_message_enter_container(reply, 'a', "{sv}");
    while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'e', "sv")) > 0) {
        r = read_property(reply, &unit->asked);
        if (r >= 0)
            r = sd_bus_message_exit_container(reply);
    }
    if (r < 0) {
        unit->call = sd_bus_slot_unref(unit->call);
        return 0; /* the next signal, or the new connection, asks again */
    }
    if (!ask_result(unit))
        tell(unit);
    return 0;
}

static int on_path(sd_bus_message *reply, void *data, sd_bus_error *error)
{
    struct unit *unit = data;
    const char *path;

    unit->call = sd_bus_slot_unref(unit->call);
    if (sd_bus_message_is_method_error(reply, NULL)) {
        /* a name that cannot be one of a unit */
        unit->asked = (struct unit_state){.load = "not-found", .active = "inactive", .sub = "dead"};
        tell(unit);
    } else if (sd_bus_message_read(reply, "o", &path) > 0) {
        free(unit->path);
        unit->path = strdup(path);
        unit_ask(unit);
    }
    return 0;
}

/* Ask for the state, by way of the unit's path if that is not known yet. */
static void unit_ask(struct unit *unit)
{
    sd_bus *bus = unit->units->bus;

    if (!bus)
        return;
    if (unit->call) {
        unit->ask_again = true;
        return;
    }
    if (!unit->path)
        sd_bus_call_method_async(bus, &unit->call, NULL, MANAGER_PATH, MANAGER_INTERFACE,
            "LoadUnit", on_path, unit, "s", unit->name);
    else
        sd_bus_call_method_async(bus, &unit->call, NULL, unit->path,
            "org.freedesktop.DBus.Properties", "GetAll", on_properties, unit, "s", UNIT_INTERFACE);
}

/* The manager sends all its signals to its own socket: pick those that may be about a unit of ours.
 */
static int on_signal(sd_bus_message *m, void *data, sd_bus_error *error)
{
    struct units *units = data;
    const char *path = sd_bus_message_get_path(m);
    bool is_general = path && strcmp(path, MANAGER_PATH) == 0;

    if (!sd_bus_message_is_signal(m, NULL, NULL))
        return 0;
    for (struct unit *unit = units->list; unit; unit = unit->next) {
        if (is_general || (path && unit->path && strcmp(path, unit->path) == 0))
            unit_ask(unit);
    }
    return 0;
}

static int connect_later(struct units *units);

static void lose(struct units *units)
{
    for (struct unit *unit = units->list; unit; unit = unit->next) {
        unit->call = sd_bus_slot_unref(unit->call);
        unit->ask_again = false;
        free(unit->path);
        unit->path = NULL;
    }
    units->bus = sd_bus_close_unref(units->bus);
    connect_later(units);
}

static int on_disconnected(sd_bus_message *m, void *data, sd_bus_error *error)
{
    struct units *units = data;

    /* not from within the bus's own callback */
    return connect_later(units);
}

static int connect_now(struct units *units)
{
    sd_bus *bus = NULL;
    int r = sd_bus_new(&bus);

    if (r >= 0)
        r = sd_bus_set_address(bus, MANAGER_ADDRESS);
    if (r >= 0)
        r = sd_bus_set_exit_on_disconnect(bus, false);
    if (r >= 0)
        r = sd_bus_start(bus);
    if (r >= 0)
        r = sd_bus_attach_event(bus, units->event, SD_EVENT_PRIORITY_NORMAL);
    if (r >= 0)
        r = sd_bus_add_filter(bus, NULL, on_signal, units);
    if (r >= 0)
        r = sd_bus_match_signal(bus, NULL, NULL, "/org/freedesktop/DBus/Local",
            "org.freedesktop.DBus.Local", "Disconnected", on_disconnected, units);
    if (r < 0) {
        sd_bus_close_unref(bus);
        return r;
    }
    units->bus = bus;
    for (struct unit *unit = units->list; unit; unit = unit->next)
        unit_ask(unit);
    return 0;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *data)
{
    struct units *units = data;

    if (units->bus && sd_bus_is_open(units->bus) <= 0) {
        lose(units);
        return 0;
    }
    if (!units->bus && units->list && connect_now(units) < 0)
        connect_later(units);
    return 0;
}

static int connect_later(struct units *units)
{
    units->retry = sd_event_source_disable_unref(units->retry);
    return sd_event_add_time_relative(
        units->event, &units->retry, CLOCK_MONOTONIC, RETRY_USEC, 1000, on_retry, units);
}

int units_follow(struct units **units, sd_event *event, const char *name, unit_func func,
    void *data, struct unit **ret)
{
    struct unit *unit;

    if (!*units) {
        *units = calloc(1, sizeof **units);
        if (!*units)
            return -ENOMEM;
        (*units)->event = event;
    }
    unit = calloc(1, sizeof *unit);
    if (unit)
        *unit = (struct unit){.units = *units, .name = strdup(name), .func = func, .data = data};
    if (!unit || !unit->name) {
        free(unit);
        return -ENOMEM;
    }
    unit->next = (*units)->list;
    (*units)->list = unit;
    *ret = unit;
    if ((*units)->bus)
        unit_ask(unit);
    else if (connect_now(*units) < 0)
        return connect_later(*units);
    return 0;
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
    sd_bus_slot_unref(unit->call);
    free(unit->path);
    free(unit->name);
    free(unit);
}

void units_free(struct units *units)
{
    if (!units)
        return;
    while (units->list)
        unit_free(units->list);
    sd_event_source_disable_unref(units->retry);
    sd_bus_close_unref(units->bus);
    free(units);
}
