/* SPDX-License-Identifier: MIT */

/* Waits for units, whose agent the test is. */

#include "base/error.h"
#include "fake-agent.h"
#include "lib/byte-order.h"
#include "machine/machine-guest.h"
#include "machine/machine-private.h"

#include <errno.h>
#include <string.h>

typedef struct {
    FakeAgent fake;
    SpAccel accel;
    SpMachine machine;
    int refusal; /* the agent's answer to a watch */
    const char *reason;
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    const char *const argv[] = {"sleep", "100", NULL};
    g_autoptr(GError) error = NULL;

    fake_connect(&f->fake);
    f->accel.time_factor = 1;
    f->machine.config.name = "m";
    f->machine.config.accel = &f->accel;
    f->machine.console = sp_console_new(NULL, NULL, NULL, NULL);
    f->machine.agent = f->fake.agent;
    f->machine.qemu = sp_process_start(argv, NULL, 0, &error);
    g_assert_no_error(error);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    sp_process_free(f->machine.qemu);
    sp_console_free(f->machine.console);
    fake_tear_down(&f->fake);
}

static gboolean refuse_watch(void *data)
{
    Fixture *f = data;
    struct sp_agent_frame frame = fake_hear(&f->fake);
    g_autofree guint8 *payload = g_malloc(4 + strlen(f->reason));

    g_assert_cmpint(frame.type, ==, SP_AGENT_FRAME_WATCH);
    sp_put_le32(payload, (guint32)f->refusal);
    memcpy(payload + 4, f->reason, strlen(f->reason));
    fake_say(
        &f->fake, SP_AGENT_FRAME_ERROR, frame.channel, 0, payload, (gsize)4 + strlen(f->reason));
    return G_SOURCE_REMOVE;
}

static void expect_refusal(
    Fixture *f, const char *unit, int number, const char *reason, const char *expected)
{
    g_autoptr(GError) error = NULL;

    f->refusal = number;
    f->reason = reason;
    g_idle_add(refuse_watch, f);
    g_assert_false(sp_machine_wait_for_unit(&f->machine, unit, 5000, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_GUEST);
    g_assert_cmpstr(error->message, ==, expected);
}

static void test_bad_unit_name(Fixture *f, gconstpointer data)
{
    expect_refusal(f, "a b.service", EINVAL, "Invalid argument",
        "machine 'm': unit 'a b.service' can't be waited for: a unit's name contains no spaces "
        "(Invalid argument)");
}

/* It is not the name's fault. */
static void test_no_units(Fixture *f, gconstpointer data)
{
    expect_refusal(f, "demo.service", EOPNOTSUPP, "this guest does not run systemd",
        "machine 'm': unit 'demo.service' can't be waited for: this guest does not run systemd");
    expect_refusal(f, "demo.service", EPIPE, "slotproof-agent-units has ended",
        "machine 'm': unit 'demo.service' can't be waited for: slotproof-agent-units has ended");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add(
        "/machine-waits/bad-unit-name", Fixture, NULL, set_up, test_bad_unit_name, tear_down);
    g_test_add("/machine-waits/no-units", Fixture, NULL, set_up, test_no_units, tear_down);
    return g_test_run();
}
