/* SPDX-License-Identifier: MIT */
#include "appliance/update/verification.h"

#include <glib.h>

#define S G_GUINT64_CONSTANT(1000000)
#define LATE (60 * S)
#define GOOD HEALTH_GOOD
#define NOT_YET HEALTH_NOT_YET
#define BAD HEALTH_BAD
#define ON VERDICT_CHECK_ON
#define CONFIRM VERDICT_CONFIRM
#define FAIL VERDICT_FAIL

/* --- one step from each kind of state -------------------------------------------------------- */

/* Times since the start; the numbers of the header, written out. */
static void test_numbers(void)
{
    g_assert_cmpuint(VERIFICATION_PERIOD_US, ==, 60000000);
    g_assert_cmpuint(VERIFICATION_START_US, ==, 60000000);
    g_assert_cmpuint(VERIFICATION_INTERVAL_US, ==, 5000000);
}

/* The decision table. Without @is_watching @good_since has no meaning. */
static const struct {
    bool is_watching;
    guint64 good_since, now;
    enum health health;
    enum verdict expected;
} table[] = {
    /* nothing was well yet */
    {false, 0, 0, GOOD, ON},
    {false, 0, 0, NOT_YET, ON},
    {false, 0, 0, BAD, FAIL},
    {false, 0, 1, NOT_YET, ON},
    {false, 0, 1, BAD, FAIL},
    {false, 0, 30 * S, GOOD, ON},
    {false, 0, 30 * S, NOT_YET, ON},
    {false, 0, 30 * S, BAD, FAIL},
    /* the start's end, to the microsecond */
    {false, 0, LATE - 1, GOOD, ON},
    {false, 0, LATE - 1, NOT_YET, ON},
    {false, 0, LATE - 1, BAD, FAIL},
    {false, 0, LATE, NOT_YET, FAIL},
    {false, 0, LATE, BAD, FAIL},
    {false, 0, LATE + 1, NOT_YET, FAIL},
    {false, 0, LATE + 1, BAD, FAIL},
    {false, 0, 1000 * S, NOT_YET, FAIL},
    /* a round that comes late and finds all well is a good one: its minute begins */
    {false, 0, LATE, GOOD, ON},
    {false, 0, LATE + 1, GOOD, ON},
    {false, 0, 1000 * S, GOOD, ON},
    /* watching since the start */
    {true, 0, 1, GOOD, ON},
    {true, 0, 1, NOT_YET, FAIL},
    {true, 0, 1, BAD, FAIL},
    {true, 0, LATE - 1, GOOD, ON},
    {true, 0, LATE - 1, NOT_YET, FAIL},
    {true, 0, LATE - 1, BAD, FAIL},
    {true, 0, LATE, GOOD, CONFIRM},
    {true, 0, LATE, NOT_YET, FAIL},
    {true, 0, LATE, BAD, FAIL},
    {true, 0, LATE + 1, GOOD, CONFIRM},
    {true, 0, LATE + 1, NOT_YET, FAIL},
    {true, 0, LATE + 1, BAD, FAIL},
    /* watching since later: the minute counts from there */
    {true, 25 * S, 25 * S, GOOD, ON},
    {true, 25 * S, 25 * S, NOT_YET, FAIL},
    {true, 25 * S, LATE, GOOD, ON},
    {true, 25 * S, 85 * S - 1, GOOD, ON},
    {true, 25 * S, 85 * S, GOOD, CONFIRM},
    {true, 25 * S, 85 * S, NOT_YET, FAIL},
    {true, 25 * S, 85 * S, BAD, FAIL},
    {true, LATE + 5 * S, LATE + 65 * S - 1, GOOD, ON},
    {true, LATE + 5 * S, LATE + 65 * S, GOOD, CONFIRM},
    {true, LATE + 5 * S, LATE + 5 * S + 1, NOT_YET, FAIL},
};

/* Whatever the clock said at the start. */
static const guint64 starts[] = {0, 1, 7 * S, 1000000 * S, G_MAXUINT64 - 2000 * S};

static void test_table(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
        for (size_t j = 0; j < G_N_ELEMENTS(starts); j++) {
            struct verification v;

            verification_start(&v, starts[j]);
            g_assert_false(v.is_watching);
            v.is_watching = table[i].is_watching;
            v.good_since_us = table[i].is_watching ? starts[j] + table[i].good_since : 0;
            if (verification_step(&v, starts[j] + table[i].now, table[i].health) !=
                table[i].expected)
                g_error("row %zu of the table, started at %" G_GUINT64_FORMAT, i, starts[j]);
        }
    }
}

