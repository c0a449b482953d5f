/* SPDX-License-Identifier: MIT */

/* EXEC: a command with its streams, on pipes or a pty. */

#include "agent.h"

#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define READ_SIZE 65536u
/* Credit is given back in steps of this, so that a stream of small pieces costs few frames. */
#define CREDIT_STEP (SP_INITIAL_CREDIT / 4)
#define ARGUMENTS_MAX 4096u
/* What is read of a pipe after the command's end: all that one can hold (see pipe(7)). */
#define LAST_OUTPUT_MAX (1024u * 1024)

struct output {
    struct channel *channel;
    int fd;
    enum sp_stream stream;
    sd_event_source *source;
};

struct command {
    struct channel *channel;
    pid_t pid; /* 0 once it is reaped */
    int pidfd;
    bool is_pty;
    sd_event_source *exit_source;
    struct output outputs[2];
    int input; /* with a pty a copy of the output's; -1 when it is closed */
    sd_event_source *input_source;
    uint8_t *pending; /* bytes for stdin that did not fit yet */
    size_t pending_length;
    bool at_end;   /* the driver sent END */
    uint32_t owed; /* credit */
};

static void output_close(struct output *output)
{
    output->source = sd_event_source_disable_unref(output->source);
    if (output->fd >= 0)
        close(output->fd);
    output->fd = -1;
}

static void input_close(struct command *command)
{
    command->input_source = sd_event_source_disable_unref(command->input_source);
    if (command->input >= 0)
        close(command->input);
    command->input = -1;
    command->pending_length = 0;
}

/* Read a piece and send it on; 0 at the end, or what read() says. */
static ssize_t output_read(struct output *output)
{
    uint8_t buffer[READ_SIZE];
    ssize_t n = read(output->fd, buffer, sizeof buffer);

    if (n > 0)
        channel_send(output->channel, SP_FRAME_DATA, output->stream, buffer, (size_t)n);
    return n;
}

static int on_output(sd_event_source *source, int fd, uint32_t events, void *data)
{
    struct output *output = data;
    ssize_t n;

    if (agent_is_congested(output->channel->agent))
        return sd_event_source_set_enabled(source, SD_EVENT_OFF);
    n = output_read(output);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0) /* a pty whose last user has gone gives EIO */
        output_close(output);
    return 0;
}

static void command_resume(struct channel *channel)
{
    struct command *command = channel->data;

    for (size_t i = 0; i < 2; i++) {
        if (command->outputs[i].source)
            sd_event_source_set_enabled(command->outputs[i].source, SD_EVENT_ON);
    }
}

static void drain(struct output *output)
{
    size_t total = 0;
    ssize_t n;

    while (output->fd >= 0 && total < LAST_OUTPUT_MAX) {
        n = output_read(output);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        total += (size_t)n;
    }
    output_close(output);
}

