/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "qemu/accel.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

/* What isa-debug-exit makes of the value that the check's guest writes. */
#define RAN "exit 99"

typedef struct {
    char *dir;
    char *qemu;
    char *cache_dir;
    char *cache;
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    g_unsetenv("SLOTPROOF_ACCEL");
    f->dir = g_dir_make_tmp("slotproof-test-XXXXXX", &error);
    g_assert_no_error(error);
    f->qemu = g_build_filename(f->dir, "qemu", NULL);
    f->cache_dir = g_build_filename(f->dir, "cache", NULL);
    f->cache = g_build_filename(f->cache_dir, "accelerator", NULL);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    unlink(f->cache);
    rmdir(f->cache_dir);
    unlink(f->qemu);
    g_assert_cmpint(rmdir(f->dir), ==, 0);
    g_free(f->dir);
    g_free(f->qemu);
    g_free(f->cache_dir);
    g_free(f->cache);
}

/* A QEMU that does what @body says. */
static void fake_qemu(Fixture *f, const char *body)
{
    g_autofree char *text = g_strdup_printf("#!/bin/sh\n%s\n", body);
    g_autoptr(GError) error = NULL;

    g_file_set_contents_full(f->qemu, text, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0700, &error);
    g_assert_no_error(error);
}

static SpAccel *detect(Fixture *f, gint64 timeout_ms)
{
    return sp_accel_detect_device(sp_board_find("x86_64"), f->qemu, "/dev/null", NULL, timeout_ms);
}

static void test_works(Fixture *f, gconstpointer data)
{
    g_autoptr(SpAccel) accel = NULL;

    fake_qemu(f, RAN);
    accel = detect(f, 20000);
    g_assert_cmpstr(accel->name, ==, "kvm");
    g_assert_cmpstr(accel->argument, ==, "kvm");
    g_assert_cmpstr(sp_accel_cpu(accel, sp_board_find("x86_64")), ==, "host");
    g_assert_true(accel->time_factor == 1);
    g_assert_nonnull(accel->reason);
}

static void assert_tcg(const SpAccel *accel, const char *why)
{
    g_test_message("%s", accel->reason);
    g_assert_cmpstr(accel->name, ==, "tcg");
    g_assert_true(g_str_has_prefix(accel->argument, "tcg"));
    g_assert_cmpstr(sp_accel_cpu(accel, sp_board_find("x86_64")), !=, "host");
    g_assert_true(accel->time_factor == 4);
    g_assert_nonnull(strstr(accel->reason, why));
}

