/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The decision of os-verification, apart from where its inputs come from: a release is confirmed
 * once everything has been well for a whole minute without a break. Pure functions of their
 * arguments; times are microseconds of one monotonic clock.
 */

#include <stdbool.h>
#include <stdint.h>

#define VERIFICATION_INTERVAL_US (UINT64_C(5) * 1000000)
/** How long everything must stay well. */
#define VERIFICATION_PERIOD_US (UINT64_C(60) * 1000000)
/** How long the system may take until everything is well for the first time. */
#define VERIFICATION_START_US (UINT64_C(60) * 1000000)

/** What one round of checks found: the worst of its parts. */
enum health {
    HEALTH_GOOD,
    HEALTH_NOT_YET, /* may become good while the system starts; later it is a regression */
    HEALTH_BAD,     /* can't become good any more */
};

enum verdict {
    VERDICT_CHECK_ON,
    VERDICT_CONFIRM,
    VERDICT_FAIL,
};

struct verification {
    uint64_t started_us;
    uint64_t good_since_us;
    bool is_watching; /* everything was well once; from here on it must stay so */
};

void verification_start(struct verification *v, uint64_t now_us);
/** Take in one round. After a verdict other than VERDICT_CHECK_ON there are no more rounds. */
enum verdict verification_step(struct verification *v, uint64_t now_us, enum health health);
/** The worse of two. */
enum health health_worst(enum health a, enum health b);

/** What systemd says of a unit. */
struct unit_health {
    const char *load_state;          /* LoadState of org.freedesktop.systemd1.Unit */
    const char *active_state;        /* ActiveState */
    const uint8_t *invocation;       /* InvocationID, 16 bytes; NULL while it has none */
    const uint8_t *first_invocation; /* as it was when everything was well first; NULL before */
};

/**
 * Judge one unit. @ret_why is given half a sentence that goes behind the unit's name; NULL where
 * all is well. A unit that was restarted while being watched is bad although it is active again.
 */
enum health unit_health_judge(const struct unit_health *unit, const char **ret_why);
