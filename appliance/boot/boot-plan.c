/* SPDX-License-Identifier: MIT */
#include "appliance/boot/boot-plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_ 192

static unsigned bit(enum sp_slot slot)
{
    return slot == SP_SLOT_NONE ? 0 : 1u << slot;
}

static bool is_note_character(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("_:,.-", c));
}

static void append_note(struct boot_plan *plan, const char *line)
{
    size_t length = strlen(plan->note);

    if (length > 0) {
        if (length + 3 >= sizeof plan->note) /* not even its first character fits */
            return;
        memcpy(plan->note + length, ";_", 3);
        length += 2;
    }
    for (; *line && length + 1 < sizeof plan->note; line++)
        plan->note[length++] = is_note_character(*line) ? *line : '_';
    plan->note[length] = '\0';
}

/* A line for the console alone. */
__attribute__((format(printf, 2, 3))) static void say(
    struct boot_plan *plan, const char *format, ...)
{
    char line[LINE_MAX_];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    plan->say(plan->say_data, line);
}

/* A line for the console and for the system that boots. */
__attribute__((format(printf, 2, 3))) static void note(
    struct boot_plan *plan, const char *format, ...)
{
    char line[LINE_MAX_];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    plan->say(plan->say_data, line);
    append_note(plan, line);
}

void boot_plan_init(struct boot_plan *plan, const struct sp_boot_state *state,
    enum sp_boot_source source, enum sp_slot last_good, boot_say_func say_func, void *say_data)
{
    *plan = (struct boot_plan){
        .state = *state,
        .last_good = last_good,
        .state_is_lost = source != SP_BOOT_FROM_FILE,
        .is_dirty = source != SP_BOOT_FROM_FILE,
        .say = say_func,
        .say_data = say_data,
    };
    if (plan->state_is_lost)
        note(plan, "boot state was missing or broken, rebuilt from the last good slot %s",
            sp_slot_bootname(last_good));
}

void boot_plan_init_unreadable(
    struct boot_plan *plan, const char *why, boot_say_func say_func, void *say_data)
{
    *plan = (struct boot_plan){
        .last_good = SP_SLOT_A,
        .state_is_lost = true,
        .say = say_func,
        .say_data = say_data,
    };
    sp_boot_state_init(&plan->state);
    note(plan, "boot state can't be read: %s", why);
}

/* Say of the slots that stand before @chosen in the order why they are left out. */
static void report_used_up(struct boot_plan *plan, enum sp_slot chosen)
{
    for (size_t i = 0; i < plan->state.order_length; i++) {
        enum sp_slot slot = plan->state.order[i];

        if (slot == chosen)
            return;
        if ((plan->tried | plan->deferred | plan->reported) & bit(slot) ||
            plan->state.slot[slot].left > 0)
            continue;
        plan->reported |= bit(slot);
        note(plan, "slot %s: %u attempts used, falling back to %s", sp_slot_bootname(slot),
            SP_BOOT_ATTEMPTS, sp_slot_bootname(chosen));
    }
}

static bool choose_by_state(struct boot_plan *plan, struct boot_step *step)
{
    enum sp_slot slot = sp_boot_choose(&plan->state, plan->tried | plan->deferred);
    unsigned left;

    if (slot == SP_SLOT_NONE)
        return false;
    report_used_up(plan, slot);
    left = plan->state.slot[slot].left;
    sp_boot_take_attempt(&plan->state, slot);
    *step = (struct boot_step){
        .slot = slot,
        .is_counted = plan->state.slot[slot].left != left,
    };
    if (step->is_counted) {
        plan->is_dirty = true;
        say(plan, "slot %s (attempt %u of %u)", sp_slot_bootname(slot), SP_BOOT_ATTEMPTS - left + 1,
            SP_BOOT_ATTEMPTS);
    } else {
        say(plan, "slot %s (good)", sp_slot_bootname(slot));
    }
    return true;
}

static bool choose_last_resort(struct boot_plan *plan, struct boot_step *step)
{
    const enum sp_slot candidates[] = {plan->last_good, SP_SLOT_A, SP_SLOT_B};
    unsigned allowed = bit(plan->last_good) | plan->deferred;

    if (plan->state_is_lost)
        allowed |= bit(SP_SLOT_A) | bit(SP_SLOT_B);
    allowed &= ~plan->tried;
    for (size_t i = 0; i < sizeof candidates / sizeof *candidates; i++) {
        if (!(allowed & bit(candidates[i])))
            continue;
        *step = (struct boot_step){.slot = candidates[i]};
        if (candidates[i] == plan->last_good)
            note(plan, "no slot is left to choose, trying the last good slot %s once more",
                sp_slot_bootname(candidates[i]));
        else
            note(plan, "no slot is left to choose, trying slot %s all the same",
                sp_slot_bootname(candidates[i]));
        return true;
    }
    return false;
}

bool boot_plan_next(struct boot_plan *plan, struct boot_step *ret_step)
{
    struct boot_step step;

    if (!choose_by_state(plan, &step) && !choose_last_resort(plan, &step))
        return false;
    plan->tried |= bit(step.slot);
    *ret_step = step;
    return true;
}

void boot_plan_stored(struct boot_plan *plan)
{
    plan->is_dirty = false;
}

bool boot_plan_not_stored(struct boot_plan *plan, const struct boot_step *step, const char *why)
{
    note(plan, "boot state can't be written: %s", why);
    if (!step->is_counted)
        return true;
    plan->tried &= ~bit(step->slot);
    plan->deferred |= bit(step->slot);
    return false;
}

void boot_plan_failed(struct boot_plan *plan, enum sp_slot slot, const char *why)
{
    note(plan, "slot %s does not boot: %s", sp_slot_bootname(slot), why);
}
