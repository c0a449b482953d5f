/* SPDX-License-Identifier: MIT */

/* Whether a machine can go on, and how its errors read, with a program in place of QEMU. */

#include "base/error.h"
#include "machine/machine-private.h"

#include <string.h>

typedef struct {
    SpAccel accel;
    SpMachine machine;
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    f->accel.time_factor = 1;
    f->machine.config.name = "m";
    f->machine.config.accel = &f->accel;
    f->machine.console = sp_console_new(NULL, NULL, NULL, NULL);
    f->machine.memory_fd = -1;
}

static void tear_down(Fixture *f, gconstpointer data)
{
    sp_machine_forget_panic(&f->machine);
    g_free(f->machine.host_failure);
    g_free(f->machine.shutdown_reason);
    g_free(f->machine.memory_path);
    sp_process_free(f->machine.qemu);
    sp_console_free(f->machine.console);
}

/* A QEMU that does what @script says; with @ends it has ended when this returns. */
static void start_qemu(Fixture *f, const char *script, bool ends)
{
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    g_autoptr(GError) error = NULL;

    f->machine.qemu = sp_process_start(argv, NULL, 0, &error);
    g_assert_no_error(error);
    if (ends)
        g_assert_true(sp_process_wait(f->machine.qemu, sp_deadline(20000), NULL, &error));
    g_assert_no_error(error);
}

static void expect_end(Fixture *f, const char *expected)
{
    g_autofree char *end = sp_machine_describe_end(&f->machine);

    if (!strstr(end, expected))
        g_error("no '%s' in: %s", expected, end);
}

static void test_end(Fixture *f, gconstpointer data)
{
    start_qemu(f, "echo 'no such machine' >&2; exit 3", true);
    expect_end(f, "status 3");
    expect_end(f, "no such machine");
    f->machine.shutdown_reason = g_strdup("host-signal");
    expect_end(f, "status 3");
    g_free(f->machine.shutdown_reason);
    f->machine.shutdown_reason = g_strdup("guest-shutdown");
    expect_end(f, "the guest powered off");
    g_free(f->machine.shutdown_reason);
    f->machine.shutdown_reason = g_strdup("guest-reset");
    expect_end(f, "allow_reboot=True");
}

/* A signal that means a disk that is full, but only if memory is a file. */
static void test_memory(Fixture *f, gconstpointer data)
{
    start_qemu(f, "kill -BUS $$", true);
    expect_end(f, "QEMU was killed");
    f->machine.memory_path = g_strdup("/cache/m.ram");
    expect_end(f, "memory could not be read from '/cache/m.ram'");
    f->machine.memory_is_own = true;
    expect_end(f, "the file '/cache/m.ram', could not grow");
}

static void expect_well(Fixture *f, SpWaitMood mood, const char *fault)
{
    g_autoptr(GError) error = NULL;

    if (sp_machine_is_well(&f->machine, mood, &error) != (fault == NULL))
        g_error("mood %d: %s", (int)mood, error ? error->message : "is well");
    if (!fault)
        return;
    g_assert_error(error, SP_ERROR, SP_ERROR_MACHINE);
    if (!strstr(error->message, fault))
        g_error("no '%s' in: %s", fault, error->message);
}

static void test_off(Fixture *f, gconstpointer data)
{
    for (int mood = SP_WAIT_GUEST; mood <= SP_WAIT_CONSOLE; mood++)
        expect_well(f, (SpWaitMood)mood, "is not running");
    start_qemu(f, "exit 5", true);
    for (int mood = SP_WAIT_GUEST; mood <= SP_WAIT_CONSOLE; mood++)
        expect_well(f, (SpWaitMood)mood, "status 5");
}

/* A kernel that failed ends a wait for the guest at once, one for the console when it has had time
 * to print, and one that needs only QEMU never. */
static void test_failed_kernel(Fixture *f, gconstpointer data)
{
    start_qemu(f, "sleep 100", false);
    for (int mood = SP_WAIT_GUEST; mood <= SP_WAIT_CONSOLE; mood++)
        expect_well(f, (SpWaitMood)mood, NULL);
    f->machine.fatal = g_strdup("Kernel panic - not syncing: x");
    f->machine.fatal_since = g_get_monotonic_time();
    expect_well(f, SP_WAIT_GUEST, "the guest's kernel failed: Kernel panic - not syncing: x");
    expect_well(f, SP_WAIT_CONSOLE, NULL);
    expect_well(f, SP_WAIT_QEMU, NULL);
    f->machine.fatal_since -= 10 * G_TIME_SPAN_SECOND;
    expect_well(f, SP_WAIT_CONSOLE, "the guest's kernel failed");
    expect_well(f, SP_WAIT_QEMU, NULL);
}

static void test_failed_host(Fixture *f, gconstpointer data)
{
    start_qemu(f, "sleep 100", false);
    f->machine.host_failure = g_strdup("the host can't write the machine's disk");
    expect_well(f, SP_WAIT_GUEST, "can't write");
    expect_well(f, SP_WAIT_CONSOLE, "can't write");
    expect_well(f, SP_WAIT_QEMU, NULL);
}

static char *report(Fixture *f, SpErrorCode code, const char *message)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(
        sp_machine_report(&f->machine, g_error_new_literal(SP_ERROR, (int)code, message), &error));
    g_assert_error(error, SP_ERROR, (int)code);
    g_assert_cmpint(
        sp_machine_error_shows_console(error), ==, strstr(error->message, "console") != NULL);
    return g_strdup(error->message);
}

static void test_report(Fixture *f, gconstpointer data)
{
    g_autofree char *empty = report(f, SP_ERROR_TIMEOUT, "it took too long");
    g_autofree char *refused = NULL, *failed = NULL, *interrupted = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_cmpstr(empty, ==, "machine 'm': it took too long\nIts console is empty.");
    sp_console_take(f->machine.console, (const guint8 *)"one\r\ntwo\r\n", 10);
    failed = report(f, SP_ERROR_MACHINE, "is not running");
    g_assert_cmpstr(
        failed, ==, "machine 'm': is not running\nThe last lines of its console:\none\ntwo");
    refused = report(f, SP_ERROR_USAGE, "has no snapshot 'x'");
    g_assert_cmpstr(refused, ==, "machine 'm': has no snapshot 'x'");
    interrupted = report(f, SP_ERROR_INTERRUPTED, "interrupted");
    g_assert_cmpstr(interrupted, ==, "interrupted");
    /* no error, and nobody who wants to know */
    g_assert_true(sp_machine_report(&f->machine, NULL, &error));
    g_assert_no_error(error);
    g_assert_false(sp_machine_report(
        &f->machine, g_error_new_literal(SP_ERROR, SP_ERROR_HOST, "no space"), NULL));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, func) g_test_add("/machine-error/" name, Fixture, NULL, set_up, func, tear_down)
    ADD("end", test_end);
    ADD("killed-for-its-memory", test_memory);
    ADD("off", test_off);
    ADD("failed-kernel", test_failed_kernel);
    ADD("failed-host", test_failed_host);
    ADD("report", test_report);
    return g_test_run();
}
