/* SPDX-License-Identifier: MIT */

#include "appliance/update/verification.h"

#include <stddef.h>
#include <string.h>

#define INVOCATION_SIZE 16

void verification_start(struct verification *v, uint64_t now_us)
{
    *v = (struct verification){.started_us = now_us};
}

enum verdict verification_step(struct verification *v, uint64_t now_us, enum health health)
{
    if (health == HEALTH_BAD)
        return VERDICT_FAIL;
    if (health == HEALTH_NOT_YET) {
        bool is_late = now_us - v->started_us >= VERIFICATION_START_US;

        return v->is_watching || is_late ? VERDICT_FAIL : VERDICT_CHECK_ON;
    }
    if (!v->is_watching) {
        v->is_watching = true;
        v->good_since_us = now_us;
    }
    return now_us - v->good_since_us >= VERIFICATION_PERIOD_US ? VERDICT_CONFIRM : VERDICT_CHECK_ON;
}

enum health health_worst(enum health a, enum health b)
{
    return a > b ? a : b;
}

enum health unit_health_judge(const struct unit_health *unit, const char **ret_why)
{
    *ret_why = NULL;
    if (strcmp(unit->load_state, "loaded") != 0) {
        *ret_why = "can't be loaded by systemd";
        return HEALTH_BAD;
    }
    if (strcmp(unit->active_state, "failed") == 0) {
        *ret_why = "has failed";
        return HEALTH_BAD;
    }
    if (strcmp(unit->active_state, "active") != 0 && strcmp(unit->active_state, "reloading") != 0) {
        *ret_why = "is not active";
        return HEALTH_NOT_YET;
    }
    if (unit->first_invocation &&
        (!unit->invocation ||
            memcmp(unit->invocation, unit->first_invocation, INVOCATION_SIZE) != 0)) {
        *ret_why = "was restarted while it was being watched";
        return HEALTH_BAD;
    }
    return HEALTH_GOOD;
}
