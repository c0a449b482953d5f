/* SPDX-License-Identifier: MIT */
#include "appliance/boot/boot-plan.h"

#include "appliance/boot/cmdline.h"

#include <glib.h>
#include <string.h>

#define A SP_SLOT_A
#define B SP_SLOT_B
#define NONE SP_SLOT_NONE

typedef struct {
    struct boot_plan plan;
    GString *lines;
} Fixture;

static void on_line(void *data, const char *line)
{
    g_string_append_printf(data, "%s\n", line);
}

static void fixture_up(Fixture *f, gconstpointer data)
{
    f->lines = g_string_new(NULL);
}

static void fixture_down(Fixture *f, gconstpointer data)
{
    g_string_free(f->lines, TRUE);
}

static struct sp_boot_state make_state(
    enum sp_slot first, struct sp_boot_slot a, struct sp_boot_slot b)
{
    return (struct sp_boot_state){
        .order = {first, first == A ? B : A},
        .order_length = 2,
        .slot = {a, b},
    };
}

static const struct sp_boot_slot good = {.left = 3, .is_good = true}, fresh = {.left = 3},
                                 last = {.left = 1}, used_up = {.left = 0};

static void start(Fixture *f, struct sp_boot_state state, enum sp_slot last_good)
{
    boot_plan_init(&f->plan, &state, SP_BOOT_FROM_FILE, last_good, on_line, f->lines);
}

static void assert_next(Fixture *f, enum sp_slot slot, bool is_counted)
{
    struct boot_step step = {.slot = NONE};

    g_assert_true(boot_plan_next(&f->plan, &step));
    g_assert_cmpint(step.slot, ==, slot);
    g_assert_cmpint(step.is_counted, ==, is_counted);
}

static void assert_end(Fixture *f)
{
    struct boot_step step = {.slot = NONE};

    g_assert_false(boot_plan_next(&f->plan, &step));
    g_assert_false(boot_plan_next(&f->plan, &step));
    g_assert_cmpint(step.slot, ==, NONE);
}

static void test_good(Fixture *f, gconstpointer data)
{
    start(f, make_state(A, good, used_up), A);
    assert_next(f, A, false);
    g_assert_false(f->plan.is_dirty); /* nothing is written */
    g_assert_cmpstr(f->plan.note, ==, "");
    g_assert_cmpstr(f->lines->str, ==, "slot A (good)\n");
}

static void test_attempts(Fixture *f, gconstpointer data)
{
    start(f, make_state(B, good, fresh), A);
    assert_next(f, B, true);
    g_assert_true(f->plan.is_dirty);
    g_assert_cmpuint(f->plan.state.slot[B].left, ==, 2);
    g_assert_cmpstr(f->lines->str, ==, "slot B (attempt 1 of 3)\n");
    boot_plan_stored(&f->plan);
    g_assert_false(f->plan.is_dirty);

    g_string_truncate(f->lines, 0);
    start(f, make_state(B, good, last), A);
    assert_next(f, B, true);
    g_assert_cmpuint(f->plan.state.slot[B].left, ==, 0);
    g_assert_cmpstr(f->lines->str, ==, "slot B (attempt 3 of 3)\n");
    g_assert_cmpstr(f->plan.note, ==, "");
}

static void test_used_up(Fixture *f, gconstpointer data)
{
    start(f, make_state(B, good, used_up), A);
    assert_next(f, A, false);
    g_assert_false(f->plan.is_dirty);
    g_assert_cmpstr(f->lines->str, ==,
        "slot B: 3 attempts used, falling back to A\n"
        "slot A (good)\n");
    g_assert_cmpstr(f->plan.note, ==, "slot_B:_3_attempts_used,_falling_back_to_A");
}

