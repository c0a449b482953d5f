/* SPDX-License-Identifier: MIT */

/*
 * What is booted, and what each call changes, in all states that a boot state can be in: any order,
 * 0 to 3 attempts and good or not for each slot; with either last good slot; read or rebuilt.
 *
 * The expectations are written out in tables of strings, or follow from the order of a list; none
 * of them is derived as the code under test derives it.
 */

#include "appliance/boot/boot-plan.h"

#include <glib.h>
#include <string.h>

#define A SP_SLOT_A
#define B SP_SLOT_B
#define NONE SP_SLOT_NONE

/* Orders, and which of the slots in them can be booted, in which order: where no slot has attempts,
 * only A, only B, both. */
static const struct {
    const char *order, *bootable[4];
} table[] = {
    {"", {"", "", "", ""}},
    {"A", {"", "A", "", "A"}},
    {"B", {"", "", "B", "B"}},
    {"AB", {"", "A", "B", "AB"}},
    {"BA", {"", "A", "B", "BA"}},
};

/* What is tried in all, if nothing boots: the bootable ones, then the last good slot, then, where
 * the boot state is lost, the other one. */
static const struct {
    const char *bootable, *last_good, *tried, *tried_if_lost;
} all_tried[] = {
    {"", "A", "A", "AB"},
    {"", "B", "B", "BA"},
    {"A", "A", "A", "AB"},
    {"A", "B", "AB", "AB"},
    {"B", "A", "BA", "BA"},
    {"B", "B", "B", "BA"},
    {"AB", "A", "AB", "AB"},
    {"AB", "B", "AB", "AB"},
    {"BA", "A", "BA", "BA"},
    {"BA", "B", "BA", "BA"},
};

/* The same where no change can be stored: those that are good, then the last good one whatever it
 * is, then the one whose attempt could not be counted. */
static const struct {
    const char *bootable, *good, *last_good, *tried;
} unstored[] = {
    {"", "", "A", "A"},
    {"", "A", "A", "A"},
    {"", "B", "A", "A"},
    {"", "AB", "A", "A"},
    {"", "", "B", "B"},
    {"", "A", "B", "B"},
    {"", "B", "B", "B"},
    {"", "AB", "B", "B"},
    {"A", "", "A", "A"},
    {"A", "A", "A", "A"},
    {"A", "B", "A", "A"},
    {"A", "AB", "A", "A"},
    {"A", "", "B", "BA"},
    {"A", "A", "B", "AB"},
    {"A", "B", "B", "BA"},
    {"A", "AB", "B", "AB"},
    {"B", "", "A", "AB"},
    {"B", "A", "A", "AB"},
    {"B", "B", "A", "BA"},
    {"B", "AB", "A", "BA"},
    {"B", "", "B", "B"},
    {"B", "A", "B", "B"},
    {"B", "B", "B", "B"},
    {"B", "AB", "B", "B"},
    {"AB", "", "A", "AB"},
    {"AB", "A", "A", "AB"},
    {"AB", "B", "A", "BA"},
    {"AB", "AB", "A", "AB"},
    {"AB", "", "B", "BA"},
    {"AB", "A", "B", "AB"},
    {"AB", "B", "B", "BA"},
    {"AB", "AB", "B", "AB"},
    {"BA", "", "A", "AB"},
    {"BA", "A", "A", "AB"},
    {"BA", "B", "A", "BA"},
    {"BA", "AB", "A", "BA"},
    {"BA", "", "B", "BA"},
    {"BA", "A", "B", "AB"},
    {"BA", "B", "B", "BA"},
    {"BA", "AB", "B", "BA"},
};

/* --- all states ------------------------------------------------------------------------------ */

typedef struct {
    struct sp_boot_state state;
    const char *order, *bootable;
    char good[3]; /* the slots that are, A before B */
} Case;

#define CASES (G_N_ELEMENTS(table) * 4 * 4 * 4)

static Case nth_case(unsigned n)
{
    unsigned left_a = n % 4, left_b = n / 4 % 4, good = n / 16 % 4, row = n / 64;
    Case c = {
        .state.slot = {{.left = left_a, .is_good = good & 1},
            {.left = left_b, .is_good = good & 2}},
        .order = table[row].order,
        .bootable = table[row].bootable[(left_a > 0 ? 1 : 0) + (left_b > 0 ? 2 : 0)],
    };

    for (; c.order[c.state.order_length]; c.state.order_length++)
        c.state.order[c.state.order_length] = c.order[c.state.order_length] == 'A' ? A : B;
    g_snprintf(c.good, sizeof c.good, "%s%s", good & 1 ? "A" : "", good & 2 ? "B" : "");
    return c;
}

