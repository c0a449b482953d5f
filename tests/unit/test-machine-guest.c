/* SPDX-License-Identifier: MIT */

/* Commands, waits and copies, with a real agent that takes this host for its guest. */

#include "base/error.h"
#include "machine/machine-guest.h"
#include "machine/machine-private.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

typedef struct {
    SpAccel accel;
    SpImage image;
    SpMachine machine;
    char *folder; /* "guest" and "out" are in it */
    char *guest, *out;
} Fixture;

static void run_on_host(const char *command)
{
    const char *const argv[] = {"/bin/sh", "-c", command, NULL};
    g_autoptr(GError) error = NULL;
    int status;

    g_spawn_sync(
        NULL, (char **)argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, NULL, NULL, &status, &error);
    g_assert_no_error(error);
    g_assert_cmpint(status, ==, 0);
}

static void set_up(Fixture *f, gconstpointer data)
{
    const char *const argv[] = {SLOTPROOF_AGENT, "--fd", "3", NULL};
    g_autoptr(GError) error = NULL;
    int pair[2];

    f->folder = g_dir_make_tmp("machine-XXXXXX", NULL);
    f->guest = g_build_filename(f->folder, "guest", NULL);
    f->out = g_build_filename(f->folder, "out", NULL);
    g_assert_cmpint(g_mkdir(f->guest, 0777), ==, 0);
    g_assert_cmpint(g_mkdir(f->out, 0777), ==, 0);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
    f->accel.time_factor = 1;
    f->machine.config.name = "m";
    f->machine.config.out_dir = f->out;
    f->machine.config.accel = &f->accel;
    f->machine.config.image = &f->image;
    f->machine.console = sp_console_new(NULL, NULL, NULL, NULL);
    f->machine.qemu = sp_process_start(argv, &(SpProcessFd){.from = pair[1], .to = 3}, 1, &error);
    g_assert_no_error(error);
    close(pair[1]);
    f->machine.agent = sp_agent_new(pair[0]);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    g_autofree char *command = g_strdup_printf("chmod -R u+rwX %s; rm -r %s", f->folder, f->folder);

    sp_agent_free(f->machine.agent);
    sp_process_free(f->machine.qemu);
    sp_console_free(f->machine.console);
    run_on_host(command);
    g_free(f->folder);
    g_free(f->guest);
    g_free(f->out);
}

/* The error is this one, and tells all of @words. */
static void assert_error(GError *error, SpErrorCode code, const char *const *words)
{
    g_assert_error(error, SP_ERROR, (int)code);
    for (; *words; words++) {
        if (!strstr(error->message, *words))
            g_error("no '%s' in: %s", *words, error->message);
    }
    g_error_free(error);
}
#define ASSERT_ERROR(error, code, ...)                                                             \
    assert_error(g_steal_pointer(&(error)), code, (const char *const[]){__VA_ARGS__, NULL})

static char *run(Fixture *f, const char *command)
{
    g_auto(SpCommandResult) result = {0};
    g_autoptr(GError) error = NULL;

    g_assert_true(sp_machine_execute(&f->machine, command, -1, &result, &error));
    g_assert_no_error(error);
    return g_strdup_printf("%d %s%s", result.status, result.output->str, result.errors->str);
}

static void assert_run(Fixture *f, const char *command, const char *expected)
{
    g_autofree char *seen = run(f, command);

    g_assert_cmpstr(seen, ==, expected);
}

