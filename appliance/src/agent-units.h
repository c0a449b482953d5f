/* SPDX-License-Identifier: MIT */
#pragma once

#include <systemd/sd-event.h>

/**
 * Follows units of the system manager by its D-Bus signals, over the manager's own socket: it needs
 * no bus daemon, and so works from early in the boot to the end of the shutdown.
 *
 * The connection is made when the first unit is followed, and made anew when it is lost.
 */
struct units;

/** A unit that is followed. */
struct unit;

/** LoadState, ActiveState, SubState, Result and the job's number, as in SP_WATCH_UNIT's STATE. */
struct unit_state {
    char load[32], active[32], sub[32], result[32];
    unsigned job;
};

typedef void (*unit_func)(const struct unit_state *state, void *data);

/** Follow @name: @func is called with its state, and again when that changes. Negative errno. */
int units_follow(struct units **units, sd_event *event, const char *name, unit_func func,
    void *data, struct unit **ret);
/** NULL is fine. */
void unit_free(struct unit *unit);
void units_free(struct units *units);
