/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Which slot the selector boots next, and what it says about it: decisions alone, no input and no
 * output.
 *
 *   boot_plan_init(&plan, &state, source, last_good, say, data);
 *   while (boot_plan_next(&plan, &step)) {
 *       if (plan.is_dirty)
 *           store plan.state, then boot_plan_stored(), or boot_plan_not_stored() and, where that
 *           says so, the next step
 *       boot step.slot; where that fails: boot_plan_failed()
 *   }
 *   nothing boots
 *
 * Each slot is given at most once to be booted. First those that the boot state chooses; if none of
 * them boots, the last good slot, though it has no attempts left; and where nothing is known,
 * because the boot state was lost, also the other one: a device that resets for ever helps nobody.
 */

#include "appliance/boot/boot-state.h"

#define BOOT_NOTE_MAX 384u

/** One line for the console, without a newline. */
typedef void (*boot_say_func)(void *data, const char *line);

struct boot_plan {
    struct sp_boot_state state;
    bool is_dirty; /* the state differs from what is on the disk */
    enum sp_slot last_good;
    unsigned tried;     /* a bit a slot */
    unsigned deferred;  /* not tried yet: their attempt could not be stored */
    unsigned reported;  /* it was said that no attempts are left */
    bool state_is_lost; /* rebuilt, not read */
    /* Why this is not the plain boot of the first slot: for the system that boots. Only characters
     * that need no quotes on a kernel's command line; empty if there is nothing to say. */
    char note[BOOT_NOTE_MAX];
    boot_say_func say;
    void *say_data;
};

struct boot_step {
    enum sp_slot slot;
    bool is_counted; /* an attempt was taken: boot it only once that is stored */
};

/** @say is called for each line, from here and from all functions below. */
void boot_plan_init(struct boot_plan *plan, const struct sp_boot_state *state,
    enum sp_boot_source source, enum sp_slot last_good, boot_say_func say, void *say_data);

/** The state could not be read, for @why: go on with that of a new device, and write nothing. */
void boot_plan_init_unreadable(
    struct boot_plan *plan, const char *why, boot_say_func say, void *say_data);

/** The next slot to boot, its attempt taken off in plan->state. False if there is none left. */
bool boot_plan_next(struct boot_plan *plan, struct boot_step *ret_step);

/** plan->state is on the disk. */
void boot_plan_stored(struct boot_plan *plan);

/**
 * plan->state could not be written, for @why. Returns true if @step may be booted all the same:
 * a slot whose attempts are counted may not, as it could fail for ever.
 */
bool boot_plan_not_stored(struct boot_plan *plan, const struct boot_step *step, const char *why);

/** @slot could not be booted, for @why. */
void boot_plan_failed(struct boot_plan *plan, enum sp_slot slot, const char *why);
