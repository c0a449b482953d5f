/* SPDX-License-Identifier: MIT */
#include "base/process.h"

#include "base/error.h"
#include "base/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Above every descriptor number that a child is given. */
#define HIGH_FD 64
#define MAX_FDS 16
/* Open files that a test with a few machines needs. */
#define FILES_NEEDED 256u
/* Reads of a whole buffer each: together more than a pipe holds. */
#define LAST_READS 64u

struct SpProcess {
    pid_t pid;
    int pidfd;
    int output_fd;
    GSource *exit_source;
    GSource *output_source;
    GString *output;
    GString *line;
    bool has_ended;
    int wait_status;
    SpProcessLineFunc line_func;
    void *line_data;
};

/* File system tools are in /usr/sbin, which an ordinary user's PATH lacks. Runs after fork(), like
 * the functions below. */
static void exec_from_sbin(char *const *argv)
{
    static const char dir[] = "/usr/sbin/";
    char path[sizeof dir + NAME_MAX];

    if (strchr(argv[0], '/') || strlen(argv[0]) > NAME_MAX)
        return;
    memcpy(stpcpy(path, dir), argv[0], strlen(argv[0]) + 1);
    execv(path, argv);
}

/* Only async-signal-safe calls. Does not return. */
static void child(char **argv, const SpProcessFd *fds, gsize n_fds, int output, int report,
    pid_t parent) G_GNUC_NORETURN;
static void child(
    char **argv, const SpProcessFd *fds, gsize n_fds, int output, int report, pid_t parent)
{
    int moved[MAX_FDS];
    sigset_t none;
    int moved_report, null, saved;

    setsid();
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
        goto fail;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int i = 1; i < NSIG; i++)
        signal(i, SIG_DFL);
    if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
        goto fail;
    /* move all out of the way first: one's source may be another's target */
    output = fcntl(output, F_DUPFD_CLOEXEC, HIGH_FD);
    moved_report = fcntl(report, F_DUPFD_CLOEXEC, HIGH_FD);
    if (output < 0 || moved_report < 0)
        goto fail;
    report = moved_report;
    for (gsize i = 0; i < n_fds; i++) {
        moved[i] = fcntl(fds[i].from, F_DUPFD_CLOEXEC, HIGH_FD);
        if (moved[i] < 0)
            goto fail;
    }
    null = open("/dev/null", O_RDONLY);
    if (null < 0 || dup2(null, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0)
        goto fail;
    if (null > 2)
        close(null);
    for (gsize i = 0; i < n_fds; i++) {
        if (dup2(moved[i], fds[i].to) < 0)
            goto fail;
    }
    execvp(argv[0], argv);
    if (errno == ENOENT)
        exec_from_sbin(argv);
fail:
    saved = errno;
    (void)!write(report, &saved, sizeof saved);
    _exit(127);
}

static void pass_line(SpProcess *process)
{
    g_autofree char *text = g_utf8_make_valid(process->line->str, (gssize)process->line->len);

    g_string_truncate(process->line, 0);
    if (process->line_func)
        process->line_func(text, process->line_data);
}

static void take_output(SpProcess *process, const char *data, gsize length)
{
    g_string_append_len(process->output, data, (gssize)length);
    if (process->output->len > SP_PROCESS_OUTPUT_MAX)
        g_string_erase(process->output, 0, (gssize)(process->output->len - SP_PROCESS_OUTPUT_MAX));
    if (!process->line_func)
        return;
    for (gsize i = 0; i < length; i++) {
        if (data[i] == '\n' || process->line->len >= SP_PROCESS_OUTPUT_MAX)
            pass_line(process);
        if (data[i] != '\n')
            g_string_append_c(process->line, data[i]);
    }
}

static void stop_source(GSource **source)
{
    if (!*source)
        return;
    g_source_destroy(*source);
    g_clear_pointer(source, g_source_unref);
}

/* Read what is available. Returns false at end of file. */
static bool read_output(SpProcess *process)
{
    char buffer[16384];
    ssize_t n;

    errno = 0;
    n = read(process->output_fd, buffer, sizeof buffer);

    if (n > 0) {
        take_output(process, buffer, (gsize)n);
        return true;
    }
    return n < 0 && errno == EINTR;
}