/* Up to what a frame takes; beyond that the message says what to do. */
static void test_long_commands(Fixture *f, gconstpointer data)
{
    static const gsize sizes[] = {98303, 98304, 98305, 131072, 196608, 250000};
    g_autofree char *too_long = g_strnfill(300000, 'x');
    g_autofree char *out = g_build_filename(f->guest, "detached", NULL);
    g_auto(SpCommandResult) result = {0};
    g_autoptr(GError) error = NULL;
    g_autoptr(GString) detached = g_string_new(": ");

    for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autoptr(GString) command = g_string_new("printf '%s' '");
        g_autofree char *expected = NULL;

        while (command->len + 2 < sizes[i])
            g_string_append(command, "\xc3\xbc"); /* which may be cut in two */
        g_string_append(command, "' | md5sum | cut -c 1-3; echo $# $0");
        g_test_message("%" G_GSIZE_FORMAT " bytes", command->len);
        {
            g_autofree char *text = g_strndup(command->str + 13, strcspn(command->str + 13, "'"));
            g_autofree char *sum = g_compute_checksum_for_string(G_CHECKSUM_MD5, text, -1);
            expected = g_strdup_printf("0 %.3s\n0 /bin/bash\n", sum);
        }
        assert_run(f, command->str, expected);
        g_string_append(command, "; false; echo not reached");
        g_free(expected);
        expected = run(f, command->str);
        g_assert_true(g_str_has_prefix(expected, "1 "));
        g_assert_null(strstr(expected, "not reached"));
    }
    while (detached->len < 200000)
        g_string_append_c(detached, 'x');
    g_string_append_printf(detached, "; echo done >%s", out);
    g_assert_true(sp_machine_execute_detached(&f->machine, detached->str, -1, &error));
    g_assert_no_error(error);
    g_assert_true(sp_machine_wait_for_file(&f->machine, out, 10000, &error));
    g_assert_false(sp_machine_execute(&f->machine, too_long, -1, &result, &error));
    ASSERT_ERROR(error, SP_ERROR_USAGE, "256 KiB", "copy it into the guest");
}

static void test_wait_messages(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *long_path = g_strnfill(200, 'n');

    g_assert_false(sp_machine_wait_for_port(&f->machine, "no.such.host", 22, true, 1000, &error));
    ASSERT_ERROR(error, SP_ERROR_GUEST, "machine 'm'", "port 22", "'no.such.host'", "/etc/hosts");
    g_assert_false(sp_machine_wait_for_port(&f->machine, "[::1]", 7006, true, 1000, &error));
    ASSERT_ERROR(error, SP_ERROR_GUEST, "'[::1]'", "without brackets");
    g_assert_false(sp_machine_wait_for_unix_socket(&f->machine, long_path, false, 1000, &error));
    ASSERT_ERROR(error, SP_ERROR_GUEST, "machine 'm'", "socket 'nnn", "107 bytes");
    g_assert_false(sp_machine_wait_for_file(&f->machine, "", 1000, &error));
    ASSERT_ERROR(error, SP_ERROR_USAGE, "empty");
    g_assert_false(sp_machine_wait_for_unix_socket(&f->machine, "", false, 1000, &error));
    ASSERT_ERROR(error, SP_ERROR_USAGE, "empty");
    g_assert_false(sp_machine_wait_for_file(&f->machine, "/no/such", 1, &error));
    ASSERT_ERROR(error, SP_ERROR_TIMEOUT, "machine 'm'", "file '/no/such' did not appear in time");
}

static bool copy_in(Fixture *f, const char *source, const char *target, GError **error)
{
    return sp_machine_copy_from_host(&f->machine, source, target, error);
}

static bool copy_out(Fixture *f, const char *source, GError **error)
{
    return sp_machine_copy_from_machine(&f->machine, source, "", error);
}

static void test_copy_messages(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *below_file = g_build_filename(f->guest, "file", "x", NULL);
    g_autofree char *file = g_build_filename(f->guest, "file", NULL);

    g_assert_true(g_file_set_contents(file, "x", -1, NULL));
    g_assert_false(copy_out(f, "/nope", &error));
    ASSERT_ERROR(error, SP_ERROR_GUEST, "machine 'm'", "'/nope'", "there is no such file");
    g_assert_false(copy_out(f, "/nope/at/all", &error));
    g_assert_null(strstr(error->message, "/bin/sh"));
    g_clear_error(&error);
    g_assert_false(copy_out(f, "/dev/null", &error));
    ASSERT_ERROR(error, SP_ERROR_GUEST, "machine 'm'", "/dev/null");
    g_assert_false(copy_in(f, file, below_file, &error));
    g_assert_null(strstr(error->message, "/bin/sh"));
    ASSERT_ERROR(error, SP_ERROR_GUEST, "machine 'm'", file, below_file);
    g_assert_false(copy_in(f, "/dev/zero", file, &error));
    ASSERT_ERROR(error, SP_ERROR_USAGE, "/dev/zero", "a device");
    g_assert_false(copy_in(f, "", file, &error));
    ASSERT_ERROR(error, SP_ERROR_USAGE, "empty");
    g_assert_false(copy_in(f, file, "", &error));
    ASSERT_ERROR(error, SP_ERROR_USAGE, "empty");
    g_assert_false(copy_out(f, "", &error));
    ASSERT_ERROR(error, SP_ERROR_USAGE, "empty");
}

