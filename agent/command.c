/* SPDX-License-Identifier: MIT */

/* EXEC: a command with its streams, on pipes or a pty. */

#include "agent/channel.h"
#include "agent/holders.h"
#include "agent/input.h"
#include "agent/shell.h"
#include "agent/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* The capacity of a new pipe; a stream that fills it gets a larger one. */
#define PIPE_SIZE 65536u
#define PIPE_SIZE_LARGE SP_AGENT_FRAME_PAYLOAD_MAX
/* At most this is read from a pty after its command has ended: more than it can hold. */
#define PTY_REST (128u * 1024)
/* What other processes write to a pipe after the command has ended is read for as long as they run,
 * within limits. They are looked at periodically; those found asleep several times in a row are
 * taken to have nothing more to write. */
#define LINGER_BYTES (1024u * 1024)
#define LOOK_US 25000u
#define LOOKS_MAX 200u
#define LOOKS_ASLEEP 3u

struct output {
    struct channel *channel;
    int fd;
    enum sp_stream stream;
    size_t size; /* of the pipe */
    size_t rest; /* how much may still be read once the command has ended */
    struct loop_source *source;
};

struct command {
    struct channel *channel; /* NULL once freed: the command is only waited for */
    pid_t pid;               /* 0 once it is reaped */
    int pidfd;
    bool is_pty;
    bool has_ended; /* and that has been dealt with */
    siginfo_t result;
    pid_t session;          /* of the command, which leads it */
    bool lingers;           /* it has ended, but others hold its output and may write to it */
    unsigned looks, asleep; /* how often others were looked at; found asleep in a row */
    size_t rest_at_look;    /* of both outputs */
    struct loop_source *look_source;
    char held[CHANNEL_HELD_MAX]; /* who holds its output at its end */
    struct loop_source *exit_source;
    struct output outputs[2];
    struct input input; /* of a pty: a copy of the output's descriptor */
};

static void close_command_output(struct output *output)
{
    output->source = loop_source_free(output->source);
    if (output->fd >= 0)
        close(output->fd);
    output->fd = -1;
}

static void command_destroy(void *data)
{
    struct command *command = data;

    if (command->pidfd >= 0)
        close(command->pidfd);
    free(command);
}

static void name_holders(struct command *command)
{
    const ino_t pipes[] = {
        holders_pipe(command->outputs[0].fd), holders_pipe(command->outputs[1].fd)};

    holders_describe(pipes, 2, command->held, sizeof command->held);
}

/* Read a piece and send it; closes the stream at its end. Returns false if there is no more for
 * now. */
static bool read_command_output(struct output *output, bool has_ended)
{
    struct command *command = output->channel->data;
    size_t length = output->size;
    ssize_t n;

    if (has_ended && length > output->rest)
        length = output->rest;
    n = length == 0 ? 0 : channel_read_from(output->channel, output->fd, output->stream, length);
    if (n > 0 && has_ended)
        output->rest -= (size_t)n;
    if (n == PIPE_SIZE && !has_ended && fcntl(output->fd, F_SETPIPE_SZ, PIPE_SIZE_LARGE) > 0)
        output->size = PIPE_SIZE_LARGE;
    if (n == 0 && !has_ended) /* the command has closed it, and goes on */
        queue_frame(output->channel->all->queue, SP_AGENT_FRAME_END, output->stream,
            output->channel->id, NULL, 0);
    if (n == -EAGAIN && (!has_ended || command->lingers))
        return false;
    if (length == 0 && command->lingers)
        name_holders(command);
    /* Reading from a pty gives EIO once its last user has gone. */
    if (n <= 0)
        close_command_output(output);
    return true;
}

/* The command has ended: end the channel once its output has been read. */
static void finish_command(struct command *command)
{
    bool is_done = true;

    for (size_t i = 0; i < 2; i++) {
        struct output *output = &command->outputs[i];
        while (output->fd >= 0 && channel_may_send(command->channel) &&
               read_command_output(output, true))
            ;
        is_done = is_done && output->fd < 0;
    }
    if (is_done)
        channel_exit(command->channel, command->result.si_code != CLD_EXITED,
            (uint32_t)command->result.si_status, *command->held ? command->held : NULL);
}