static int on_exit_event(sd_event_source *source, int fd, uint32_t events, void *data)
{
    struct channel *channel = data;
    struct command *command = channel->data;
    siginfo_t info = {0};

    if (waitid(P_PIDFD, (id_t)command->pidfd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
        return 0;
    command->pid = 0;
    drain(&command->outputs[0]);
    drain(&command->outputs[1]);
    channel_exit(channel, info.si_code != CLD_EXITED, (uint32_t)info.si_status);
    return 0;
}

static void give_credit(struct command *command, size_t bytes)
{
    command->owed += (uint32_t)bytes;
    if (command->owed < CREDIT_STEP)
        return;
    channel_send_credit(command->channel, command->owed);
    command->owed = 0;
}

static int write_pending(struct command *command)
{
    size_t done = 0;

    while (command->input >= 0 && done < command->pending_length) {
        ssize_t n = write(command->input, command->pending + done, command->pending_length - done);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0) {
            done = command->pending_length; /* nobody reads it any more */
            break;
        }
        done += (size_t)n;
    }
    command->pending_length -= done;
    memmove(command->pending, command->pending + done, command->pending_length);
    give_credit(command, done);
    if (command->pending_length > 0)
        return sd_event_source_set_enabled(command->input_source, SD_EVENT_ON);
    sd_event_source_set_enabled(command->input_source, SD_EVENT_OFF);
    if (command->at_end && !command->is_pty)
        input_close(command);
    return 0;
}

static int on_input(sd_event_source *source, int fd, uint32_t events, void *data)
{
    return write_pending(((struct channel *)data)->data);
}

static int command_data(struct channel *channel, const uint8_t *bytes, size_t length)
{
    struct command *command = channel->data;

    if (command->input < 0 || command->at_end) {
        give_credit(command, length);
        return 0;
    }
    if (length > SP_INITIAL_CREDIT - command->pending_length)
        return -EPROTO; /* more than was granted */
    if (!command->pending)
        command->pending = malloc(SP_INITIAL_CREDIT);
    if (!command->pending)
        return -ENOMEM;
    memcpy(command->pending + command->pending_length, bytes, length);
    command->pending_length += length;
    return write_pending(command);
}

static int command_end(struct channel *channel)
{
    struct command *command = channel->data;
    const uint8_t end_of_file = 4; /* Ctrl-D, what a terminal's end looks like */

    if (command->at_end || command->input < 0)
        return 0;
    if (command->is_pty)
        return command_data(channel, &end_of_file, 1);
    command->at_end = true;
    return write_pending(command);
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
    return command_signal(channel, SIGKILL); /* its EXIT follows */
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
    if (command->pid > 0) {
        kill(-command->pid, SIGKILL);
        waitid(P_PID, (id_t)command->pid, NULL, WEXITED);
    }
    sd_event_source_disable_unref(command->exit_source);
    output_close(&command->outputs[0]);
    output_close(&command->outputs[1]);
    input_close(command);
    if (command->pidfd >= 0)
        close(command->pidfd);
    free(command->pending);
    free(command);
}

/* The strings of an EXEC: pointers into @payload, two lists ended by NULL in one block. */
static int take_strings(
    struct sp_payload *payload, uint32_t argc, char ***ret_argv, char ***ret_env)
{
    static const char *const defaults[] = {
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
        "USER=root", "LOGNAME=root", "SHELL=/bin/bash", "LANG=C.UTF-8", "TERM=linux"};
    const size_t n_defaults = sizeof defaults / sizeof *defaults;
    sp_auto_free char **list = calloc(ARGUMENTS_MAX + n_defaults + 2, sizeof *list);
    size_t n = 0;
    const char *text;

    if (!list)
        return -ENOMEM;
    if (argc < 1 || argc > ARGUMENTS_MAX)
        return -E2BIG;
    for (; n < argc; n++) {
        if (sp_payload_take_string(payload, &text) < 0)
            return -EPROTO;
        list[n] = (char *)(uintptr_t)text;
    }
    n++;
    /* The driver's own come first: of two equal names programs take the first. */
    while (payload->left > 0) {
        if (n > ARGUMENTS_MAX)
            return -E2BIG;
        if (sp_payload_take_string(payload, &text) < 0)
            return -EPROTO;
        list[n++] = (char *)(uintptr_t)text;
    }
    for (size_t i = 0; i < n_defaults; i++)
        list[n++] = (char *)(uintptr_t)defaults[i];
    *ret_argv = list;
    *ret_env = list + argc + 1;
    list = NULL;
    return 0;
}

struct ends {
    int child[3]; /* the child's stdin, stdout and stderr */
    char terminal[64];
};

static int open_pipes(struct command *command, struct ends *ends)
{
    int pipes[3][2];

    for (int i = 0; i < 3; i++) {
        if (pipe2(pipes[i], O_CLOEXEC) < 0)
            return -errno;
        int ours = i == 0 ? pipes[i][1] : pipes[i][0];
        ends->child[i] = i == 0 ? pipes[i][0] : pipes[i][1];
        fcntl(ours, F_SETFL, O_NONBLOCK);
        if (i == 0)
            command->input = ours;
        else
            command->outputs[i - 1].fd = ours;
    }
    return 0;
}

static int open_pty(struct command *command, struct ends *ends, uint16_t rows, uint16_t columns)
{
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return -errno;
    command->outputs[0].fd = fd;
    if (grantpt(fd) < 0 || unlockpt(fd) < 0 ||
        ptsname_r(fd, ends->terminal, sizeof ends->terminal) != 0)
        return -EIO;
    command->input = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (command->input < 0)
        return -errno;
    return command_resize(command->channel, rows, columns);
}

static int spawn(struct command *command, const struct ends *ends, char **argv, char **env)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t all, none;
    int r;

    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(
        &attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    if (command->is_pty) {
        /* the first terminal that a new session opens becomes its own */
        posix_spawn_file_actions_addopen(&actions, 0, ends->terminal, O_RDWR, 0);
        posix_spawn_file_actions_adddup2(&actions, 0, 1);
        posix_spawn_file_actions_adddup2(&actions, 0, 2);
    } else {
        for (int i = 0; i < 3; i++)
            posix_spawn_file_actions_adddup2(&actions, ends->child[i], i);
    }
    posix_spawn_file_actions_addchdir_np(&actions, "/");
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    r = posix_spawnp(&command->pid, argv[0], &actions, &attributes, argv, env);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (r != 0) {
        command->pid = 0;
        return -r;
    }
    command->pidfd = pidfd_open(command->pid, 0);
    return command->pidfd < 0 ? -errno : 0;
}

static int watch(struct command *command)
{
    struct channel *channel = command->channel;
    sd_event *event = agent_event(channel->agent);
    int r = sd_event_add_io(
        event, &command->exit_source, command->pidfd, EPOLLIN, on_exit_event, channel);

    for (size_t i = 0; i < 2 && r >= 0; i++) {
        struct output *output = &command->outputs[i];
        if (output->fd >= 0)
            r = sd_event_add_io(event, &output->source, output->fd, EPOLLIN, on_output, output);
    }
    if (r >= 0)
        r = sd_event_add_io(
            event, &command->input_source, command->input, EPOLLOUT, on_input, channel);
    if (r >= 0)
        r = sd_event_source_set_enabled(command->input_source, SD_EVENT_OFF);
    return r;
}

static int command_open(struct channel *channel, struct sp_payload *payload)
{
    struct command *command = calloc(1, sizeof *command);
    struct ends ends = {.child = {-1, -1, -1}};
    char **argv = NULL, **env;
    uint32_t flags, argc;
    uint16_t rows, columns;
    int r;

    if (!command)
        return -ENOMEM;
    channel->data = command;
    *command = (struct command){.channel = channel, .pidfd = -1, .input = -1};
    command->outputs[0] = (struct output){channel, -1, SP_STREAM_STDOUT, NULL};
    command->outputs[1] = (struct output){channel, -1, SP_STREAM_STDERR, NULL};
    if (sp_payload_take_u32(payload, &flags) < 0 || sp_payload_take_u16(payload, &rows) < 0 ||
        sp_payload_take_u16(payload, &columns) < 0 || sp_payload_take_u32(payload, &argc) < 0)
        return -EPROTO;
    command->is_pty = flags & SP_EXEC_PTY;
    r = take_strings(payload, argc, &argv, &env);
    if (r >= 0)
        r = command->is_pty ? open_pty(command, &ends, rows, columns) : open_pipes(command, &ends);
    if (r >= 0)
        r = spawn(command, &ends, argv, env);
    for (int i = 0; i < 3; i++) {
        if (ends.child[i] >= 0)
            close(ends.child[i]);
    }
    free(argv);
    return r < 0 ? r : watch(command);
}

const struct channel_ops command_ops = {
    .opened_by = SP_FRAME_EXEC,
    .open = command_open,
    .data = command_data,
    .end = command_end,
    .signal = command_signal,
    .resize = command_resize,
    .cancel = command_cancel,
    .resume = command_resume,
    .free = command_free,
};
