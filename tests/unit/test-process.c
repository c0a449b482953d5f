/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static SpProcess *start(const char *script)
{
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    g_autoptr(GError) error = NULL;
    SpProcess *process = sp_process_start(argv, NULL, 0, &error);

    g_assert_no_error(error);
    return process;
}

static void wait_for(SpProcess *process)
{
    g_assert_true(sp_process_wait(process, sp_deadline(20000), NULL, NULL));
}

static void test_ends(void)
{
    g_autoptr(SpProcess) exits = start("echo out; echo err >&2; exit 3");
    g_autoptr(SpProcess) dies = start("kill -TERM $$");
    g_autofree char *output = NULL;
    g_autofree char *end = NULL;
    g_autofree char *death = NULL;

    wait_for(exits);
    wait_for(dies);
    output = sp_process_output(exits);
    end = sp_process_describe_end(exits);
    death = sp_process_describe_end(dies);
    g_assert_cmpstr(output, ==, "out\nerr\n");
    g_assert_cmpstr(end, ==, "ended with status 3");
    g_assert_nonnull(strstr(death, "signal 15"));
}

/* As of an ordinary user, in whose PATH it is not. */
static void test_sbin(void)
{
    const char *const argv[] = {"chroot", "--version", NULL};
    g_autofree char *path = g_strdup(g_getenv("PATH"));

    g_setenv("PATH", "/usr/bin:/bin", TRUE);
    g_assert_true(sp_process_run(argv, NULL, 0, 20000, NULL));
    g_setenv("PATH", path, TRUE);
}

static void on_line(const char *line, void *data)
{
    g_string_append_printf(data, "<%s>", line);
}

static void test_output(void)
{
    g_autoptr(SpProcess) process = start("head -c 200000 /dev/zero | tr '\\0' x; echo; printf end");
    g_autoptr(GString) lines = g_string_new(NULL);
    g_autofree char *output = NULL;

    sp_process_set_line_func(process, on_line, lines);
    wait_for(process);
    output = sp_process_output(process);
    g_assert_cmpuint(strlen(output), <=, SP_PROCESS_OUTPUT_MAX);
    g_assert_true(strstr(output, "x\nend") != NULL);
    g_assert_true(g_str_has_suffix(lines->str, "x><end>"));
}

static void count_bytes(const char *line, void *data)
{
    *(gsize *)data += strlen(line);
}

/* A line too long for the buffer comes in pieces that have every byte of it. */
static void test_long_line(void)
{
    g_autoptr(SpProcess) process = start("head -c 200000 /dev/zero | tr '\\0' x");
    gsize bytes = 0;

    sp_process_set_line_func(process, count_bytes, &bytes);
    wait_for(process);
    g_assert_cmpuint(bytes, ==, 200000);
}

typedef struct {
    SpProcess *process;
    int output;
    guint late; /* lines that were read after its end */
} Talk;

static void say_more(const char *line, void *data)
{
    Talk *talk = data;

    if (sp_process_has_ended(talk->process) && ++talk->late > 1000)
        return;
    g_assert_cmpint(write(talk->output, "more\n", 5), ==, 5);
}

/* One whose output somebody else goes on writing to has ended all the same. */
static void test_endless_output(void)
{
    g_autoptr(SpProcess) process = start("echo begin; exec sleep 1000");
    g_autofree char *path = g_strdup_printf("/proc/%d/fd/1", (int)sp_process_pid(process));
    Talk talk = {process, open(path, O_WRONLY | O_CLOEXEC), 0};

    g_assert_cmpint(talk.output, >=, 0);
    sp_process_set_line_func(process, say_more, &talk);
    sp_process_signal(process, SIGKILL);
    g_assert_cmpint(write(talk.output, "first\n", 6), ==, 6);
    wait_for(process);
    g_assert_cmpuint(talk.late, <, 1000);
    close(talk.output);
}

/* Started by something that ignores SIGCHLD, a failure must not pass for success. */
static void test_ignored_sigchld(void)
{
    signal(SIGCHLD, SIG_IGN);
    g_autoptr(SpProcess) process = start("exit 3");

    wait_for(process);
    g_assert_cmpint(WEXITSTATUS(sp_process_wait_status(process)), ==, 3);
    signal(SIGCHLD, SIG_DFL);
}

/* Descriptors arrive under the numbers asked for, swapped ones too, and no other does. */
static void test_descriptors(void)
{
    const char *const argv[] = {
        "/bin/sh", "-c", "cat <&3; cat <&4; cd /proc/self/fd; echo *", NULL};
    int a[2], b[2], low = open("/dev/null", O_RDONLY), lower = open("/dev/null", O_RDONLY);
    g_autoptr(SpProcess) process = NULL;
    g_autofree char *output = NULL;

    g_assert_cmpint(pipe(a), ==, 0);
    g_assert_cmpint(pipe(b), ==, 0);
    g_assert_cmpint(write(a[1], "A", 1), ==, 1);
    g_assert_cmpint(write(b[1], "B", 1), ==, 1);
    close(a[1]);
    close(b[1]);
    g_assert_cmpint(dup2(a[0], 4), ==, 4);
    g_assert_cmpint(dup2(b[0], 3), ==, 3);
    const SpProcessFd fds[] = {{4, 3}, {3, 4}};
    process = sp_process_start(argv, fds, 2, NULL);
    g_assert_nonnull(process);
    wait_for(process);
    output = sp_process_output(process);
    /* the last is the shell's own, of the directory it looks at */
    g_assert_cmpstr(output, ==, "AB0 1 2 3 4 5\n");
    close(low);
    close(lower);
}

