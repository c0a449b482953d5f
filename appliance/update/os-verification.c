/* SPDX-License-Identifier: MIT */

/*
 * os-verification: after an update, checks for a minute that the gateway does its work, and only
 * then has RAUC mark the booted slot good. If anything fails meanwhile, the slot stays unconfirmed,
 * the reason is in the journal, and the program ends with status 1: its unit then reboots, so that
 * the slot's attempts are used up and the other slot boots.
 */

#include "appliance/boot/boot-state.h"
#include "appliance/boot/cmdline.h"
#include "appliance/update/health-list.h"
#include "appliance/update/verification.h"
#include "lib/cleanup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <time.h>

#define PROGRAM "os-verification"
#define STATE_DIR "/state"
#define LIST_FILE "/data/config/health-required.json"
#define LAN_INTERFACE "lan"
#define LAN_ADDRESS "172.20.30.1"
#define BUS_TIMEOUT_US (UINT64_C(10) * 1000000)
#define INVOCATION_SIZE 16

static const char *const own_units[] = {
    "chrony.service",
    "dnsmasq.service",
    "nftables.service",
    "nginx.service",
    "openvpn-server@gateway.service",
    "ssh.service",
};
#define OWN_UNITS (sizeof own_units / sizeof *own_units)

struct watched_unit {
    const char *name;
    char *path; /* D-Bus object; NULL until the unit was loaded */
    uint8_t first_invocation[INVOCATION_SIZE];
    bool has_first_invocation;
};

struct program {
    sd_event *event;
    sd_bus *bus;
    enum sp_slot slot;
    struct health_list list;
    struct watched_unit units[OWN_UNITS + HEALTH_LIST_UNITS_MAX];
    size_t unit_count;
    struct verification verification;
    char why[512]; /* the reason why the last round was not good */
};

