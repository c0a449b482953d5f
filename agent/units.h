/* SPDX-License-Identifier: MIT */
#pragma once

#include <systemd/sd-event.h>

/**
 * Follows units of the system manager by its D-Bus signals, over the manager's own socket: it needs
 * no bus daemon, and so works from early in the boot to the end of the shutdown.
 *
 * The connection is made when the first unit is followed, made anew when it is lost, and given up
 * some time after the last unit is no longer followed. The environment variable
 * SLOTPROOF_MANAGER_ADDRESS leads elsewhere than to /run/systemd/private: a D-Bus address, as in
 * the D-Bus specification, of a peer without a bus daemon.
 */
struct units;

/** A unit that is followed. */
struct unit;

/** LoadState, ActiveState, SubState, Result and the job's number, as in SP_WATCH_UNIT's STATE. */
struct unit_state {
    char load[32], active[32], sub[32], result[32];
    unsigned job;
};

/** @error is 0, or a negative errno where the manager refuses the name: it is not called again. It
 * may call unit_free(). */
typedef void (*unit_func)(void *data, int error);

/**
 * Follow @name: @func is called when its state is known, and whenever that has changed.
 *
 * *@units is made where it is NULL. Returns 0 or a negative errno.
 */
int units_follow(struct units **units, sd_event *event, const char *name, unit_func func,
    void *data, struct unit **ret);
/** The state that the last call was about. */
const struct unit_state *unit_get_state(const struct unit *unit);
/** NULL is fine. */
void unit_free(struct unit *unit);
/** After all its units. NULL is fine. */
void units_free(struct units *units);