static void assert_content(const char *dir, const char *name, const char *content)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);
    g_autofree char *seen = NULL;

    g_assert_true(g_file_get_contents(path, &seen, NULL, NULL));
    g_assert_cmpstr(seen, ==, content);
}

static int compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Only these names are in @dir. */
static void assert_names(const char *dir, const char *expected)
{
    g_autoptr(GDir) list = g_dir_open(dir, 0, NULL);
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_autofree char *text = NULL;
    const char *name;

    while ((name = g_dir_read_name(list)))
        g_ptr_array_add(names, (void *)name);
    g_ptr_array_sort(names, compare_names);
    g_ptr_array_add(names, NULL);
    text = g_strjoinv(" ", (char **)names->pdata);
    g_assert_cmpstr(text, ==, expected);
}

static void make_tree(const char *dir)
{
    g_autofree char *command = g_strdup_printf(
        "cd %s && mkdir -p od/a..b od/ro && echo 1 >od/a..b/... && echo 2 >od/v1..v2.diff &&"
        "echo 3 >od/ro/x && ln od/ro/x od/..linked && mkfifo od/fifo && ln -s ../.. od/up &&"
        "chmod 555 od/ro",
        dir);
    g_autofree char *path = g_build_filename(dir, "od", "socket", NULL);
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    run_on_host(command);
    g_strlcpy(name.sun_path, path, sizeof name.sun_path);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&name, sizeof name), ==, 0);
    close(fd);
}

/* Names with dots, hard links and a read-only directory are copied; sockets are passed over. */
static void test_tree_out(Fixture *f, gconstpointer data)
{
    g_autofree char *source = g_build_filename(f->guest, "od", NULL);
    g_autofree char *copy = g_build_filename(f->out, "od", NULL);
    g_autoptr(GError) error = NULL;

    make_tree(f->guest);
    for (guint i = 0; i < 2; i++) {
        copy_out(f, source, &error);
        g_assert_no_error(error);
        assert_names(f->out, "od");
        assert_names(copy, "..linked a..b ro up v1..v2.diff");
        assert_content(copy, "a..b/...", "1\n");
        assert_content(copy, "v1..v2.diff", "2\n");
        assert_content(copy, "..linked", "3\n");
    }
}

static void test_tree_in(Fixture *f, gconstpointer data)
{
    g_autofree char *source = g_build_filename(f->out, "od", NULL);
    g_autofree char *copy = g_build_filename(f->guest, "new", NULL);
    g_autoptr(GError) error = NULL;

    if (access("/run", W_OK) < 0) {
        g_test_skip("the archive goes to /run");
        return;
    }
    make_tree(f->out);
    copy_in(f, source, copy, &error);
    g_assert_no_error(error);
    assert_names(f->guest, "new");
    assert_names(copy, "..linked a..b fifo ro up v1..v2.diff");
    assert_content(copy, "..linked", "3\n");
}

/* A copy that fails leaves nothing, and what had that name before stays. */
static void test_failed(Fixture *f, gconstpointer data)
{
    g_autofree char *source = g_build_filename(f->guest, "od", NULL);
    g_autofree char *file = g_build_filename(f->guest, "file", NULL);
    g_autofree char *former = g_build_filename(f->out, "file", NULL);
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(g_mkdir(source, 0777), ==, 0);
    g_assert_cmpint(mkfifo(file, 0666), ==, 0);
    g_assert_true(g_file_set_contents(former, "former", -1, NULL));
    g_assert_false(copy_out(f, file, &error));
    ASSERT_ERROR(error, SP_ERROR_GUEST, "file");
    assert_content(f->out, "file", "former");
    assert_names(f->out, "file");
    if (access("/run", W_OK) < 0)
        return;
    /* where no directory can be made */
    g_assert_false(copy_in(f, source, "/proc/self/od", &error));
    g_assert_null(strstr(error->message, "/bin/sh"));
    ASSERT_ERROR(error, SP_ERROR_GUEST, "machine 'm'", "/proc/self/od");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(Fixture *f, gconstpointer data);
    } tests[] = {
        {"/machine-guest/long-commands", test_long_commands},
        {"/machine-guest/wait-messages", test_wait_messages},
        {"/machine-guest/copy-messages", test_copy_messages},
        {"/machine-guest/tree-out", test_tree_out},
        {"/machine-guest/tree-in", test_tree_in},
        {"/machine-guest/failed", test_failed},
    };

    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, Fixture, NULL, set_up, tests[i].func, tear_down);
    return g_test_run();
}
