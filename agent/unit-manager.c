/* SPDX-License-Identifier: MIT */

/* Units by the D-Bus interface of systemd, which org.freedesktop.systemd1(5) describes. */

#include "agent/unit-manager.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#define ADDRESS "unix:path=/run/systemd/private"
#define MANAGER_PATH "/org/freedesktop/systemd1"
#define MANAGER_INTERFACE "org.freedesktop.systemd1.Manager"
#define RETRY_USEC 50000u
/* Without units to follow, the manager's signals only cost both sides time. */
#define LINGER_USEC 1000000u

struct manager {
    sd_event *event;     /* not owned */
    const char *address; /* not owned */
    sd_bus *bus;
    sd_event_source *timer; /* connect, ask again, or disconnect: see on_look_due() */
    struct managed_unit *list;
};

struct managed_unit {
    struct manager *manager;
    struct managed_unit *next;
    char *name;
    char *path; /* of the manager's object; NULL until it is known */
    managed_unit_func func;
    void *data;
    sd_bus_slot *call; /* the call that has not been answered yet */
    bool is_stale;     /* something has changed since the call, or its answer was an error */
    bool is_known;
    struct unit_state asked, reported;
};

static void ask_state(struct managed_unit *unit);

static int on_look_due(sd_event_source *source, uint64_t usec, void *data);

static int schedule_look(struct manager *manager, uint64_t usec)
{
    manager->timer = sd_event_source_disable_unref(manager->timer);
    return sd_event_add_time_relative(
        manager->event, &manager->timer, CLOCK_MONOTONIC, usec, 1000, on_look_due, manager);
}

/* The state in @unit->asked is complete. */
static void accept_state(struct managed_unit *unit)
{
    bool is_new =
        !unit->is_known || memcmp(&unit->asked, &unit->reported, sizeof unit->reported) != 0;

    unit->call = sd_bus_slot_unref(unit->call);
    if (unit->is_stale)
        ask_state(unit);
    if (!is_new)
        return;
    unit->is_known = true;
    unit->reported = unit->asked;
    unit->func(unit->data, 0);
}

/* The manager may be too busy, or about to restart: ask again soon. */
static void retry_later(struct managed_unit *unit)
{
    unit->call = sd_bus_slot_unref(unit->call);
    unit->is_stale = true;
    schedule_look(unit->manager, RETRY_USEC);
}

static void copy_property(char to[static 32], const char *from)
{
    snprintf(to, 32, "%s", from);
}

static int on_unit_result(sd_bus_message *reply, void *data, sd_bus_error *error)
{
    struct managed_unit *unit = data;
    const char *result;

    if (!sd_bus_message_is_method_error(reply, NULL) &&
        sd_bus_message_read(reply, "v", "s", &result) > 0)
        copy_property(unit->asked.result, result);
    accept_state(unit);
    return 0;
}

/* Which interface has a Result depends on the type; targets, devices and slices have none. */
static bool ask_result(struct managed_unit *unit)
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
        return sd_bus_call_method_async(unit->manager->bus, &unit->call, NULL, unit->path,
                   "org.freedesktop.DBus.Properties", "Get", on_unit_result, unit, "ss",
                   types[i].interface, "Result") >= 0;
    }
    return false;
}

/* Returns 1, 0 if there can be no unit of this name, or a negative errno. */
static int read_unit_row(struct managed_unit *unit, sd_bus_message *reply)
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
    copy_property(unit->asked.load, load);
    copy_property(unit->asked.active, active);
    copy_property(unit->asked.sub, sub);
    unit->asked.job = job;
    return 1;
}

static int on_unit_row(sd_bus_message *reply, void *data, sd_bus_error *error)
{
    struct managed_unit *unit = data;
    int r = -EIO;

    if (!sd_bus_message_is_method_error(reply, NULL))
        r = read_unit_row(unit, reply);
    else if (sd_bus_message_is_method_error(reply, SD_BUS_ERROR_INVALID_ARGS))
        r = 0; /* a template, which can't be a unit itself */
    if (r < 0) {
        retry_later(unit);
    } else if (r == 0) {
        unit->call = sd_bus_slot_unref(unit->call);
        unit->func(unit->data, -EINVAL);
    } else if (!ask_result(unit)) {
        accept_state(unit);
    }
    return 0;
}

/* One call returns everything that belongs together, the job included, and loads the unit if need
 * be. */
static void ask_state(struct managed_unit *unit)
{
    unit->is_stale = unit->call || !unit->manager->bus;
    if (unit->is_stale)
        return;
    if (sd_bus_call_method_async(unit->manager->bus, &unit->call, NULL, MANAGER_PATH,
            MANAGER_INTERFACE, "ListUnitsByNames", on_unit_row, unit, "as", 1, unit->name) < 0)
        retry_later(unit);
}

static void ask_all_states(struct manager *manager)
{
    for (struct managed_unit *unit = manager->list; unit; unit = unit->next)
        ask_state(unit);
}

/* A job came or went, also one of a unit whose own object sends no signals yet. */
static void take_job_signal(struct manager *manager, sd_bus_message *m)
{
    const char *name;

    if (sd_bus_message_read(m, "uos", NULL, NULL, &name) < 0)
        return;
    for (struct managed_unit *unit = manager->list; unit; unit = unit->next) {
        if (strcmp(unit->name, name) == 0)
            ask_state(unit);
    }
}