__attribute__((format(printf, 2, 3))) static void log_line(
    const char *priority, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs(priority, stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

/* Records why a round was not good. Only the first reason is kept: it is probably the cause of the
 * others. */
__attribute__((format(printf, 3, 4))) static enum health record_fault(
    struct program *p, enum health health, const char *format, ...)
{
    va_list args;

    if (!p->why[0]) {
        va_start(args, format);
        vsnprintf(p->why, sizeof p->why, format, args);
        va_end(args);
    }
    return health;
}

static enum health check_lan(struct program *p)
{
    struct ifaddrs *all = NULL;
    bool is_there = false;

    if (getifaddrs(&all) < 0)
        return record_fault(p, HEALTH_NOT_YET, "the addresses can't be read: %s", strerror(errno));
    for (struct ifaddrs *a = all; a && !is_there; a = a->ifa_next) {
        char text[INET_ADDRSTRLEN];
        struct sockaddr_in address;

        if (!a->ifa_addr || a->ifa_addr->sa_family != AF_INET || !(a->ifa_flags & IFF_UP) ||
            strcmp(a->ifa_name, LAN_INTERFACE) != 0)
            continue;
        memcpy(&address, a->ifa_addr, sizeof address);
        is_there = inet_ntop(AF_INET, &address.sin_addr, text, sizeof text) &&
                   strcmp(text, LAN_ADDRESS) == 0;
    }
    freeifaddrs(all);
    return is_there ? HEALTH_GOOD
                    : record_fault(p, HEALTH_NOT_YET, "%s does not carry the address %s",
                          LAN_INTERFACE, LAN_ADDRESS);
}

#define SYSTEMD "org.freedesktop.systemd1"

static int load_unit(struct program *p, struct watched_unit *unit, sd_bus_error *error)
{
    sd_bus_message *reply = NULL;
    const char *path;
    int r;

    if (unit->path)
        return 0;
    r = sd_bus_call_method(p->bus, SYSTEMD, "/org/freedesktop/systemd1", SYSTEMD ".Manager",
        "LoadUnit", error, &reply, "s", unit->name);
    if (r >= 0)
        r = sd_bus_message_read(reply, "o", &path);
    if (r >= 0) {
        unit->path = strdup(path);
        r = unit->path ? 0 : -ENOMEM;
    }
    sd_bus_message_unref(reply);
    return r;
}

static int get_invocation(struct program *p, const struct watched_unit *unit, sd_bus_error *error,
    uint8_t invocation[static INVOCATION_SIZE])
{
    sd_bus_message *reply = NULL;
    const void *bytes;
    size_t size;
    int r = sd_bus_get_property(
        p->bus, SYSTEMD, unit->path, SYSTEMD ".Unit", "InvocationID", error, &reply, "ay");

    if (r >= 0)
        r = sd_bus_message_read_array(reply, 'y', &bytes, &size);
    if (r >= 0 && size == INVOCATION_SIZE)
        memcpy(invocation, bytes, size);
    sd_bus_message_unref(reply);
    return r < 0 ? r : size == INVOCATION_SIZE;
}

static enum health check_unit(struct program *p, struct watched_unit *unit)
{
    sp_auto_free char *load_state = NULL, *active_state = NULL;
    uint8_t invocation[INVOCATION_SIZE];
    sd_bus_error error = SD_BUS_ERROR_NULL;
    enum health health;
    const char *why;
    int r = load_unit(p, unit, &error);

    if (r >= 0)
        r = sd_bus_get_property_string(
            p->bus, SYSTEMD, unit->path, SYSTEMD ".Unit", "LoadState", &error, &load_state);
    if (r >= 0)
        r = sd_bus_get_property_string(
            p->bus, SYSTEMD, unit->path, SYSTEMD ".Unit", "ActiveState", &error, &active_state);
    if (r >= 0)
        r = get_invocation(p, unit, &error, invocation);
    if (r < 0) {
        health = record_fault(p,
            sd_bus_error_has_name(&error, SD_BUS_ERROR_INVALID_ARGS) ? HEALTH_BAD : HEALTH_NOT_YET,
            "systemd does not answer for %s: %s", unit->name,
            error.message ? error.message : strerror(-r));
        sd_bus_error_free(&error);
        return health;
    }
    health = unit_health_judge(
        &(struct unit_health){
            .load_state = load_state,
            .active_state = active_state,
            .invocation = r ? invocation : NULL,
            .first_invocation = p->verification.is_watching && unit->has_first_invocation
                                    ? unit->first_invocation
                                    : NULL,
        },
        &why);
    if (health != HEALTH_GOOD)
        return record_fault(p, health, "%s %s", unit->name, why);
    if (!p->verification.is_watching) {
        unit->has_first_invocation = r;
        if (r)
            memcpy(unit->first_invocation, invocation, sizeof invocation);
    }
    return HEALTH_GOOD;
}

static enum health check_all(struct program *p)
{
    enum health health = HEALTH_GOOD;

    p->why[0] = '\0';
    for (size_t i = 0; i < p->unit_count; i++)
        health = health_worst(health, check_unit(p, &p->units[i]));
    return health_worst(health, check_lan(p));
}

static int load_boot_state(struct sp_boot_state *ret_state)
{
    sp_auto_close int dir = open(STATE_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return dir < 0 ? -errno : sp_boot_state_load(dir, ret_state, NULL);
}

/* A reboot only helps if one of the slots has attempts left. */
static bool is_reboot_useful(void)
{
    struct sp_boot_state state;

    return load_boot_state(&state) < 0 || sp_boot_primary(&state) != SP_SLOT_NONE;
}

static int give_up(struct program *p)
{
    log_line(SD_ERR, "slot %s stays unconfirmed: %s", sp_slot_bootname(p->slot), p->why);
    sd_notifyf(0, "STATUS=Not confirmed: %s", p->why);
    if (is_reboot_useful())
        return sd_event_exit(p->event, EXIT_FAILURE);
    log_line(SD_ERR, "no slot has attempts left, so this one goes on as it is");
    return sd_event_exit(p->event, EXIT_SUCCESS);
}

/* Returns false also if the boot state cannot be read. */
static bool is_marked_good(enum sp_slot slot)
{
    struct sp_boot_state state;

    return load_boot_state(&state) == 0 && state.slot[slot].is_good;
}

static int confirm_slot(struct program *p)
{
    sd_bus_error error = SD_BUS_ERROR_NULL;
    int r = sd_bus_call_method(p->bus, "de.pengutronix.rauc", "/", "de.pengutronix.rauc.Installer",
        "Mark", &error, NULL, "ss", "good", "booted");

    if (r < 0)
        record_fault(p, HEALTH_BAD, "RAUC did not mark it good: %s",
            error.message ? error.message : strerror(-r));
    else if (!is_marked_good(p->slot))
        r = (record_fault(
                 p, HEALTH_BAD, "RAUC says it marked it good, but the boot state does not"),
            -EIO);
    sd_bus_error_free(&error);
    if (r < 0)
        return give_up(p);
    log_line(SD_NOTICE, "slot %s is confirmed: all was well for %u s", sp_slot_bootname(p->slot),
        (unsigned)(VERIFICATION_PERIOD_US / 1000000));
    return sd_event_exit(p->event, EXIT_SUCCESS);
}

static int on_round(sd_event_source *timer, uint64_t planned_us, void *data)
{
    struct program *p = data;
    bool was_watching = p->verification.is_watching;
    enum health health = check_all(p);
    uint64_t now_us;
    int r = sd_event_now(p->event, CLOCK_MONOTONIC, &now_us);

    if (r < 0)
        return r;
    switch (verification_step(&p->verification, now_us, health)) {
    case VERDICT_FAIL:
        return give_up(p);
    case VERDICT_CONFIRM:
        return confirm_slot(p);
    case VERDICT_CHECK_ON:
        break;
    }
    if (p->verification.is_watching && !was_watching)
        log_line(SD_INFO, "slot %s: all is well, watching it for %u s", sp_slot_bootname(p->slot),
            (unsigned)(VERIFICATION_PERIOD_US / 1000000));
    else if (!p->verification.is_watching)
        log_line(SD_INFO, "slot %s: waiting: %s", sp_slot_bootname(p->slot), p->why);
    r = sd_event_source_set_time(timer, now_us + VERIFICATION_INTERVAL_US);
    return r < 0 ? r : sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

static int load_unit_names(struct program *p)
{
    const char *why = NULL;
    int r = health_list_load(LIST_FILE, &p->list, &why);

    if (r < 0) {
        record_fault(p, HEALTH_BAD, LIST_FILE ": %s", why ? why : strerror(-r));
        return r;
    }
    for (size_t i = 0; i < OWN_UNITS; i++)
        p->units[p->unit_count++].name = own_units[i];
    for (size_t i = 0; i < p->list.length; i++)
        p->units[p->unit_count++].name = p->list.units[i];
    return 0;
}

/* Returns the program's exit status, or a negative errno. */
static int verify_release(struct program *p)
{
    uint64_t now_us;
    int r = sd_event_default(&p->event);

    if (r >= 0)
        r = sd_bus_open_system(&p->bus);
    if (r >= 0)
        r = sd_bus_set_method_call_timeout(p->bus, BUS_TIMEOUT_US);
    if (r >= 0)
        r = sd_event_set_watchdog(p->event, true);
    if (r >= 0)
        r = sd_event_now(p->event, CLOCK_MONOTONIC, &now_us);
    if (r < 0)
        return r;
    verification_start(&p->verification, now_us);
    if (load_unit_names(p) < 0)
        r = give_up(p);
    else
        r = sd_event_add_time(p->event, NULL, CLOCK_MONOTONIC, now_us, 0, on_round, p);
    return r < 0 ? r : sd_event_loop(p->event);
}

static int run_program(void)
{
    struct program p = {.slot = cmdline_read_slot(CMDLINE_FILE)};
    int r;

    sd_notify(0, "READY=1");
    if (p.slot == SP_SLOT_NONE) {
        log_line(
            SD_ERR, "the kernel's command line has no rauc.slot=A or rauc.slot=B: nothing to do");
        return EXIT_SUCCESS;
    }
    if (is_marked_good(p.slot)) {
        log_line(SD_INFO, "slot %s is good already", sp_slot_bootname(p.slot));
        return EXIT_SUCCESS;
    }
    r = verify_release(&p);
    if (r < 0)
        log_line(SD_ERR, "slot %s stays unconfirmed: %s", sp_slot_bootname(p.slot), strerror(-r));
    sd_bus_flush_close_unref(p.bus);
    sd_event_unref(p.event);
    for (size_t i = 0; i < p.unit_count; i++)
        free(p.units[i].path);
    health_list_clear(&p.list);
    return r < 0 ? EXIT_FAILURE : r;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts(PROGRAM " " SLOTPROOF_VERSION);
        return EXIT_SUCCESS;
    }
    if (argc > 1) {
        bool is_help = strcmp(argv[1], "--help") == 0;

        fputs("usage: " PROGRAM "\n\n"
              "Checks the gateway for a minute, then has RAUC mark the booted slot good.\n"
              "Exits with 1 if the slot stays unconfirmed.\n",
            is_help ? stdout : stderr);
        return is_help ? EXIT_SUCCESS : 2;
    }
    return run_program();
}
