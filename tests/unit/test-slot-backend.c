/* SPDX-License-Identifier: MIT */

/* Runs the built slot-backend, SLOT_BACKEND, on a directory of its own. */

#include "appliance/boot/boot-state.h"

#include <fcntl.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define A SP_SLOT_A
#define B SP_SLOT_B

typedef struct {
    char *path, *state, *cmdline;
    int dirfd;
    GSubprocessLauncher *launcher;
    char *out, *err;
} Fixture;

static void fixture_up(Fixture *f, gconstpointer data)
{
    memset(f, 0, sizeof *f);
    f->path = g_dir_make_tmp("slot-backend-XXXXXX", NULL);
    g_assert_nonnull(f->path);
    f->state = g_build_filename(f->path, "state", NULL);
    f->cmdline = g_build_filename(f->path, "cmdline", NULL);
    g_assert_cmpint(g_mkdir(f->state, 0700), ==, 0);
    g_assert_true(g_file_set_contents(f->cmdline, "quiet rauc.slot=A\n", -1, NULL));
    f->dirfd = open(f->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    g_assert_cmpint(f->dirfd, >=, 0);
    f->launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE);
    g_subprocess_launcher_setenv(f->launcher, "SLOT_STATE_DIR", f->state, TRUE);
    g_subprocess_launcher_setenv(f->launcher, "SLOT_CMDLINE", f->cmdline, TRUE);
}

static void fixture_down(Fixture *f, gconstpointer data)
{
    (void)unlinkat(f->dirfd, SP_BOOT_STATE_FILE, 0);
    (void)unlinkat(f->dirfd, SP_BOOT_LAST_GOOD_FILE, 0);
    close(f->dirfd);
    g_unlink(f->cmdline);
    g_assert_cmpint(g_rmdir(f->state), ==, 0); /* nothing else was left there */
    g_assert_cmpint(g_rmdir(f->path), ==, 0);
    g_free(f->path);
    g_free(f->state);
    g_free(f->cmdline);
    g_free(f->out);
    g_free(f->err);
    g_object_unref(f->launcher);
}

/* Returns the exit status; what it said is in @f. */
static int run(Fixture *f, const char *arguments)
{
    g_autofree char *line = g_strdup_printf("%s %s", SLOT_BACKEND, arguments);
    g_auto(GStrv) argv = g_strsplit(g_strchomp(line), " ", -1);
    g_autoptr(GError) error = NULL;
    g_autoptr(GSubprocess) process =
        g_subprocess_launcher_spawnv(f->launcher, (const char *const *)argv, &error);

    g_assert_no_error(error);
    g_clear_pointer(&f->out, g_free);
    g_clear_pointer(&f->err, g_free);
    g_subprocess_communicate_utf8(process, NULL, NULL, &f->out, &f->err, &error);
    g_assert_no_error(error);
    g_assert_true(g_subprocess_get_if_exited(process));
    return g_subprocess_get_exit_status(process);
}

static void assert_answer(Fixture *f, const char *arguments, const char *expected)
{
    g_assert_cmpint(run(f, arguments), ==, 0);
    g_assert_cmpstr(f->out, ==, expected);
    g_assert_cmpstr(f->err, ==, "");
}

static void assert_refused(Fixture *f, const char *arguments, int status, const char *words)
{
    g_assert_cmpint(run(f, arguments), ==, status);
    g_assert_cmpstr(f->out, ==, "");
    g_assert_true(g_str_has_prefix(f->err, "slot-backend: "));
    g_assert_nonnull(strstr(f->err, words));
}

static void store(Fixture *f, enum sp_slot first, struct sp_boot_slot a, struct sp_boot_slot b)
{
    struct sp_boot_state state = {
        .order = {first, first == A ? B : A},
        .order_length = 2,
        .slot = {a, b},
    };

    g_assert_cmpint(sp_boot_state_store(f->dirfd, &state), ==, 0);
}

static const struct sp_boot_slot good = {.left = 3, .is_good = true}, tried = {.left = 2},
                                 bad = {.left = 0};

static void assert_slot(Fixture *f, enum sp_slot slot, unsigned left, bool is_good)
{
    enum sp_boot_source source;
    struct sp_boot_state state;

    g_assert_cmpint(sp_boot_state_load(f->dirfd, &state, &source), ==, 0);
    g_assert_cmpint(source, ==, SP_BOOT_FROM_FILE);
    g_assert_cmpuint(state.slot[slot].left, ==, left);
    g_assert_cmpint(state.slot[slot].is_good, ==, is_good);
}

static void test_get(Fixture *f, gconstpointer data)
{
    store(f, B, good, tried);
    assert_answer(f, "get-primary", "B\n");
    assert_answer(f, "get-state A", "good\n");
    assert_answer(f, "get-state B", "good\n");
    assert_answer(f, "get-current", "A\n");
    store(f, B, good, bad);
    assert_answer(f, "get-primary", "A\n");
    assert_answer(f, "get-state B", "bad\n");
    store(f, B, bad, bad);
    assert_refused(f, "get-primary", 1, "no slot has attempts left");
    g_assert_true(g_file_set_contents(f->cmdline, "quiet\n", -1, NULL));
    assert_refused(f, "get-current", 1, "rauc.slot=");
    g_unlink(f->cmdline);
    assert_refused(f, "get-current", 1, "rauc.slot=");
}