static gboolean on_child_output(int fd, GIOCondition condition, void *data)
{
    SpProcess *process = data;

    if (read_output(process) || errno == EAGAIN)
        return G_SOURCE_CONTINUE;
    stop_source(&process->output_source);
    return G_SOURCE_REMOVE;
}

/* Until the child is reaped, no other process or group can get its number. */
static void kill_group_at_end(SpProcess *process)
{
    siginfo_t info;

    while (waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
        ;
    kill(-process->pid, SIGKILL);
}

static void reap_child(SpProcess *process)
{
    if (process->has_ended)
        return;
    kill_group_at_end(process);
    while (waitpid(process->pid, &process->wait_status, 0) < 0 && errno == EINTR)
        ;
    process->has_ended = true;
    stop_source(&process->exit_source);
    /* What it wrote fits in the pipe. A process that left its group may still be writing: don't
     * wait for it. */
    for (guint i = 0; i < LAST_READS && read_output(process); i++)
        ;
    stop_source(&process->output_source);
    if (process->line->len > 0)
        pass_line(process);
}

static gboolean on_child_exit(int fd, GIOCondition condition, void *data)
{
    reap_child(data);
    return G_SOURCE_REMOVE;
}

static GSource *watch_child(int fd, GUnixFDSourceFunc func, void *data)
{
    GSource *source = g_unix_fd_source_new(fd, G_IO_IN | G_IO_HUP);

    g_source_set_callback(source, G_SOURCE_FUNC(func), data, NULL);
    g_source_attach(source, NULL);
    return source;
}

typedef struct {
    char **argv;
    const SpProcessFd *fds;
    gsize n_fds;
    int output;
    int report;
    pid_t pid;  /* of the child; negative if fork() failed */
    int number; /* errno in that case */
} Fork;

/* A child dies with the thread that forked it, so this must not run in a script's thread. */
static void fork_child(void *data)
{
    Fork *job = data;
    pid_t parent = getpid();

    job->pid = fork();
    if (job->pid == 0)
        child(job->argv, job->fds, job->n_fds, job->output, job->report, parent);
    job->number = job->pid < 0 ? errno : 0;
}

/* Returns 0 once exec() has succeeded, otherwise its errno. */
static int read_exec_error(int fd)
{
    int number = 0;
    ssize_t n;

    do
        n = read(fd, &number, sizeof number);
    while (n < 0 && errno == EINTR);
    return n == sizeof number ? number : 0;
}

/* Our parent may have left SIGCHLD ignored: then the kernel drops a child's status, and waitpid()
 * does not find the child. */
static void keep_ended_children(void)
{
    struct sigaction now;

    if (sigaction(SIGCHLD, NULL, &now) == 0 && now.sa_handler == SIG_IGN)
        signal(SIGCHLD, SIG_DFL);
}

/* The child moves its descriptors above HIGH_FD: beyond the limit that fails with just EINVAL. */
static bool check_limit(const char *program, GError **error)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= HIGH_FD + 2 * MAX_FDS)
        return true;
    g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
        "'%s' can't be started: this process may have %llu files open, at least %u are needed: see "
        "'ulimit -n'",
        program, (unsigned long long)limit.rlim_cur, FILES_NEEDED);
    return false;
}