static void test_fails(Fixture *f, gconstpointer data)
{
    const struct {
        const char *body, *why;
    } fakes[] = {
        {"echo 'error: failed to set MSR 0x345' >&2; kill -ABRT $$", "failed to set MSR"},
        {"kill -ABRT $$", "signal 6"},
        {"exit 0", "status 0"}, /* the guest reset, or never ran */
        {"exit 1", "status 1"},
        {"kill -KILL $$", "signal 9"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(fakes); i++) {
        g_autoptr(SpAccel) accel = NULL;

        fake_qemu(f, fakes[i].body);
        accel = detect(f, 20000);
        assert_tcg(accel, fakes[i].why);
    }
}

static void test_hangs(Fixture *f, gconstpointer data)
{
    g_autoptr(SpAccel) accel = NULL;
    gint64 begin = g_get_monotonic_time();

    fake_qemu(f, "exec sleep 1000");
    accel = detect(f, 100);
    assert_tcg(accel, "did not end within 0.1 s");
    g_assert_cmpint(g_get_monotonic_time() - begin, <, 100 * G_TIME_SPAN_SECOND);
}

static void test_no_device(Fixture *f, gconstpointer data)
{
    g_autofree char *device = g_build_filename(f->dir, "kvm", NULL);
    g_autofree char *started = g_build_filename(f->dir, "started", NULL);
    g_autofree char *body = g_strdup_printf(": >'%s'; " RAN, started);
    g_autoptr(SpAccel) accel = NULL;

    fake_qemu(f, body);
    accel = sp_accel_detect_device(sp_board_find("x86_64"), f->qemu, device, NULL, 20000);
    assert_tcg(accel, device);
    /* and no QEMU was asked */
    g_assert_cmpint(unlink(started), ==, -1);
}

static void test_no_qemu(Fixture *f, gconstpointer data)
{
    g_autoptr(SpAccel) accel = detect(f, 20000);

    assert_tcg(accel, f->qemu);
}

/* The check's guest gets to QEMU as a disk on descriptor 3 that can only be read. */
static void test_guest(Fixture *f, gconstpointer data)
{
    g_autoptr(SpAccel) accel = NULL;

    fake_qemu(f, "[ \"$(head -c 4 <&3 | od -An -tx1 | tr -d ' ')\" = b031e6f4 ] || exit 1\n"
                 "! echo x 2>/dev/null >&3 || exit 2\n"
                 "case \"$*\" in *'-accel kvm'*fd=3,set=1*isa-debug-exit*) " RAN ";; esac");
    accel = detect(f, 20000);
    g_assert_cmpstr(accel->name, ==, "kvm");
}

static SpAccel *remembered(Fixture *f, gint64 timeout_ms)
{
    return sp_accel_detect_device(
        sp_board_find("x86_64"), f->qemu, "/dev/null", f->cache_dir, timeout_ms);
}

/* Put another answer into what is remembered, to see whether it is asked. */
static void plant_until(Fixture *f, const char *name, const char *reason, gint64 until_s)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    g_autofree char *planted = NULL;

    g_assert_true(g_file_get_contents(f->cache, &text, NULL, NULL));
    lines = g_strsplit(text, "\n", 2);
    planted =
        g_strdup_printf("%s\n%s\n%" G_GINT64_FORMAT "\n%s\n", lines[0], name, until_s, reason);
    g_assert_true(g_file_set_contents(f->cache, planted, -1, NULL));
}

static void plant(Fixture *f, const char *name, const char *reason)
{
    plant_until(f, name, reason, G_MAXINT64);
}

static void test_memory(Fixture *f, gconstpointer data)
{
    g_autoptr(SpAccel) first = NULL;
    g_autoptr(SpAccel) second = NULL;
    g_autoptr(SpAccel) third = NULL;
    g_autoptr(SpAccel) fourth = NULL;

    fake_qemu(f, "exit 1");
    first = remembered(f, 20000);
    g_assert_cmpstr(first->name, ==, "tcg");
    plant(f, "kvm", "planted");
    second = remembered(f, 20000);
    g_assert_cmpstr(second->name, ==, "kvm");
    g_assert_cmpstr(second->argument, ==, "kvm");
    g_assert_cmpstr(second->reason, ==, "planted");
    /* what is no answer is not taken for one */
    plant(f, "xen", "planted");
    third = remembered(f, 20000);
    g_assert_cmpstr(third->name, ==, "tcg");
    /* nor is that of another QEMU */
    plant(f, "kvm", "planted");
    fake_qemu(f, "exit 1 # another");
    fourth = remembered(f, 20000);
    g_assert_cmpstr(fourth->name, ==, "tcg");
}

/* A hang may come from a busy host: it is remembered, so that not each worker waits for it, but not
 * for long. */
static void test_hang_is_forgotten(Fixture *f, gconstpointer data)
{
    gint64 now_s = g_get_real_time() / G_USEC_PER_SEC;
    g_autoptr(SpAccel) slow = NULL;
    g_autoptr(SpAccel) again = NULL;
    g_autoptr(SpAccel) later = NULL;
    g_autoptr(SpAccel) far = NULL;
    g_autoptr(SpAccel) fast = NULL;

    fake_qemu(f, "exec sleep 1000");
    slow = remembered(f, 100);
    assert_tcg(slow, "did not end");
    again = remembered(f, 100 * 1000);
    assert_tcg(again, "within 0.1 s");
    plant_until(f, "kvm", "planted", now_s + 1800);
    later = remembered(f, 100);
    g_assert_cmpstr(later->reason, ==, "planted");
    /* a clock that was wrong at the time */
    plant_until(f, "kvm", "planted", now_s + 1000000);
    far = remembered(f, 100);
    assert_tcg(far, "did not end");
    plant_until(f, "kvm", "planted", now_s - 1);
    fast = remembered(f, 100);
    assert_tcg(fast, "did not end");
}