static enum sp_slot slot_of(char name)
{
    return name == 'A' ? A : name == 'B' ? B : NONE;
}

/* As a line, so that a difference can be read. */
static char *describe(const struct sp_boot_state *state)
{
    GString *text = g_string_new("order ");

    for (size_t i = 0; i < state->order_length; i++)
        g_string_append(text, sp_slot_bootname(state->order[i]));
    for (int slot = 0; slot < SP_SLOT_COUNT; slot++)
        g_string_append_printf(text, ", %s %u%s", sp_slot_bootname(slot), state->slot[slot].left,
            state->slot[slot].is_good ? " good" : "");
    return g_string_free(text, FALSE);
}

static void assert_state(const struct sp_boot_state *state, const char *order,
    struct sp_boot_slot a, struct sp_boot_slot b)
{
    g_autofree char *is = describe(state);
    g_autofree char *expected = g_strdup_printf("order %s, A %u%s, B %u%s", order, a.left,
        a.is_good ? " good" : "", b.left, b.is_good ? " good" : "");

    g_assert_cmpstr(is, ==, expected);
}

/* --- the boot state's own decisions ---------------------------------------------------------- */

static void test_choose(void)
{
    for (unsigned n = 0; n < CASES; n++) {
        const Case c = nth_case(n);
        const char first = c.bootable[0], second = first ? c.bootable[1] : '\0';

        g_assert_cmpint(sp_boot_primary(&c.state), ==, slot_of(first));
        g_assert_cmpint(sp_boot_choose(&c.state, 0), ==, slot_of(first));
        g_assert_cmpint(
            sp_boot_choose(&c.state, 1u << A), ==, slot_of(first == 'A' ? second : first));
        g_assert_cmpint(
            sp_boot_choose(&c.state, 1u << B), ==, slot_of(first == 'B' ? second : first));
        g_assert_cmpint(sp_boot_choose(&c.state, 1u << A | 1u << B), ==, NONE);
        g_assert_cmpint(sp_boot_is_bootable(&c.state, A), ==, strchr(c.bootable, 'A') != NULL);
        g_assert_cmpint(sp_boot_is_bootable(&c.state, B), ==, strchr(c.bootable, 'B') != NULL);
        g_assert_false(sp_boot_is_bootable(&c.state, NONE));
    }
}

/* The attempts that are left after one more boot, by those before. */
static const unsigned after_boot[] = {0, 0, 1, 2};

static struct sp_boot_slot booted(struct sp_boot_slot slot)
{
    if (!slot.is_good)
        slot.left = after_boot[slot.left];
    return slot;
}

static void test_take_attempt(void)
{
    for (unsigned n = 0; n < CASES; n++) {
        const Case c = nth_case(n);
        const struct sp_boot_slot a = c.state.slot[A], b = c.state.slot[B];
        struct sp_boot_state state = c.state;

        sp_boot_take_attempt(&state, A);
        assert_state(&state, c.order, booted(a), b);
        state = c.state;
        sp_boot_take_attempt(&state, B);
        assert_state(&state, c.order, a, booted(b));
        state = c.state;
        sp_boot_take_attempt(&state, NONE);
        assert_state(&state, c.order, a, b);
        sp_boot_take_attempt(&state, SP_SLOT_COUNT);
        assert_state(&state, c.order, a, b);
    }
}

/* Orders after set-primary, by the row in the table of orders. */
static const char *const with_a_first[] = {"A", "A", "AB", "AB", "AB"};
static const char *const with_b_first[] = {"B", "BA", "B", "BA", "BA"};

typedef void (*SetFunc)(struct sp_boot_state *state, enum sp_slot slot);

static void check_set(
    SetFunc set, const Case *c, enum sp_slot slot, const char *order, struct sp_boot_slot expected)
{
    struct sp_boot_state state = c->state;

    set(&state, slot);
    assert_state(&state, order, slot == A ? expected : c->state.slot[A],
        slot == B ? expected : c->state.slot[B]);
}

static void test_set(void)
{
    const struct sp_boot_slot good = {.left = 3, .is_good = true}, bad = {.left = 0};

    for (unsigned n = 0; n < CASES; n++) {
        const Case c = nth_case(n);
        const struct sp_boot_slot first_a = {.left = 3, .is_good = c.state.slot[A].is_good};
        const struct sp_boot_slot first_b = {.left = 3, .is_good = c.state.slot[B].is_good};
        struct sp_boot_state state = c.state;

        check_set(sp_boot_set_primary, &c, A, with_a_first[n / 64], first_a);
        check_set(sp_boot_set_primary, &c, B, with_b_first[n / 64], first_b);
        check_set(sp_boot_set_good, &c, A, c.order, good);
        check_set(sp_boot_set_good, &c, B, c.order, good);
        check_set(sp_boot_set_bad, &c, A, c.order, bad);
        check_set(sp_boot_set_bad, &c, B, c.order, bad);
        sp_boot_set_primary(&state, NONE);
        sp_boot_set_good(&state, NONE);
        sp_boot_set_bad(&state, NONE);
        assert_state(&state, c.order, c.state.slot[A], c.state.slot[B]);
    }
}