SpProcess *sp_process_start(
    const char *const *argv, const SpProcessFd *fds, gsize n_fds, GError **error)
{
    g_autoptr(SpProcess) process = g_new0(SpProcess, 1);
    g_auto(GStrv) copy = g_strdupv((char **)argv);
    int output[2] = {-1, -1}, report[2] = {-1, -1};
    Fork job = {.argv = copy, .fds = fds, .n_fds = n_fds};
    int number;

    g_return_val_if_fail(n_fds <= MAX_FDS, NULL);
    process->pidfd = process->output_fd = -1;
    process->output = g_string_new(NULL);
    process->line = g_string_new(NULL);
    process->has_ended = true;
    if (!check_limit(argv[0], error) || !g_unix_open_pipe(output, FD_CLOEXEC, error))
        return NULL;
    process->output_fd = output[0];
    if (!g_unix_open_pipe(report, FD_CLOEXEC, error)) {
        close(output[1]);
        return NULL;
    }
    g_unix_set_fd_nonblocking(process->output_fd, TRUE, NULL);
    keep_ended_children();
    job.output = output[1];
    job.report = report[1];
    sp_loop_call(fork_child, &job);
    process->pid = job.pid;
    number = job.number;
    close(output[1]);
    close(report[1]);
    if (process->pid > 0) {
        process->has_ended = false;
        number = read_exec_error(report[0]);
    }
    close(report[0]);
    if (number != 0) {
        g_set_error(error, SP_ERROR, number == ENOENT ? SP_ERROR_USAGE : SP_ERROR_HOST,
            "'%s' can't be started: %s", argv[0], g_strerror(number));
        return NULL;
    }
    process->pidfd = pidfd_open(process->pid, 0);
    if (process->pidfd < 0) {
        g_set_error(error, SP_ERROR, SP_ERROR_HOST, "'%s' can't be watched: %s", argv[0],
            g_strerror(errno));
        return NULL;
    }
    fcntl(process->pidfd, F_SETFD, FD_CLOEXEC);
    process->exit_source = watch_child(process->pidfd, on_child_exit, process);
    process->output_source = watch_child(process->output_fd, on_child_output, process);
    return g_steal_pointer(&process);
}

void sp_process_free(SpProcess *process)
{
    if (!process)
        return;
    process->line_func = NULL;
    sp_process_signal(process, SIGKILL);
    reap_child(process);
    stop_source(&process->exit_source);
    stop_source(&process->output_source);
    if (process->pidfd >= 0)
        close(process->pidfd);
    if (process->output_fd >= 0)
        close(process->output_fd);
    g_string_free(process->output, TRUE);
    g_string_free(process->line, TRUE);
    g_free(process);
}

void sp_process_set_line_func(SpProcess *process, SpProcessLineFunc func, void *data)
{
    process->line_func = func;
    process->line_data = data;
}

pid_t sp_process_pid(SpProcess *process)
{
    return process->pid;
}

bool sp_process_has_ended(SpProcess *process)
{
    return process->has_ended;
}

int sp_process_wait_status(SpProcess *process)
{
    return process->wait_status;
}

char *sp_process_describe_end(SpProcess *process)
{
    int status = process->wait_status;

    if (WIFSIGNALED(status))
        return g_strdup_printf(
            "was killed by signal %d (%s)", WTERMSIG(status), g_strsignal(WTERMSIG(status)));
    return g_strdup_printf("ended with status %d", WEXITSTATUS(status));
}

char *sp_process_output(SpProcess *process)
{
    return g_utf8_make_valid(process->output->str, (gssize)process->output->len);
}

void sp_process_signal(SpProcess *process, int signal_number)
{
    if (!process->has_ended)
        kill(process->pid, signal_number);
}

static bool child_has_ended(void *data, GError **error)
{
    return ((SpProcess *)data)->has_ended;
}

bool sp_process_wait(
    SpProcess *process, gint64 deadline, const SpInterrupt *interrupt, GError **error)
{
    return sp_wait(child_has_ended, process, deadline, interrupt, error);
}

bool sp_process_run(
    const char *const *argv, const SpProcessFd *fds, gsize n_fds, gint64 timeout_ms, GError **error)
{
    g_autoptr(SpProcess) process = sp_process_start(argv, fds, n_fds, error);
    g_autofree char *end = NULL;
    g_autofree char *output = NULL;

    if (!process)
        return false;
    if (!sp_process_wait(process, sp_deadline(timeout_ms), NULL, error)) {
        g_prefix_error(error, "'%s' did not end: ", argv[0]);
        return false;
    }
    if (process->wait_status == 0)
        return true;
    end = sp_process_describe_end(process);
    output = sp_process_output(process);
    g_set_error(error, SP_ERROR, SP_ERROR_HOST, "'%s' %s: %s", argv[0], end, g_strstrip(output));
    return false;
}