/* What depends on who may open the device is asked anew. */
static void test_not_remembered(Fixture *f, gconstpointer data)
{
    g_autoptr(SpAccel) refused = NULL;
    g_autoptr(SpAccel) fast = NULL;
    g_autoptr(SpAccel) shut = NULL;

    fake_qemu(f, RAN);
    g_assert_cmpint(g_chmod(f->qemu, 0600), ==, 0);
    refused = remembered(f, 20000);
    assert_tcg(refused, "can't be started");
    g_assert_false(g_file_test(f->cache, G_FILE_TEST_EXISTS));
    fake_qemu(f, RAN);
    fast = remembered(f, 20000);
    g_assert_cmpstr(fast->name, ==, "kvm");
    g_assert_true(g_file_test(f->cache, G_FILE_TEST_EXISTS));
    shut = sp_accel_detect_device(
        sp_board_find("x86_64"), f->qemu, "/nowhere/kvm", f->cache_dir, 20000);
    assert_tcg(shut, "/nowhere/kvm");
}

/* Without a place to remember it, the answer is the same. */
static void test_no_memory(Fixture *f, gconstpointer data)
{
    g_autoptr(SpAccel) nowhere = NULL;
    g_autoptr(SpAccel) unusable = NULL;

    fake_qemu(f, "exit 1");
    nowhere = detect(f, 20000);
    g_assert_cmpstr(nowhere->name, ==, "tcg");
    unusable = sp_accel_detect_device(
        sp_board_find("x86_64"), f->qemu, "/dev/null", "/dev/null/cache", 20000);
    g_assert_cmpstr(unusable->name, ==, "tcg");
}

static void test_override(Fixture *f, gconstpointer data)
{
    const char *const values[] = {"kvm", "tcg"};
    g_autoptr(GError) error = NULL;

    fake_qemu(f, "exit 1");
    for (gsize i = 0; i < G_N_ELEMENTS(values); i++) {
        g_autoptr(SpAccel) accel = NULL;

        g_setenv("SLOTPROOF_ACCEL", values[i], TRUE);
        accel = sp_accel_detect(sp_board_find("x86_64"), f->qemu, NULL, &error);
        g_assert_no_error(error);
        g_assert_cmpstr(accel->name, ==, values[i]);
    }
    g_setenv("SLOTPROOF_ACCEL", "hvf", TRUE);
    g_assert_null(sp_accel_detect(sp_board_find("x86_64"), f->qemu, NULL, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
    g_assert_nonnull(strstr(error->message, "hvf"));
    g_unsetenv("SLOTPROOF_ACCEL");
}

/* A board whose check is not known runs under TCG, whatever the host has. */
static void test_no_check(Fixture *f, gconstpointer data)
{
    g_autoptr(SpAccel) accel = NULL;

    fake_qemu(f, RAN);
    accel = sp_accel_detect_device(sp_board_find("aarch64"), f->qemu, "/dev/null", NULL, 20000);
    g_assert_cmpstr(accel->name, ==, "tcg");
    g_assert_cmpstr(sp_accel_cpu(accel, sp_board_find("aarch64")), ==, "cortex-a57");
    g_assert_nonnull(strstr(accel->reason, "'aarch64'"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, func) g_test_add("/accel/" name, Fixture, NULL, set_up, func, tear_down)
    ADD("works", test_works);
    ADD("fails", test_fails);
    ADD("hangs", test_hangs);
    ADD("no-check", test_no_check);
    ADD("no-device", test_no_device);
    ADD("no-qemu", test_no_qemu);
    ADD("guest", test_guest);
    ADD("memory", test_memory);
    ADD("hang-is-forgotten", test_hang_is_forgotten);
    ADD("not-remembered", test_not_remembered);
    ADD("no-memory", test_no_memory);
    ADD("override", test_override);
    return g_test_run();
}