/* --- the selector's plan --------------------------------------------------------------------- */

static void on_line(void *data, const char *line)
{
    unsigned *lines = data;

    ++*lines;
}

/* The slot selector, on a disk that can be written or not, with slots none of which boots. Returns
 * those that were tried, in that order. */
static char *try_all(struct boot_plan *plan, bool is_writable, struct sp_boot_state *disk)
{
    GString *tried = g_string_new(NULL);
    struct boot_step step;

    while (boot_plan_next(plan, &step)) {
        g_assert_cmpuint(tried->len, <, 2);
        if (plan->is_dirty && is_writable) {
            *disk = plan->state;
            boot_plan_stored(plan);
        } else if (plan->is_dirty && !boot_plan_not_stored(plan, &step, "EIO")) {
            g_assert_true(step.is_counted);
            continue;
        }
        /* what counts its attempts is booted only once they are stored */
        g_assert_true(!step.is_counted || is_writable);
        g_string_append(tried, sp_slot_bootname(step.slot));
        boot_plan_failed(plan, step.slot, "x");
    }
    return g_string_free(tried, FALSE);
}

static const char *expect_tried(const Case *c, const char *last_good, bool is_lost)
{
    for (size_t i = 0; i < G_N_ELEMENTS(all_tried); i++) {
        if (strcmp(all_tried[i].bootable, c->bootable) == 0 &&
            strcmp(all_tried[i].last_good, last_good) == 0)
            return is_lost ? all_tried[i].tried_if_lost : all_tried[i].tried;
    }
    g_assert_not_reached();
}

static const char *expect_unstored(const Case *c, const char *last_good)
{
    for (size_t i = 0; i < G_N_ELEMENTS(unstored); i++) {
        if (strcmp(unstored[i].bootable, c->bootable) == 0 &&
            strcmp(unstored[i].good, c->good) == 0 && strcmp(unstored[i].last_good, last_good) == 0)
            return unstored[i].tried;
    }
    g_assert_not_reached();
}

static const char *const names[SP_SLOT_COUNT] = {"A", "B"};

static void check_plan(const Case *c, enum sp_slot last_good, enum sp_boot_source source)
{
    bool is_lost = source != SP_BOOT_FROM_FILE;
    struct sp_boot_slot a = c->state.slot[A], b = c->state.slot[B];
    struct sp_boot_state disk = c->state;
    g_autofree char *tried = NULL;
    struct boot_plan plan;
    unsigned lines = 0;

    boot_plan_init(&plan, &c->state, source, last_good, on_line, &lines);
    g_assert_cmpint(plan.is_dirty, ==, is_lost);
    tried = try_all(&plan, true, &disk);
    g_assert_cmpstr(tried, ==, expect_tried(c, names[last_good], is_lost));
    g_assert_cmpuint(lines, >, strlen(tried)); /* something was said of each */
    /* only those that the state chose have lost an attempt, and the disk has it */
    if (strchr(c->bootable, 'A'))
        a = booted(a);
    if (strchr(c->bootable, 'B'))
        b = booted(b);
    assert_state(&disk, c->order, a, b);
    g_assert_false(plan.is_dirty);
}

static void test_plan(void)
{
    for (unsigned n = 0; n < CASES; n++) {
        const Case c = nth_case(n);

        for (int last_good = 0; last_good < SP_SLOT_COUNT; last_good++) {
            check_plan(&c, last_good, SP_BOOT_FROM_FILE);
            check_plan(&c, last_good, SP_BOOT_FROM_LAST_GOOD);
            check_plan(&c, last_good, SP_BOOT_FROM_DEFAULT);
        }
    }
}

static void test_plan_unstored(void)
{
    for (unsigned n = 0; n < CASES; n++) {
        const Case c = nth_case(n);

        for (int last_good = 0; last_good < SP_SLOT_COUNT; last_good++) {
            struct sp_boot_state disk = c.state;
            g_autofree char *tried = NULL;
            struct boot_plan plan;
            unsigned lines = 0;

            boot_plan_init(&plan, &c.state, SP_BOOT_FROM_FILE, last_good, on_line, &lines);
            tried = try_all(&plan, false, &disk);
            g_assert_cmpstr(tried, ==, expect_unstored(&c, names[last_good]));
        }
    }
}

