/* SPDX-License-Identifier: MIT */
#include "worker/program-output.h"

#include "base/error.h"
#include "worker/program-pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* At a time, so that a flood of short lines does not keep others from logging. */
#define LINES_MAX 1000u
/* The beginning of a line is logged if after this many looks there is no more of it. */
#define LOOKS_MAX 10u
#define LOOK_MS 25

struct SpProgramOutput {
    int read_fd;
    int copy_fds[2]; /* a pipe for looking at what is in the other before taking it out */
    int stdout_fd;   /* the former stdout, and stderr */
    int stderr_fd;
    int end_fd;   /* tells the thread to end */
    pid_t pid;    /* of the worker, not of a child that it forked */
    GMutex lock;  /* of the reading */
    gint waiting; /* gatherers, which go before the thread: it would leave them no gap */
    GCond has_gathered;
    SpLog *log;
    GThread *thread; /* NULL before the start */
};

static void close_if_open(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void log_program_line(const char *line, void *data)
{
    sp_log_program(data, line);
}

/* Copy what is in the pipe, and leave it there; false if the kernel can't do that. */
static bool peek_pipe(SpProgramOutput *output, char *buffer, gsize *ret_length)
{
    ssize_t n = tee(output->read_fd, output->copy_fds[1], SP_PROGRAM_PIPE_SIZE, SPLICE_F_NONBLOCK);
    gsize done = 0;

    if (n < 0 && errno != EAGAIN && errno != EINTR)
        return false;
    while (n > 0 && done < (gsize)n) {
        gsize more = sp_program_pipe_read(output->copy_fds[0], buffer + done, (gsize)n - done);
        if (more == 0)
            break;
        done += more;
    }
    *ret_length = done;
    return true;
}

/* Log the whole lines in the pipe, with @is_end also the rest. Called with the lock held. They are
 * taken out of the pipe after they are logged: if we are killed meanwhile, the process that started
 * us finds them. Returns the length of an unfinished line in the pipe. */
static gsize log_lines(SpProgramOutput *output, bool is_end, guint max)
{
    g_autofree char *buffer = g_malloc(SP_PROGRAM_PIPE_SIZE);
    gsize length, done, part;

    if (!peek_pipe(output, buffer, &length)) {
        length = sp_program_pipe_read(output->read_fd, buffer, SP_PROGRAM_PIPE_SIZE);
        sp_program_lines_split(buffer, length, true, G_MAXUINT, log_program_line, output->log);
        return 0;
    }
    done = sp_program_lines_split(buffer, length, is_end, max, log_program_line, output->log);
    part = length - done;
    if (part >= SP_PROGRAM_LINE_MAX || memchr(buffer + done, '\n', part))
        part = 0;
    for (gsize taken = 0; taken < done;) {
        gsize n = sp_program_pipe_read(output->read_fd, buffer, done - taken);
        if (n == 0)
            break;
        taken += n;
    }
    return part;
}

static void *read_pipe(void *data)
{
    SpProgramOutput *output = data;
    struct pollfd fds[] = {{output->end_fd, POLLIN, 0}, {output->read_fd, POLLIN, 0}};
    gsize part = 0, former = 0;
    guint looks = 0;

    for (;;) {
        /* an unfinished line keeps the pipe readable: more of it is not an event */
        int n = part > 0 ? poll(fds, 1, LOOK_MS) : poll(fds, 2, -1);

        if ((n < 0 && errno != EINTR) || (n > 0 && fds[0].revents != 0))
            return NULL;
        if (fds[1].revents & (POLLHUP | POLLERR) && !(fds[1].revents & POLLIN))
            fds[1].fd = -1; /* no writer is left: only wait for the end */
        g_mutex_lock(&output->lock);
        while (g_atomic_int_get(&output->waiting) > 0)
            g_cond_wait(&output->has_gathered, &output->lock);
        part = log_lines(output, looks >= LOOKS_MAX, LINES_MAX);
        g_mutex_unlock(&output->lock);
        looks = part > 0 && part == former ? looks + 1 : 0;
        former = part;
    }
}

SpProgramOutput *sp_program_output_new(int read_fd, int write_fd, int *ret_stdout, GError **error)
{
    SpProgramOutput *output = g_new0(SpProgramOutput, 1);

    g_mutex_init(&output->lock);
    g_cond_init(&output->has_gathered);
    output->pid = getpid();
    output->read_fd = read_fd;
    output->copy_fds[0] = output->copy_fds[1] = -1;
    output->stdout_fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    output->stderr_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    output->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (pipe2(output->copy_fds, O_CLOEXEC | O_NONBLOCK) == 0 && output->stdout_fd >= 0 &&
        output->stderr_fd >= 0 && output->end_fd >= 0 && fcntl(read_fd, F_SETFD, FD_CLOEXEC) == 0 &&
        dup2(write_fd, STDOUT_FILENO) == STDOUT_FILENO &&
        dup2(write_fd, STDERR_FILENO) == STDERR_FILENO) {
        close(write_fd);
        *ret_stdout = output->stdout_fd;
        return output;
    }
    g_set_error(error, SP_ERROR, SP_ERROR_HOST, "the output of programs can't be read: %s",
        g_strerror(errno));
    sp_program_output_free(output);
    return NULL;
}

void sp_program_output_start(SpProgramOutput *output, SpLog *log)
{
    sigset_t all, former;

    output->log = log;
    /* signals are for the script's thread */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &former);
    output->thread = g_thread_new("programs", read_pipe, output);
    pthread_sigmask(SIG_SETMASK, &former, NULL);
}

void sp_program_output_gather(void *data)
{
    SpProgramOutput *output = data;

    /* in a child that the script forked, nobody might ever unlock it */
    if (!output->thread || getpid() != output->pid)
        return;
    g_atomic_int_inc(&output->waiting);
    g_mutex_lock(&output->lock);
    log_lines(output, false, LINES_MAX);
    g_atomic_int_add(&output->waiting, -1);
    g_cond_signal(&output->has_gathered);
    g_mutex_unlock(&output->lock);
}

void sp_program_output_free(SpProgramOutput *output)
{
    const guint64 one = 1;

    if (!output)
        return;
    if (output->thread) {
        (void)!write(output->end_fd, &one, sizeof one);
        g_thread_join(output->thread);
    }
    /* from here on nothing reads the pipe, so we must not write to it */
    if (output->stdout_fd >= 0)
        dup2(output->stdout_fd, STDOUT_FILENO);
    if (output->stderr_fd >= 0)
        dup2(output->stderr_fd, STDERR_FILENO);
    if (output->thread)
        log_lines(output, true, G_MAXUINT);
    close_if_open(&output->read_fd);
    close_if_open(&output->copy_fds[0]);
    close_if_open(&output->copy_fds[1]);
    close_if_open(&output->stderr_fd);
    close_if_open(&output->end_fd);
    g_mutex_clear(&output->lock);
    g_cond_clear(&output->has_gathered);
    g_free(output);
}