static void test_broken_slot(Fixture *f, gconstpointer data)
{
    start(f, make_state(A, fresh, fresh), A);
    assert_next(f, A, true);
    boot_plan_failed(&f->plan, A, "boot-a: vmlinuz: \"it's\" gone; $x");
    assert_next(f, B, true);
    g_assert_cmpuint(f->plan.state.slot[A].left, ==, 2);
    g_assert_cmpuint(f->plan.state.slot[B].left, ==, 2);
    g_assert_cmpstr(f->plan.note, ==, "slot_A_does_not_boot:_boot-a:_vmlinuz:__it_s__gone___x");
    boot_plan_failed(&f->plan, B, "x");
    assert_end(f);
}

/* A good slot that is broken is only left out of this boot. */
static void test_broken_good_slot(Fixture *f, gconstpointer data)
{
    start(f, make_state(A, good, good), A);
    assert_next(f, A, false);
    boot_plan_failed(&f->plan, A, "x");
    assert_next(f, B, false);
    g_assert_false(f->plan.is_dirty);
    boot_plan_failed(&f->plan, B, "x");
    assert_end(f);
}

static void test_last_good_once_more(Fixture *f, gconstpointer data)
{
    start(f, make_state(B, used_up, used_up), A);
    assert_next(f, A, false);
    g_assert_false(f->plan.is_dirty);
    g_assert_cmpstr(
        f->lines->str, ==, "no slot is left to choose, trying the last good slot A once more\n");
    g_assert_cmpstr(
        f->plan.note, ==, "no_slot_is_left_to_choose,_trying_the_last_good_slot_A_once_more");
    boot_plan_failed(&f->plan, A, "x");
    assert_end(f); /* B is known to be bad */

    start(f, make_state(B, used_up, last), A);
    assert_next(f, B, true);
    boot_plan_failed(&f->plan, B, "x");
    assert_next(f, A, false);
    assert_end(f);
}

static void test_rebuilt(Fixture *f, gconstpointer data)
{
    struct sp_boot_state state = make_state(B, used_up, good);

    boot_plan_init(&f->plan, &state, SP_BOOT_FROM_LAST_GOOD, B, on_line, f->lines);
    g_assert_true(f->plan.is_dirty); /* so that the next boot finds it */
    assert_next(f, B, false);
    g_assert_cmpstr(f->lines->str, ==,
        "boot state was missing or broken, rebuilt from the last good slot B\n"
        "slot B (good)\n");
    boot_plan_failed(&f->plan, B, "x");
    assert_next(f, A, false); /* nothing is known of it, so it may boot */
    boot_plan_failed(&f->plan, A, "x");
    assert_end(f);
}

static void test_unreadable(Fixture *f, gconstpointer data)
{
    boot_plan_init_unreadable(&f->plan, "Input/output error", on_line, f->lines);
    g_assert_false(f->plan.is_dirty);
    assert_next(f, A, false);
    g_assert_false(f->plan.is_dirty);
    g_assert_cmpstr(f->plan.note, ==, "boot_state_can_t_be_read:_Input_output_error");
    boot_plan_failed(&f->plan, A, "x");
    assert_next(f, B, false);
    assert_end(f);
}

/* Attempts that can't be counted are none: the good slot goes first, the other one last. */
static void test_not_stored(Fixture *f, gconstpointer data)
{
    struct boot_step step;

    start(f, make_state(B, good, fresh), A);
    g_assert_true(boot_plan_next(&f->plan, &step));
    g_assert_cmpint(step.slot, ==, B);
    g_assert_false(boot_plan_not_stored(&f->plan, &step, "No space left on device"));
    g_assert_true(boot_plan_next(&f->plan, &step));
    g_assert_cmpint(step.slot, ==, A);
    g_assert_true(f->plan.is_dirty);
    g_assert_true(boot_plan_not_stored(&f->plan, &step, "No space left on device"));
    boot_plan_failed(&f->plan, A, "x");
    g_assert_true(boot_plan_next(&f->plan, &step));
    g_assert_cmpint(step.slot, ==, B);
    g_assert_true(boot_plan_not_stored(&f->plan, &step, "No space left on device"));
    boot_plan_failed(&f->plan, B, "x");
    assert_end(f);
}

static void test_no_order(Fixture *f, gconstpointer data)
{
    struct sp_boot_state state = make_state(A, good, good);

    state.order_length = 0;
    start(f, state, B);
    assert_next(f, B, false);
    assert_end(f);
}