/* --- what a device can come to --------------------------------------------------------------- */

/* A device: what is on its disk. Whether a slot holds a release that was once confirmed is not
 * known to the code under test. */
typedef struct {
    struct sp_boot_state state;
    enum sp_slot last_good;
    bool is_proven[SP_SLOT_COUNT];
    enum sp_slot running; /* NONE: it is off */
} Device;

static void power_on(Device *d)
{
    struct boot_plan plan;
    struct boot_step step;
    unsigned lines = 0;

    boot_plan_init(&plan, &d->state, SP_BOOT_FROM_FILE, d->last_good, on_line, &lines);
    g_assert_true(boot_plan_next(&plan, &step));
    d->state = plan.state;
    d->running = step.slot;
}

/* The events, and whether each can happen now. */
static bool happen(Device *d, unsigned event)
{
    enum sp_slot other = d->running == A ? B : A;

    if (event == 0) {
        power_on(d); /* also a reset */
        return true;
    }
    if (d->running == NONE)
        return false;
    switch (event) {
    case 1: /* RAUC begins an installation: as slot-backend does it */
        sp_boot_set_bad(&d->state, other);
        if (d->last_good == other)
            d->last_good = d->running;
        d->is_proven[other] = false;
        return true;
    case 2: /* and ends it; not after a reset in between */
        if (d->is_proven[other] || d->state.slot[other].is_good)
            return false;
        sp_boot_set_primary(&d->state, other);
        return true;
    case 3: /* os-verification */
        sp_boot_set_good(&d->state, d->running);
        d->last_good = d->running;
        d->is_proven[d->running] = true;
        return true;
    default:
        return false;
    }
}

static char *device_key(const Device *d)
{
    g_autofree char *state = describe(&d->state);

    return g_strdup_printf("%s, last good %d, proven %d %d, running %d", state, d->last_good,
        d->is_proven[A], d->is_proven[B], d->running);
}

/* What holds whatever has happened. */
static void assert_invariants(const Device *d)
{
    char text[SP_BOOT_STATE_MAX];

    g_assert_cmpint(sp_boot_state_format(&d->state, text), >, 0);
    for (int slot = 0; slot < SP_SLOT_COUNT; slot++) {
        /* a good slot has all its attempts for ever, and is a confirmed release */
        g_assert_true(!d->state.slot[slot].is_good || d->state.slot[slot].left == SP_BOOT_ATTEMPTS);
        g_assert_true(!d->state.slot[slot].is_good || d->is_proven[slot]);
    }
    /* While there is a confirmed release, it is the one to go back to. There is none after an
     * installation from a release that is not confirmed itself. */
    g_assert_true(d->is_proven[d->last_good] || (!d->is_proven[A] && !d->is_proven[B]));
}

/* From wherever the device is, resets alone bring it to a confirmed release, if there is one. */
static void assert_comes_back(Device d)
{
    bool has_proven = d.is_proven[A] || d.is_proven[B];

    for (unsigned i = 0; i < 2 * SP_BOOT_ATTEMPTS; i++)
        power_on(&d);
    power_on(&d);
    g_assert_true(!has_proven || d.is_proven[d.running]);
}

static void test_reachable(void)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GArray) devices = g_array_new(FALSE, FALSE, sizeof(Device));
    Device fresh = {.last_good = A, .is_proven = {true, false}, .running = NONE};

    sp_boot_state_init(&fresh.state);
    g_array_append_val(devices, fresh);
    g_hash_table_add(seen, device_key(&fresh));
    for (guint i = 0; i < devices->len; i++) {
        for (unsigned event = 0; event < 4; event++) {
            Device d = g_array_index(devices, Device, i);

            if (!happen(&d, event) || !g_hash_table_add(seen, device_key(&d)))
                continue;
            g_array_append_val(devices, d);
            assert_invariants(&d);
            assert_comes_back(d);
        }
        g_assert_cmpuint(devices->len, <, 10000);
    }
    g_assert_cmpuint(devices->len, >, 50); /* so that the check is not an empty one */
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/boot-decisions/choose", test_choose);
    g_test_add_func("/boot-decisions/take-attempt", test_take_attempt);
    g_test_add_func("/boot-decisions/set", test_set);
    g_test_add_func("/boot-decisions/plan", test_plan);
    g_test_add_func("/boot-decisions/plan-unstored", test_plan_unstored);
    g_test_add_func("/boot-decisions/reachable", test_reachable);
    return g_test_run();
}
