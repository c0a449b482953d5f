/* SPDX-License-Identifier: MIT */
#pragma once

#include "agent/loop.h"

#include <stddef.h>
#include <stdint.h>

/**
 * Follows units of the system manager. The program slotproof-agent-units, which lies beside the
 * agent and needs libsystemd, does the work: without it all but this works. It is started when the
 * first unit is followed, and stays.
 *
 * The environment variable SLOTPROOF_MANAGER_ADDRESS names another manager (unit-manager.h).
 */
struct units;

/** A unit that is followed. */
struct unit;

/**
 * Called when the unit's state is known, and whenever it has changed, with @error 0. Otherwise it
 * is the last call, and must free the unit: -EINVAL, the manager refuses the name; -EOPNOTSUPP, the
 * guest does not run systemd; -EPIPE, the program has ended. It may free the unit in any case.
 */
typedef void (*unit_func)(void *data, int error);

/**
 * Follow @name. *@units is made if it is NULL.
 *
 * Returns 0 or a negative errno: -ENOSYS if the guest has no slotproof-agent-units.
 */
int units_follow(struct units **units, struct loop *loop, const char *name, unit_func func,
    void *data, struct unit **ret);
/** Why units can't be followed, for the driver's user: @error is that of units_follow() or of
 * unit_func. NULL if the error itself says all. */
const char *units_explain(int error);
/** The state that the last call was about: the payload of a STATE. */
const uint8_t *unit_get_state(const struct unit *unit, size_t *ret_length);
/** NULL is accepted. */
void unit_free(struct unit *unit);
/** After all its units. NULL is accepted. */
void units_free(struct units *units);