/* The manager sends all its signals to its own socket. */
static int on_manager_signal(sd_bus_message *m, void *data, sd_bus_error *error)
{
    struct manager *manager = data;
    const char *path = sd_bus_message_get_path(m);

    if (!path)
        return 0;
    if (sd_bus_message_is_signal(m, MANAGER_INTERFACE, "JobNew") ||
        sd_bus_message_is_signal(m, MANAGER_INTERFACE, "JobRemoved")) {
        take_job_signal(manager, m);
        sd_bus_message_rewind(m, true);
    } else if (sd_bus_message_is_signal(m, MANAGER_INTERFACE, "Reloading") ||
               sd_bus_message_is_signal(m, MANAGER_INTERFACE, "UnitFilesChanged")) {
        ask_all_states(manager);
    } else if (sd_bus_message_is_signal(
                   m, "org.freedesktop.DBus.Properties", "PropertiesChanged")) {
        for (struct managed_unit *unit = manager->list; unit; unit = unit->next) {
            if (unit->path && strcmp(unit->path, path) == 0)
                ask_state(unit);
        }
    }
    return 0;
}

static void close_bus(struct manager *manager)
{
    for (struct managed_unit *unit = manager->list; unit; unit = unit->next) {
        unit->call = sd_bus_slot_unref(unit->call);
        unit->is_stale = true;
        free(unit->path);
        unit->path = NULL;
    }
    manager->bus = sd_bus_close_unref(manager->bus);
}

static int on_bus_lost(sd_bus_message *m, void *data, sd_bus_error *error)
{
    struct manager *manager = data;

    /* The bus must not be closed by its own callback. */
    return schedule_look(manager, RETRY_USEC);
}

static int open_bus(struct manager *manager)
{
    sd_bus *bus = NULL;
    int r = sd_bus_new(&bus);

    if (r >= 0)
        r = sd_bus_set_address(bus, manager->address);
    if (r >= 0)
        r = sd_bus_set_exit_on_disconnect(bus, false);
    if (r >= 0)
        r = sd_bus_start(bus);
    if (r >= 0)
        r = sd_bus_attach_event(bus, manager->event, SD_EVENT_PRIORITY_NORMAL);
    if (r >= 0)
        r = sd_bus_add_filter(bus, NULL, on_manager_signal, manager);
    if (r >= 0)
        r = sd_bus_match_signal(bus, NULL, NULL, "/org/freedesktop/DBus/Local",
            "org.freedesktop.DBus.Local", "Disconnected", on_bus_lost, manager);
    if (r < 0) {
        sd_bus_close_unref(bus);
        return r;
    }
    manager->bus = bus;
    ask_all_states(manager);
    return 0;
}

static int on_look_due(sd_event_source *source, uint64_t usec, void *data)
{
    struct manager *manager = data;

    if (manager->bus && (!manager->list || sd_bus_is_open(manager->bus) <= 0))
        close_bus(manager);
    if (!manager->list)
        return 0;
    if (!manager->bus)
        return open_bus(manager) < 0 ? schedule_look(manager, RETRY_USEC) : 0;
    for (struct managed_unit *unit = manager->list; unit; unit = unit->next) {
        if (unit->is_stale && !unit->call)
            ask_state(unit);
    }
    return 0;
}

int manager_new(sd_event *event, const char *address, struct manager **ret)
{
    struct manager *manager = calloc(1, sizeof *manager);

    if (!manager)
        return -ENOMEM;
    *manager = (struct manager){.event = event, .address = address ? address : ADDRESS};
    *ret = manager;
    return 0;
}

int manager_follow(struct manager *manager, const char *name, managed_unit_func func, void *data,
    struct managed_unit **ret)
{
    struct managed_unit *unit = calloc(1, sizeof *unit);

    if (!unit)
        return -ENOMEM;
    *unit =
        (struct managed_unit){.manager = manager, .name = strdup(name), .func = func, .data = data};
    if (!unit->name) {
        free(unit);
        return -ENOMEM;
    }
    unit->next = manager->list;
    manager->list = unit;
    *ret = unit;
    if (manager->bus)
        ask_state(unit);
    else if (open_bus(manager) < 0)
        return schedule_look(manager, RETRY_USEC);
    return 0;
}

const struct unit_state *managed_unit_get_state(const struct managed_unit *unit)
{
    return &unit->reported;
}

void managed_unit_free(struct managed_unit *unit)
{
    if (!unit)
        return;
    for (struct managed_unit **p = &unit->manager->list; *p; p = &(*p)->next) {
        if (*p == unit) {
            *p = unit->next;
            break;
        }
    }
    if (!unit->manager->list && unit->manager->bus)
        schedule_look(unit->manager, LINGER_USEC);
    sd_bus_slot_unref(unit->call);
    free(unit->path);
    free(unit->name);
    free(unit);
}

void manager_free(struct manager *manager)
{
    if (!manager)
        return;
    sd_event_source_disable_unref(manager->timer);
    sd_bus_close_unref(manager->bus);
    free(manager);
}