/* --- whole runs ------------------------------------------------------------------------------ */

typedef struct {
    guint64 now;
    enum health health;
} Round;

/* What all rounds but the last must bring is VERDICT_CHECK_ON. */
static const struct {
    const char *name;
    enum verdict expected;
    Round rounds[16];
    size_t count;
} runs[] = {
    {"well at once", CONFIRM, {{0, GOOD}, {5 * S, GOOD}, {59 * S, GOOD}, {LATE, GOOD}}, 4},
    {"well after a while", CONFIRM,
        {{0, NOT_YET}, {5 * S, NOT_YET}, {10 * S, GOOD}, {LATE, GOOD}, {70 * S - 1, GOOD},
            {70 * S, GOOD}},
        6},
    {"well at the last moment", CONFIRM,
        {{0, NOT_YET}, {LATE - 1, NOT_YET}, {LATE + 5 * S, GOOD}, {2 * LATE, GOOD},
            {2 * LATE + 5 * S, GOOD}},
        5},
    {"never well", FAIL, {{0, NOT_YET}, {55 * S, NOT_YET}, {LATE, NOT_YET}}, 3},
    {"well, then not", FAIL, {{0, GOOD}, {5 * S, NOT_YET}}, 2},
    {"well for almost a minute", FAIL, {{0, GOOD}, {55 * S, GOOD}, {LATE - 1, NOT_YET}}, 3},
    {"worse at the end of the minute", FAIL, {{0, GOOD}, {LATE, BAD}}, 2},
    {"bad at once", FAIL, {{0, BAD}}, 1},
    {"bad while it starts", FAIL, {{0, NOT_YET}, {5 * S, BAD}}, 2},
    {"only two rounds", CONFIRM, {{3 * S, GOOD}, {500 * S, GOOD}}, 2},
};

static void test_runs(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(runs); i++) {
        for (size_t j = 0; j < G_N_ELEMENTS(starts); j++) {
            struct verification v = {.is_watching = true, .good_since_us = 5};

            g_test_message("%s, started at %" G_GUINT64_FORMAT, runs[i].name, starts[j]);
            verification_start(&v, starts[j]);
            for (size_t n = 0; n < runs[i].count; n++) {
                enum verdict verdict = verification_step(
                    &v, starts[j] + runs[i].rounds[n].now, runs[i].rounds[n].health);

                g_assert_cmpint(verdict, ==, n + 1 < runs[i].count ? ON : runs[i].expected);
            }
        }
    }
}

/* The header's sentence, said of the list of all rounds: confirmed in the first round that is a
 * minute after the first good one, if neither a bad one nor, after the good one or a minute after
 * the start, one that is not yet good comes before it. */
static enum verdict judge_rounds(const Round *rounds, size_t count)
{
    size_t first_good = 0;

    while (first_good < count && rounds[first_good].health != GOOD)
        first_good++;
    for (size_t i = 0; i < count; i++) {
        if (rounds[i].health == BAD || (rounds[i].health == NOT_YET && i > first_good) ||
            (rounds[i].health == NOT_YET && rounds[i].now >= LATE))
            return FAIL;
        if (i >= first_good && rounds[i].now - rounds[first_good].now >= LATE)
            return CONFIRM;
    }
    return ON;
}

/* All ways that six rounds can go, at times with and without the edges. */
static void test_all_runs(void)
{
    static const guint64 times[][6] = {
        {0, 5 * S, 30 * S, LATE - 1, LATE, LATE + 1},
        {1, LATE, LATE + 1, 2 * LATE, 2 * LATE + 1, 3 * LATE},
        {0, 20 * S, 40 * S, 60 * S, 80 * S, 100 * S},
        {59 * S, LATE - 1, LATE + 5 * S, 2 * LATE - 1, 2 * LATE + 5 * S - 1, 2 * LATE + 5 * S},
    };
    unsigned seen[3] = {0};

    for (size_t t = 0; t < G_N_ELEMENTS(times); t++) {
        for (unsigned n = 0; n < 729; n++) { /* 3 to the 6th */
            enum verdict verdict = ON;
            struct verification v;
            Round rounds[6];
            size_t done = 0;

            for (unsigned i = 0, rest = n; i < 6; i++, rest /= 3)
                rounds[i] = (Round){.now = times[t][i], .health = rest % 3};
            verification_start(&v, 0);
            while (done < 6 && verdict == ON) {
                verdict = verification_step(&v, rounds[done].now, rounds[done].health);
                done++;
                g_assert_cmpint(verdict, ==, judge_rounds(rounds, done));
            }
            seen[verdict]++;
        }
    }
    for (unsigned i = 0; i < 3; i++)
        g_assert_cmpuint(seen[i], >, 0);
}

