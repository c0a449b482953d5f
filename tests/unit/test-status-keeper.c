/* SPDX-License-Identifier: MIT */

/* Runs the built status-keeper, STATUS_KEEPER: what it says of what it did. */

#include "status-folder.h"

#include <gio/gio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Returns the exit status. @out and @err are all that it must say. */
static int run(const char *folder, const char *out, const char *err)
{
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE);
    g_autofree char *said = NULL, *complained = NULL;
    g_autoptr(GSubprocess) process = NULL;
    g_autoptr(GError) error = NULL;

    g_subprocess_launcher_setenv(launcher, "SLOTPROOF_STATUS_DIR", folder, TRUE);
    process = g_subprocess_launcher_spawn(launcher, &error, STATUS_KEEPER, NULL);
    g_assert_no_error(error);
    g_subprocess_communicate_utf8(process, NULL, NULL, &said, &complained, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(said, ==, out);
    g_assert_cmpstr(complained, ==, err);
    g_assert_true(g_subprocess_get_if_exited(process));
    return g_subprocess_get_exit_status(process);
}

static void assert_kept(const StatusFolder *f, const char *out)
{
    g_assert_cmpint(run(f->path, out, ""), ==, 0);
}

#define RECOVERED ": recovered from its copy\n"
#define BEGUN " and there is no copy: started a new one\n"

static void test_kept(StatusFolder *f, gconstpointer data)
{
    assert_kept(f, ""); /* a new device */
    status_assert_files(f, STATUS_BEGINNING, NULL);
    assert_kept(f, "");
    status_assert_files(f, STATUS_BEGINNING, STATUS_BEGINNING);
    status_put(f, status_text, strlen(status_text));
    assert_kept(f, "");
    status_assert_files(f, status_text, status_text);
}

static void test_recovered(StatusFolder *f, gconstpointer data)
{
    status_put_copy(f, status_text);
    assert_kept(f, "RAUC's central status file was missing" RECOVERED);
    status_assert_files(f, status_text, status_text);
    status_put(f, "", 0);
    assert_kept(f, "RAUC's central status file was empty" RECOVERED);
    status_assert_files(f, status_text, status_text);
    status_put(f, status_text, 100);
    assert_kept(f, "RAUC's central status file was torn" RECOVERED);
    status_assert_files(f, status_text, status_text);
}

static void test_begun(StatusFolder *f, gconstpointer data)
{
    status_put(f, "", 0);
    assert_kept(f, "RAUC's central status file was empty" BEGUN);
    status_assert_files(f, STATUS_BEGINNING, NULL);
    status_put(f, status_text, 100);
    assert_kept(f, "RAUC's central status file was torn" BEGUN);
    status_assert_files(f, STATUS_BEGINNING, NULL);
}

static void test_fails(StatusFolder *f, gconstpointer data)
{
    g_autofree char *why = g_strdup_printf(
        "status-keeper: RAUC's status file in %s can't be kept: Is a directory\n", f->path);

    g_assert_cmpint(run("/nonexistent", "",
                        "status-keeper: RAUC's status file in /nonexistent can't be kept: "
                        "No such file or directory\n"),
        ==, 1);
    g_assert_cmpint(mkdirat(f->fd, CENTRAL_STATUS_FILE, 0700), ==, 0);
    g_assert_cmpint(run(f->path, "", why), ==, 1);
    /* as a handler, after an installation that is over */
    g_setenv("RAUC_BUNDLE_MOUNT_POINT", "/run/rauc/bundle", TRUE);
    g_assert_cmpint(run(f->path, "", why), ==, 0);
    g_unsetenv("RAUC_BUNDLE_MOUNT_POINT");
}

static void add(const char *path, void (*test)(StatusFolder *, gconstpointer))
{
    g_test_add(path, StatusFolder, NULL, status_up, test, status_down);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("/status-keeper/kept", test_kept);
    add("/status-keeper/recovered", test_recovered);
    add("/status-keeper/begun", test_begun);
    add("/status-keeper/fails", test_fails);
    return g_test_run();
}
