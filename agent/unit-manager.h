/* SPDX-License-Identifier: MIT */
#pragma once

#include <systemd/sd-event.h>

/**
 * Follows units of the system manager by its D-Bus signals, over the manager's own socket. It needs
 * no bus daemon, so it works from early in the boot to the end of the shutdown.
 *
 * The connection is made when the first unit is followed, is made anew when it is lost, and is
 * closed some time after the last unit is no longer followed.
 */
struct manager;

/** A unit that is followed. */
struct managed_unit;

/** LoadState, ActiveState, SubState, Result and the job's number, as in SP_WATCH_UNIT's STATE. */
struct unit_state {
    char load[32], active[32], sub[32], result[32];
    unsigned job;
};

/** @error is 0, or a negative errno if the manager refuses the name: then it is the last call. It
 * may call managed_unit_free(). */
typedef void (*managed_unit_func)(void *data, int error);

/**
 * @address, which stays the caller's, is that of a peer without a bus daemon, as in the D-Bus
 * specification; NULL for systemd's.
 *
 * Returns 0 or -ENOMEM.
 */
int manager_new(sd_event *event, const char *address, struct manager **ret);
/** Follow @name: @func is called when its state is known, and whenever that has changed. Returns 0
 * or a negative errno. */
int manager_follow(struct manager *manager, const char *name, managed_unit_func func, void *data,
    struct managed_unit **ret);
/** The state that the last call was about. */
const struct unit_state *managed_unit_get_state(const struct managed_unit *unit);
/** NULL is accepted. */
void managed_unit_free(struct managed_unit *unit);
/** After all its units. NULL is accepted. */
void manager_free(struct manager *manager);