static void test_worst(void)
{
    static const enum health expected[3][3] = {
        {GOOD, NOT_YET, BAD}, {NOT_YET, NOT_YET, BAD}, {BAD, BAD, BAD}};

    for (int a = 0; a < 3; a++) {
        for (int b = 0; b < 3; b++)
            g_assert_cmpint(health_worst(a, b), ==, expected[a][b]);
    }
}

/* --- a unit ---------------------------------------------------------------------------------- */

#define LOAD "can't be loaded by systemd"
#define FAILED "has failed"
#define INACTIVE "is not active"
#define RESTARTED "was restarted while it was being watched"

/* The states are all those that systemd 252 has (basic/unit-def.c). */
static const struct {
    const char *load, *active;
    enum health expected;
    const char *why;
} units[] = {
    {"loaded", "active", GOOD, NULL},
    {"loaded", "reloading", GOOD, NULL},
    {"loaded", "inactive", NOT_YET, INACTIVE},
    {"loaded", "activating", NOT_YET, INACTIVE},
    {"loaded", "deactivating", NOT_YET, INACTIVE},
    {"loaded", "maintenance", NOT_YET, INACTIVE},
    {"loaded", "failed", BAD, FAILED},
    {"loaded", "", NOT_YET, INACTIVE},
    {"loaded", "activex", NOT_YET, INACTIVE},
    {"loaded", "some-new-state", NOT_YET, INACTIVE},
    {"stub", "active", BAD, LOAD},
    {"not-found", "inactive", BAD, LOAD},
    {"not-found", "active", BAD, LOAD}, /* its file is gone, though it still runs */
    {"bad-setting", "inactive", BAD, LOAD},
    {"error", "failed", BAD, LOAD},
    {"merged", "active", BAD, LOAD},
    {"masked", "inactive", BAD, LOAD},
    {"masked", "active", BAD, LOAD},
    {"", "active", BAD, LOAD},
};

static const uint8_t first[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

static void assert_judged(const struct unit_health *unit, enum health expected, const char *why)
{
    const char *said = "untouched";

    g_assert_cmpint(unit_health_judge(unit, &said), ==, expected);
    g_assert_cmpstr(said, ==, why);
}

static void test_unit_states(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(units); i++) {
        struct unit_health unit = {.load_state = units[i].load, .active_state = units[i].active};

        g_test_message("%s %s", units[i].load, units[i].active);
        assert_judged(&unit, units[i].expected, units[i].why); /* it has no invocation */
        unit.invocation = first;
        assert_judged(&unit, units[i].expected, units[i].why); /* not watched */
        unit.first_invocation = first;
        assert_judged(&unit, units[i].expected, units[i].why); /* still the same */
    }
}

/* Another invocation, by any byte of it, or none any more. */
static void test_unit_restarted(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(units); i++) {
        bool is_good = units[i].expected == GOOD;
        struct unit_health unit = {
            .load_state = units[i].load,
            .active_state = units[i].active,
            .first_invocation = first,
        };

        assert_judged(&unit, is_good ? BAD : units[i].expected, is_good ? RESTARTED : units[i].why);
        for (size_t byte = 0; byte < sizeof first; byte++) {
            uint8_t other[16];

            memcpy(other, first, sizeof other);
            other[byte] ^= 0x80;
            unit.invocation = other;
            assert_judged(
                &unit, is_good ? BAD : units[i].expected, is_good ? RESTARTED : units[i].why);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/verification/numbers", test_numbers);
    g_test_add_func("/verification/table", test_table);
    g_test_add_func("/verification/runs", test_runs);
    g_test_add_func("/verification/all-runs", test_all_runs);
    g_test_add_func("/verification/worst", test_worst);
    g_test_add_func("/verification/unit-states", test_unit_states);
    g_test_add_func("/verification/unit-restarted", test_unit_restarted);
    return g_test_run();
}