/* What RAUC does in an install into B, and what os-verification does after it. */
static void test_install(Fixture *f, gconstpointer data)
{
    store(f, A, good, good);
    g_assert_cmpint(sp_boot_last_good_store(f->dirfd, A), ==, 0);
    assert_answer(f, "set-state B bad", "");
    assert_slot(f, B, 0, false);
    assert_answer(f, "get-primary", "A\n");
    assert_answer(f, "set-primary B", "");
    assert_slot(f, B, 3, false);
    assert_slot(f, A, 3, true);
    assert_answer(f, "get-primary", "B\n");
    g_assert_cmpint(sp_boot_last_good_load(f->dirfd), ==, A);
    assert_answer(f, "set-state B good", "");
    assert_slot(f, B, 3, true);
    g_assert_cmpint(sp_boot_last_good_load(f->dirfd), ==, B);
}

/* The last good slot is about to be overwritten. */
static void test_last_good_marked_bad(Fixture *f, gconstpointer data)
{
    store(f, B, good, tried);
    g_assert_cmpint(sp_boot_last_good_store(f->dirfd, A), ==, 0);
    assert_answer(f, "set-state A bad", "");
    g_assert_cmpint(sp_boot_last_good_load(f->dirfd), ==, B);

    /* its last attempt, but it runs */
    store(f, B, good, bad);
    g_assert_cmpint(sp_boot_last_good_store(f->dirfd, A), ==, 0);
    g_assert_true(g_file_set_contents(f->cmdline, "rauc.slot=B", -1, NULL));
    assert_answer(f, "set-state A bad", "");
    g_assert_cmpint(sp_boot_last_good_load(f->dirfd), ==, B);

    /* there is nothing better */
    store(f, A, good, bad);
    g_assert_cmpint(sp_boot_last_good_store(f->dirfd, A), ==, 0);
    g_assert_true(g_file_set_contents(f->cmdline, "rauc.slot=A", -1, NULL));
    assert_answer(f, "set-state A bad", "");
    g_assert_cmpint(sp_boot_last_good_load(f->dirfd), ==, A);
}

static void test_rebuilt(Fixture *f, gconstpointer data)
{
    g_assert_cmpint(sp_boot_last_good_store(f->dirfd, B), ==, 0);
    g_assert_cmpint(run(f, "get-primary"), ==, 0);
    g_assert_cmpstr(f->out, ==, "B\n");
    g_assert_nonnull(strstr(f->err, "rebuilt from the last good slot B"));
    /* reading repairs nothing, writing does */
    g_assert_cmpint(run(f, "set-state B good"), ==, 0);
    g_assert_nonnull(strstr(f->err, "rebuilt"));
    assert_answer(f, "get-primary", "B\n");
    assert_slot(f, A, 0, false);
}

static void test_usage(Fixture *f, gconstpointer data)
{
    store(f, A, good, good);
    assert_refused(f, "", 2, "--help");
    assert_refused(f, "get-nothing", 2, "'get-nothing'");
    assert_refused(f, "get-primary A", 2, "0 arguments");
    assert_refused(f, "set-primary", 2, "1 arguments");
    assert_refused(f, "set-primary C", 2, "'C'");
    assert_refused(f, "get-state a", 2, "'a'");
    assert_refused(f, "set-state A", 2, "2 arguments");
    assert_refused(f, "set-state A well", 2, "'well'");
    assert_refused(f, "set-state C bad", 2, "'C'");
    assert_slot(f, A, 3, true);
    g_assert_cmpint(run(f, "--help"), ==, 0);
    g_assert_nonnull(strstr(f->out, "set-state"));
    g_assert_cmpint(run(f, "--version"), ==, 0);
    g_assert_true(g_str_has_prefix(f->out, "slot-backend "));
}

static void test_no_folder(Fixture *f, gconstpointer data)
{
    g_subprocess_launcher_setenv(f->launcher, "SLOT_STATE_DIR", "/nonexistent", TRUE);
    assert_refused(f, "get-primary", 1, "/nonexistent");
    assert_refused(f, "set-state A good", 1, "/nonexistent");
}

static void add(const char *path, void (*test)(Fixture *, gconstpointer))
{
    g_test_add(path, Fixture, NULL, fixture_up, test, fixture_down);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("/slot-backend/get", test_get);
    add("/slot-backend/install", test_install);
    add("/slot-backend/last-good-marked-bad", test_last_good_marked_bad);
    add("/slot-backend/rebuilt", test_rebuilt);
    add("/slot-backend/usage", test_usage);
    add("/slot-backend/no-folder", test_no_folder);
    return g_test_run();
}