/* Two lines are parted by a semicolon and a blank: slot-note makes lines of them again. */
static void test_two_notes(Fixture *f, gconstpointer data)
{
    char cmdline[CMDLINE_MAX], note[CMDLINE_MAX];

    start(f, make_state(B, good, used_up), A);
    assert_next(f, A, false);
    boot_plan_failed(&f->plan, A, "x");
    g_assert_cmpstr(
        f->plan.note, ==, "slot_B:_3_attempts_used,_falling_back_to_A;_slot_A_does_not_boot:_x");
    boot_plan_failed(&f->plan, A, "a;b"); /* what is said has no semicolon */
    g_assert_true(g_str_has_suffix(f->plan.note, "_x;_slot_A_does_not_boot:_a_b"));
    g_assert_cmpint(cmdline_build("", "", 0, A, f->plan.note, cmdline), ==, 0);
    cmdline_note(cmdline, note);
    g_assert_cmpstr(note, ==,
        "slot B: 3 attempts used, falling back to A; slot A does not boot: x; "
        "slot A does not boot: a b");
}

/* Wherever the room ends, it does not end with a line that says nothing. */
static void test_note_lengths(Fixture *f, gconstpointer data)
{
    static const char half[] = "slot_A_does_not_boot:_";
    g_autofree char *long_why = g_strnfill(150, 'x');

    for (size_t length = 0; length < 30; length++) {
        g_autofree char *why = g_strnfill(length, 'x');
        size_t before;

        start(f, make_state(A, good, good), A);
        boot_plan_failed(&f->plan, A, long_why);
        boot_plan_failed(&f->plan, A, long_why);
        boot_plan_failed(&f->plan, A, why);
        before = strlen(f->plan.note);
        g_assert_cmpuint(before, ==, MIN(2 * 172 + 2 + 24 + length, BOOT_NOTE_MAX - 1));
        boot_plan_failed(&f->plan, A, "x");
        g_assert_cmpuint(strlen(f->plan.note), <, BOOT_NOTE_MAX);
        if (before + 3 < BOOT_NOTE_MAX)
            g_assert_cmpmem(f->plan.note + before + 2, strlen(f->plan.note) - before - 2, half,
                BOOT_NOTE_MAX - 1 - before - 2);
        else
            g_assert_cmpuint(strlen(f->plan.note), ==, before);
    }
}

/* The note is bounded, whatever is said. */
static void test_note_is_bounded(Fixture *f, gconstpointer data)
{
    g_autofree char *why = g_strnfill(1000, 'x');

    start(f, make_state(A, good, good), A);
    for (int i = 0; i < 20; i++)
        boot_plan_failed(&f->plan, A, why);
    g_assert_cmpuint(strlen(f->plan.note), <, BOOT_NOTE_MAX);
    g_assert_cmpuint(strlen(f->plan.note), >, BOOT_NOTE_MAX - 8);
    g_assert_cmpuint(strspn(f->plan.note,
                         "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_:,.-;"),
        ==, strlen(f->plan.note));
}

static void add(const char *path, void (*test)(Fixture *, gconstpointer))
{
    g_test_add(path, Fixture, NULL, fixture_up, test, fixture_down);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("/boot-plan/good", test_good);
    add("/boot-plan/attempts", test_attempts);
    add("/boot-plan/used-up", test_used_up);
    add("/boot-plan/broken-slot", test_broken_slot);
    add("/boot-plan/broken-good-slot", test_broken_good_slot);
    add("/boot-plan/last-good-once-more", test_last_good_once_more);
    add("/boot-plan/rebuilt", test_rebuilt);
    add("/boot-plan/unreadable", test_unreadable);
    add("/boot-plan/not-stored", test_not_stored);
    add("/boot-plan/no-order", test_no_order);
    add("/boot-plan/two-notes", test_two_notes);
    add("/boot-plan/note-lengths", test_note_lengths);
    add("/boot-plan/note-is-bounded", test_note_is_bounded);
    return g_test_run();
}