/* Others may hold the pipes for ever: read only what they have written so far. */
static void end_lingering(struct command *command)
{
    int rest;

    command->lingers = false;
    command->look_source = loop_source_free(command->look_source);
    name_holders(command);
    for (size_t i = 0; i < 2; i++) {
        struct output *output = &command->outputs[i];
        if (output->fd >= 0)
            output->rest = ioctl(output->fd, FIONREAD, &rest) < 0 ? 0 : (size_t)rest;
    }
}

static void on_holder_look(void *data, uint32_t events)
{
    struct command *command = data;
    const ino_t pipes[] = {
        holders_pipe(command->outputs[0].fd), holders_pipe(command->outputs[1].fd)};
    size_t rest = command->outputs[0].rest + command->outputs[1].rest;

    if (rest != command->rest_at_look || holders_are_busy(command->session, pipes, 2))
        command->asleep = 0;
    else
        command->asleep++;
    command->rest_at_look = rest;
    if (++command->looks < LOOKS_MAX && command->asleep < LOOKS_ASLEEP) {
        loop_source_start(command->look_source, LOOK_US);
        return;
    }
    end_lingering(command);
    finish_command(command);
}

/* The command has ended, but others may hold its pipes. Without a timer they are not waited for. */
static void begin_lingering(struct command *command)
{
    struct loop *loop = command->channel->all->loop;

    for (size_t i = 0; i < 2; i++) {
        struct output *output = &command->outputs[i];
        output->rest = command->is_pty ? PTY_REST : LINGER_BYTES;
    }
    command->rest_at_look = command->outputs[0].rest + command->outputs[1].rest;
    command->lingers = !command->is_pty;
    if (command->lingers &&
        loop_add_timer(loop, LOOK_US, on_holder_look, command, &command->look_source) < 0)
        end_lingering(command);
}

static void on_command_output(void *data, uint32_t events)
{
    struct output *output = data;
    struct command *command = output->channel->data;

    if (!channel_may_send(output->channel))
        loop_source_set_events(output->source, 0);
    else if (command->pid > 0)
        read_command_output(output, false);
    else
        finish_command(command);
}

static void command_resume(struct channel *channel)
{
    struct command *command = channel->data;

    for (size_t i = 0; i < 2; i++) {
        if (command->outputs[i].source)
            loop_source_set_events(command->outputs[i].source, EPOLLIN);
    }
    if (command->pid == 0) /* its pidfd stays readable, which leads to finish_command() */
        loop_source_set_events(command->exit_source, EPOLLIN);
}

/* Returns false if the command has not ended after all. */
static bool reap_command(struct command *command)
{
    if (waitid(P_PIDFD, (id_t)command->pidfd, &command->result, WEXITED | WNOHANG) < 0 ||
        command->result.si_pid == 0)
        return false;
    command->pid = 0;
    input_close(&command->input);
    return true;
}

static void on_exit_event(void *data, uint32_t events)
{
    struct command *command = data;

    if (command->pid > 0 && !reap_command(command))
        return;
    if (!command->channel) {
        loop_source_free(command->exit_source); /* and the command with it */
        return;
    }
    loop_source_set_events(command->exit_source, 0);
    if (!command->has_ended)
        begin_lingering(command);
    command->has_ended = true;
    finish_command(command);
}

static int command_data(struct channel *channel, const uint8_t *bytes, size_t length)
{
    struct command *command = channel->data;

    return input_append(&command->input, bytes, length);
}

static int command_end(struct channel *channel)
{
    struct command *command = channel->data;

    return input_end(&command->input);
}

static int command_signal(struct channel *channel, uint32_t number)
{
    struct command *command = channel->data;

    if (command->pid > 0 && number < (uint32_t)_NSIG)
        kill(-command->pid, (int)number);
    return 0;
}

static int command_cancel(struct channel *channel)
{
    struct command *command = channel->data;

    if (command->pid > 0)
        return command_signal(channel, SIGKILL); /* its EXIT follows */
    close_command_output(&command->outputs[0]);
    close_command_output(&command->outputs[1]);
    command->look_source = loop_source_free(command->look_source);
    finish_command(command);
    return 0;
}

static int command_resize(struct channel *channel, uint16_t rows, uint16_t columns)
{
    struct command *command = channel->data;
    struct winsize size = {.ws_row = rows, .ws_col = columns};

    if (command->is_pty && command->outputs[0].fd >= 0)
        ioctl(command->outputs[0].fd, TIOCSWINSZ, &size);
    return 0;
}