static void test_failures(void)
{
    const char *const missing[] = {"/nowhere/at-all", NULL};
    const char *const fails[] = {"/bin/sh", "-c", "echo because >&2; exit 1", NULL};
    g_autoptr(GError) error = NULL;
    g_autoptr(SpProcess) sleeper = start("exec sleep 1000");
    pid_t pid = sp_process_pid(sleeper);

    g_assert_null(sp_process_start(missing, NULL, 0, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
    g_assert_nonnull(strstr(error->message, "/nowhere/at-all"));
    g_clear_error(&error);
    g_assert_false(sp_process_run(fails, NULL, 0, 20000, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_HOST);
    g_assert_nonnull(strstr(error->message, "ended with status 1: because"));
    g_clear_error(&error);
    g_assert_false(sp_process_wait(sleeper, sp_deadline(1), NULL, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_TIMEOUT);
    g_clear_pointer(&sleeper, sp_process_free);
    g_assert_cmpint(kill(pid, 0), ==, -1);
}

/* A child with one of its own, and @told, from which EOF comes when both are gone. */
static SpProcess *start_with_child(const char *script, int *told)
{
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    int fds[2];
    SpProcessFd held;
    SpProcess *process;

    g_assert_cmpint(pipe2(fds, O_CLOEXEC), ==, 0);
    held = (SpProcessFd){fds[1], 3};
    process = sp_process_start(argv, &held, 1, NULL);
    g_assert_nonnull(process);
    close(fds[1]);
    *told = fds[0];
    return process;
}

static void assert_gone(int told)
{
    struct pollfd event = {told, POLLIN, 0};

    g_assert_cmpint(poll(&event, 1, 10000), ==, 1);
    g_assert_true(event.revents & POLLHUP);
    close(told);
}

/* What a child has started goes with it, however it ends. */
static void test_grandchildren(void)
{
    int told[3];
    g_autoptr(SpProcess) ends = start_with_child("sleep 60 & exit 3", &told[0]);
    g_autoptr(SpProcess) dies = start_with_child("sleep 60 & kill -KILL $$", &told[1]);
    SpProcess *freed = start_with_child("sleep 60; :", &told[2]);

    wait_for(ends);
    g_assert_cmpint(WEXITSTATUS(sp_process_wait_status(ends)), ==, 3);
    assert_gone(told[0]);
    wait_for(dies);
    assert_gone(told[1]);
    sp_process_free(freed);
    assert_gone(told[2]);
}

/* One that does not end in time is killed, and that is said. */
static void test_run_time_out(void)
{
    const char *const argv[] = {"/bin/sh", "-c", "sleep 60; :", NULL};
    const char *const quick[] = {"/bin/sh", "-c", "sleep 0.01", NULL};
    g_autoptr(GError) error = NULL;
    int fds[2];
    SpProcessFd held;

    g_assert_cmpint(pipe2(fds, O_CLOEXEC), ==, 0);
    held = (SpProcessFd){fds[1], 3};
    g_assert_false(sp_process_run(argv, &held, 1, 100, &error));
    close(fds[1]);
    g_assert_error(error, SP_ERROR, SP_ERROR_TIMEOUT);
    g_assert_cmpstr(error->message, ==, "'/bin/sh' did not end: timed out");
    assert_gone(fds[0]);
    g_clear_error(&error);
    g_assert_true(sp_process_run(quick, NULL, 0, 20000, &error));
    g_assert_no_error(error);
}

/* A child goes when the process that started it is killed, which then can clean up nothing. */
static void test_orphans(void)
{
    int told[2];
    pid_t starter, child = 0;

    prctl(PR_SET_CHILD_SUBREAPER, 1);
    g_assert_cmpint(pipe(told), ==, 0);
    starter = fork();
    if (starter == 0) {
        SpProcess *process = start("exec sleep 1000");
        pid_t pid = sp_process_pid(process);
        if (write(told[1], &pid, sizeof pid) != sizeof pid)
            _exit(1);
        for (;;)
            pause();
    }
    g_assert_cmpint(read(told[0], &child, sizeof child), ==, sizeof child);
    kill(starter, SIGKILL);
    g_assert_cmpint(waitpid(starter, NULL, 0), ==, starter);
    int status;
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/process/ends", test_ends);
    g_test_add_func("/process/sbin", test_sbin);
    g_test_add_func("/process/output", test_output);
    g_test_add_func("/process/long-line", test_long_line);
    g_test_add_func("/process/endless-output", test_endless_output);
    g_test_add_func("/process/ignored-sigchld", test_ignored_sigchld);
    g_test_add_func("/process/descriptors", test_descriptors);
    g_test_add_func("/process/failures", test_failures);
    g_test_add_func("/process/grandchildren", test_grandchildren);
    g_test_add_func("/process/run-time-out", test_run_time_out);
    g_test_add_func("/process/orphans", test_orphans);
    return g_test_run();
}
