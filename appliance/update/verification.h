/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The decision that os-verification makes, apart from where its input comes from: a release is
 * confirmed once everything has been good for a whole minute without interruption. Pure functions;
 * times are microseconds of one monotonic clock.
 */

#include <stdbool.h>
#include <stdint.h>

#define VERIFICATION_INTERVAL_US (UINT64_C(5) * 1000000)
/** How long everything must stay good. */
#define VERIFICATION_PERIOD_US (UINT64_C(60) * 1000000)
/** How long the system may take until everything is good for the first time. */
#define VERIFICATION_START_US (UINT64_C(60) * 1000000)

/** The result of one round of checks: the worst of its parts. */
enum health {
    HEALTH_GOOD,
    HEALTH_NOT_YET, /* can become good while the system starts; later it is a regression */
    HEALTH_BAD,     /* cannot become good any more */
};

enum verdict {
    VERDICT_CHECK_ON,
    VERDICT_CONFIRM,
    VERDICT_FAIL,
};

struct verification {
    uint64_t started_us;
    uint64_t good_since_us;
    bool is_watching; /* everything was good once, and from then on must stay good */
};

void verification_start(struct verification *v, uint64_t now_us);
/** Evaluate one round. A verdict other than VERDICT_CHECK_ON is final. */
enum verdict verification_step(struct verification *v, uint64_t now_us, enum health health);
/** The worse of two. */
enum health health_worst(enum health a, enum health b);

/** What systemd reports about a unit. */
struct unit_health {
    const char *load_state;          /* LoadState of org.freedesktop.systemd1.Unit */
    const char *active_state;        /* ActiveState */
    const uint8_t *invocation;       /* InvocationID, 16 bytes; NULL if it has none */
    const uint8_t *first_invocation; /* when everything was good for the first time; NULL before */
};

/**
 * Judge one unit. Sets *@ret_why to a constant that completes a sentence beginning with the unit's
 * name, or to NULL if the unit is good. A unit that was restarted while it was watched is bad even
 * though it is active again.
 */
enum health unit_health_judge(const struct unit_health *unit, const char **ret_why);