static void command_free(struct channel *channel)
{
    struct command *command = channel->data;

    if (!command)
        return;
    close_command_output(&command->outputs[0]);
    close_command_output(&command->outputs[1]);
    input_close(&command->input);
    command->look_source = loop_source_free(command->look_source);
    command->channel = NULL;
    if (command->pid > 0)
        kill(-command->pid, SIGKILL);
    if (!command->exit_source) {
        command_destroy(command);
        return;
    }
    /* A killed command may take some time to end; it is reaped then. */
    loop_source_set_destroy(command->exit_source, command_destroy);
    if (command->pid == 0)
        loop_source_free(command->exit_source);
}

struct ends {
    int streams[3]; /* the command's stdin, stdout and stderr */
    char terminal[64];
};

static int open_pipes(struct command *command, struct ends *ends)
{
    int pipe[2];

    for (int i = 0; i < 3; i++) {
        if (pipe2(pipe, O_CLOEXEC) < 0)
            return -errno;
        ends->streams[i] = pipe[i == 0 ? 0 : 1];
        if (i == 0)
            command->input.fd = pipe[1];
        else
            command->outputs[i - 1].fd = pipe[0];
        if (fcntl(pipe[i == 0 ? 1 : 0], F_SETFL, O_NONBLOCK) < 0)
            return -errno;
    }
    return 0;
}

static int open_pty(struct command *command, struct ends *ends, const struct spawn_request *request)
{
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return -errno;
    command->outputs[0].fd = fd;
    if (grantpt(fd) < 0 || unlockpt(fd) < 0 ||
        ptsname_r(fd, ends->terminal, sizeof ends->terminal) != 0)
        return -EIO;
    command->input.is_pty = true;
    command->input.fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (command->input.fd < 0)
        return -errno;
    return command_resize(command->channel, request->rows, request->columns);
}

static int watch_command(struct command *command)
{
    struct loop *loop = command->channel->all->loop;
    int r;

    command->session = command->pid;
    command->pidfd = pidfd_open(command->pid, 0);
    if (command->pidfd < 0)
        return -errno;
    r = loop_add_fd(loop, command->pidfd, EPOLLIN, on_exit_event, command, &command->exit_source);
    for (size_t i = 0; i < 2 && r >= 0; i++) {
        struct output *output = &command->outputs[i];
        if (output->fd >= 0)
            r = loop_add_fd(loop, output->fd, EPOLLIN, on_command_output, output, &output->source);
    }
    return r;
}

static int start_command(struct command *command, const struct spawn_request *request)
{
    struct ends ends = {.streams = {-1, -1, -1}};
    int r;

    command->is_pty = request->is_pty;
    r = request->is_pty ? open_pty(command, &ends, request) : open_pipes(command, &ends);
    if (r >= 0 && !shell_start(request, ends.streams, &command->pid))
        r = spawn_start(
            request, ends.streams, request->is_pty ? ends.terminal : NULL, &command->pid);
    for (int i = 0; i < 3; i++) {
        if (ends.streams[i] >= 0)
            close(ends.streams[i]);
    }
    return r < 0 ? r : watch_command(command);
}

static int command_open(struct channel *channel, struct sp_payload *payload)
{
    struct command *command = calloc(1, sizeof *command);
    struct spawn_request request;
    int r;

    if (!command)
        return -ENOMEM;
    channel->data = command;
    *command = (struct command){.channel = channel, .pidfd = -1};
    input_init(&command->input, channel);
    for (size_t i = 0; i < 2; i++) {
        enum sp_stream stream = i == 0 ? SP_STREAM_STDOUT : SP_STREAM_STDERR;
        command->outputs[i] =
            (struct output){.channel = channel, .fd = -1, .stream = stream, .size = PIPE_SIZE};
    }
    r = spawn_parse(payload, &request);
    if (r < 0)
        return r;
    r = start_command(command, &request);
    if (r < 0)
        channel->about = request.argv[0]; /* in the payload, which is still there for the ERROR */
    spawn_request_clear(&request);
    return r;
}

const struct channel_ops command_ops = {
    .opened_by = SP_AGENT_FRAME_EXEC,
    .open = command_open,
    .data = command_data,
    .end = command_end,
    .signal = command_signal,
    .resize = command_resize,
    .cancel = command_cancel,
    .resume = command_resume,
    .free = command_free,
};
