/* SPDX-License-Identifier: MIT */
#include "worker/process.h"

#include "base/text.h"
#include "worker/message.h"
#include "worker/program-pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct SpWorkerProcess {
    SpWorkerProcessConfig config;
    char *out;
    SpProcess *process;
    SpProgramPipe programs;
    int message_fd;
    guint message_source; /* 0 once the other end is closed */
};

void sp_worker_end_clear(SpWorkerEnd *end)
{
    g_clear_pointer(&end->how, g_free);
    g_clear_pointer(&end->output, g_free);
}

char **sp_worker_command(const SpWorkerOptions *options)
{
    g_autoptr(GStrvBuilder) words = g_strv_builder_new();
    g_auto(GStrv) own = sp_worker_options_format(options);

    g_strv_builder_add_many(words, "/proc/self/exe", "_worker", NULL);
    g_strv_builder_addv(words, (const char **)own);
    return g_strv_builder_end(words);
}

/* Pass on what is there; false at the end, with errno EAGAIN if more may come. */
static bool read_messages(SpWorkerProcess *worker)
{
    char buffer[16384];
    ssize_t n = read(worker->message_fd, buffer, sizeof buffer);

    if (n <= 0) {
        errno = n == 0 ? 0 : errno;
        return n < 0 && errno == EINTR;
    }
    worker->config.message_func(buffer, (gsize)n, worker->config.data);
    return true;
}

static gboolean on_messages(int fd, GIOCondition condition, void *data)
{
    SpWorkerProcess *worker = data;

    if (read_messages(worker) || errno == EAGAIN)
        return G_SOURCE_CONTINUE;
    worker->message_source = 0;
    return G_SOURCE_REMOVE;
}

static void free_worker(SpWorkerProcess *worker)
{
    if (worker->message_source != 0)
        g_source_remove(worker->message_source);
    sp_process_free(worker->process);
    if (worker->message_fd >= 0)
        close(worker->message_fd);
    g_free(worker->out);
    g_free(worker);
}

static bool spawn_worker(SpWorkerProcess *worker, GError **error)
{
    g_auto(GStrv) argv = sp_worker_command(&worker->config.options);
    SpProcessFd given[1 + SP_PROGRAM_PIPE_FDS];
    int fds[2];

    if (!sp_program_pipe_open(&worker->programs, error) ||
        !g_unix_open_pipe(fds, FD_CLOEXEC, error))
        return false;
    worker->message_fd = fds[0];
    g_unix_set_fd_nonblocking(worker->message_fd, TRUE, NULL);
    given[0] = (SpProcessFd){fds[1], SP_MESSAGE_FD};
    sp_program_pipe_fds(&worker->programs, given + 1);
    worker->process =
        sp_process_start((const char *const *)argv, given, G_N_ELEMENTS(given), error);
    close(fds[1]);
    sp_program_pipe_close_writer(&worker->programs);
    return worker->process != NULL;
}

SpWorkerProcess *sp_worker_process_start(const SpWorkerProcessConfig *config, GError **error)
{
    SpWorkerProcess *worker = g_new0(SpWorkerProcess, 1);

    worker->config = *config;
    worker->config.options.has_programs_pipe = TRUE;
    if (worker->config.options.begin == 0)
        worker->config.options.begin = g_get_monotonic_time();
    worker->out = g_strdup(config->options.out);
    worker->programs = (SpProgramPipe){-1, -1};
    worker->message_fd = -1;
    if (!spawn_worker(worker, error)) {
        g_free(sp_program_pipe_end(&worker->programs, worker->out, worker->config.options.begin));
        free_worker(worker);
        return NULL;
    }
    sp_process_set_line_func(worker->process, worker->config.line_func, worker->config.data);
    worker->message_source =
        g_unix_fd_add(worker->message_fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_messages, worker);
    return worker;
}

bool sp_worker_process_has_ended(SpWorkerProcess *worker)
{
    return sp_process_has_ended(worker->process);
}

void sp_worker_process_signal(SpWorkerProcess *worker, int signal_number)
{
    sp_process_signal(worker->process, signal_number);
}

bool sp_worker_process_wait(
    SpWorkerProcess *worker, gint64 deadline, const SpInterrupt *interrupt, GError **error)
{
    return sp_process_wait(worker->process, deadline, interrupt, error);
}

static void pass_lines(const SpWorkerProcess *worker, const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (char **line = lines; *line && line[1]; line++) {
        g_autofree char *printable = sp_text_printable(*line);
        worker->config.line_func(printable, worker->config.data);
    }
}

void sp_worker_process_finish(SpWorkerProcess *worker, SpWorkerEnd *ret_end)
{
    const SpWorkerOptions *options = &worker->config.options;
    g_autofree char *output = NULL, *rest = NULL;

    while (read_messages(worker))
        ;
    rest = sp_program_pipe_end(&worker->programs, worker->out, options->begin);
    pass_lines(worker, rest);
    output = sp_process_output(worker->process);
    *ret_end = (SpWorkerEnd){
        .is_good = sp_process_wait_status(worker->process) == 0,
        .how = sp_process_describe_end(worker->process),
        .output = g_strconcat(output, rest, NULL),
    };
    free_worker(worker);
}
