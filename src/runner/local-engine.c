/* SPDX-License-Identifier: MIT */

/* Workers as processes on this host. With a prompt, one runs in the foreground, on our terminal. */

#include "base/error.h"
#include "runner/engine.h"
#include "worker/message.h"
#include "worker/process.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
    SpJob *job;
    SpWorkerProcess *process; /* NULL: it ran in the foreground, and has ended */
    int attached_status;      /* then: as of waitpid(2) */
} LocalWorker;

static void forward_bytes(const char *bytes, gsize length, void *data)
{
    sp_job_take_bytes(data, bytes, length);
}

static void forward_line(const char *line, void *data)
{
    sp_job_take_line(data, line);
}

/* Wait for a process that has our terminal, and gets its signals. */
static bool wait_attached(pid_t pid, int *ret_status)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction former_int, former_quit;
    pid_t ended;

    sigaction(SIGINT, &ignore, &former_int);
    sigaction(SIGQUIT, &ignore, &former_quit);
    do
        ended = waitpid(pid, ret_status, 0);
    while (ended < 0 && errno == EINTR);
    sigaction(SIGINT, &former_int, NULL);
    sigaction(SIGQUIT, &former_quit, NULL);
    return ended == pid;
}

/* Starts @argv with our stdin and stdout, and its messages to @message_fd. Returns an errno. */
static int spawn_attached(char **argv, int message_fd, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t all;
    int r;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, message_fd, SP_MESSAGE_FD);
    posix_spawnattr_init(&attributes);
    sigfillset(&all);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    r = posix_spawn(ret_pid, argv[0], &actions, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return r;
}

static void pass_file(SpJob *job, int fd)
{
    char buffer[16384];
    ssize_t n;

    for (off_t at = 0; (n = pread(fd, buffer, sizeof buffer, at)) > 0; at += n)
        sp_job_take_bytes(job, buffer, (gsize)n);
}

/* Run a worker to its end; its messages are read afterwards. */
static bool run_attached(LocalWorker *local, const SpWorkerOptions *options, GError **error)
{
    g_auto(GStrv) argv = sp_worker_command(options);
    int message_fd = memfd_create("slotproof-messages", MFD_CLOEXEC);
    int number = message_fd < 0 ? errno : 0;
    pid_t pid;

    if (number == 0)
        number = spawn_attached(argv, message_fd, &pid);
    if (number == 0 && !wait_attached(pid, &local->attached_status))
        number = errno;
    if (number == 0)
        pass_file(local->job, message_fd);
    else
        g_set_error(error, SP_ERROR, SP_ERROR_HOST, "the test's process can't be run: %s",
            g_strerror(number));
    if (message_fd >= 0)
        close(message_fd);
    return number == 0;
}

static void *local_start(const SpWorkerOptions *options, SpJob *job, GError **error)
{
    const SpWorkerProcessConfig config = {
        .options = *options, .message_func = forward_bytes, .line_func = forward_line, .data = job};
    g_autofree LocalWorker *local = g_new0(LocalWorker, 1);

    local->job = job;
    if (options->prompts_on_failure)
        return run_attached(local, options, error) ? g_steal_pointer(&local) : NULL;
    local->process = sp_worker_process_start(&config, error);
    return local->process ? g_steal_pointer(&local) : NULL;
}

static bool local_has_ended(void *worker)
{
    const LocalWorker *local = worker;

    return !local->process || sp_worker_process_has_ended(local->process);
}

static void local_signal(void *worker, int signal_number)
{
    const LocalWorker *local = worker;

    if (local->process)
        sp_worker_process_signal(local->process, signal_number);
}

static char *describe_status(int status)
{
    return WIFSIGNALED(status) ? g_strdup_printf("was killed by signal %d", WTERMSIG(status))
                               : g_strdup_printf("ended with status %d", WEXITSTATUS(status));
}

static void local_finish(void *worker, SpWorkerEnd *ret_end)
{
    g_autofree LocalWorker *local = worker;

    if (local->process)
        sp_worker_process_finish(local->process, ret_end);
    else
        *ret_end = (SpWorkerEnd){
            .is_good = local->attached_status == 0,
            .how = describe_status(local->attached_status),
            .output = g_strdup(""),
        };
}

const SpEngine sp_local_engine = {
    .name = "local",
    .start = local_start,
    .has_ended = local_has_ended,
    .signal = local_signal,
    .finish = local_finish,
};
