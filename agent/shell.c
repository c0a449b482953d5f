/* SPDX-License-Identifier: MIT */

/* The agent's side of the waiting shell; shell-builtin.c is the other. */

#include "agent/shell.h"

#include "agent/shell-wire.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* A shell that does not answer within this time is given up. */
#define PATIENCE_MS 2000

static const char *const plain_shell[] = {"/bin/bash", "-euo", "pipefail", "-c"};
#define N_WORDS (sizeof plain_shell / sizeof *plain_shell)

static struct {
    pid_t pid; /* 0: there is none */
    int socket;
    bool has_answered; /* the one that runs now */
    bool has_failed;   /* there can't be one here */
} shell;

static bool is_plain_command(const struct spawn_request *request)
{
    size_t length;

    if (request->is_pty || !spawn_has_default_env(request))
        return false;
    for (size_t i = 0; i < N_WORDS; i++) {
        if (!request->argv[i] || strcmp(request->argv[i], plain_shell[i]) != 0)
            return false;
    }
    if (!request->argv[N_WORDS] || request->argv[N_WORDS + 1])
        return false;
    length = strlen(request->argv[N_WORDS]);
    return length > 0 && length < SHELL_COMMAND_MAX;
}

/* It gets the socket as its stdout: with a socket as its stdin, bash would take this for a login
 * from another host, and read /etc/bash.bashrc. Its messages are discarded. */
static int spawn_waiting_shell(const char *builtin, int socket)
{
    static const char script[] = "enable -f \"$1\" slotproof_shell; exec 3>&1 >/dev/null; set --; "
                                 "slotproof_shell 3";
    sp_auto_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    const int streams[] = {null, socket, null};
    const char *const argv[] = {plain_shell[0], plain_shell[1], plain_shell[2], plain_shell[3],
        script, plain_shell[0], builtin, NULL};
    struct spawn_request request = {0};
    int r = null < 0 ? -errno : spawn_make(&request, argv);

    if (r == 0)
        r = spawn_start(&request, streams, NULL, &shell.pid);
    spawn_request_clear(&request);
    return r;
}

static bool start_waiting_shell(void)
{
    char builtin[PATH_MAX];
    int ends[2], r;

    shell.has_failed = !spawn_find_beside(SHELL_BUILTIN, builtin);
    if (shell.has_failed || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return false;
    shell.has_answered = false;
    r = spawn_waiting_shell(builtin, ends[1]);
    close(ends[1]);
    if (r == 0)
        shell.socket = ends[0];
    else
        close(ends[0]);
    return r == 0;
}

void shell_prepare(void)
{
    if (shell.pid == 0 && !shell.has_failed)
        (void)start_waiting_shell(); /* else the first command tries again */
}

static bool send_to_shell(const char *command, const int streams[static 3])
{
    /* iov_base is not const, but nothing is changed */
    struct iovec text = {.iov_base = (char *)(uintptr_t)command, .iov_len = strlen(command)};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(3 * sizeof(int))];
    } control = {.header = {.cmsg_len = CMSG_LEN(3 * sizeof(int)),
                     .cmsg_level = SOL_SOCKET,
                     .cmsg_type = SCM_RIGHTS}};
    struct msghdr message = {.msg_iov = &text,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control};
    ssize_t n;

    memcpy(CMSG_DATA(&control.header), streams, 3 * sizeof(int));
    do
        n = sendmsg(shell.socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n >= 0;
}

/* Returns the PID of the command; 0 if there is none. */
static pid_t receive_pid(int timeout_ms)
{
    struct pollfd poll_fd = {.fd = shell.socket, .events = POLLIN};
    pid_t pid;
    int n;

    do
        n = poll(&poll_fd, 1, timeout_ms);
    while (n < 0 && errno == EINTR);
    return n > 0 && recv(shell.socket, &pid, sizeof pid, MSG_DONTWAIT) == sizeof pid && pid > 0
               ? pid
               : 0;
}

/* Returns the PID of the command that the shell was sent last, if it started it. Such a process
 * holds the socket open until it has sent its PID, so either that is read, or the end. */
static pid_t stop_waiting_shell(void)
{
    int status;
    pid_t pid = waitpid(shell.pid, &status, WNOHANG);

    /* A shell that exited before it ran anything could not load the builtin; one that was killed
     * may just have been idle. */
    shell.has_failed = pid == shell.pid && WIFEXITED(status) && !shell.has_answered;
    if (pid == 0) {
        kill(shell.pid, SIGKILL);
        while (waitpid(shell.pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    pid = receive_pid(PATIENCE_MS);
    /* a process that has not sent its PID by now can't do so any more, and runs nothing */
    if (pid == 0 && shutdown(shell.socket, SHUT_RD) == 0)
        pid = receive_pid(0);
    close(shell.socket);
    shell.pid = 0;
    return pid;
}

bool shell_start(const struct spawn_request *request, const int streams[static 3], pid_t *ret_pid)
{
    pid_t pid = 0;

    if (shell.has_failed || !is_plain_command(request))
        return false;
    if (shell.pid == 0 && !start_waiting_shell())
        return false;
    if (send_to_shell(request->argv[N_WORDS], streams))
        pid = receive_pid(PATIENCE_MS);
    if (pid > 0)
        shell.has_answered = true;
    else /* it was killed or stopped, or has not come up */
        pid = stop_waiting_shell();
    *ret_pid = pid;
    return pid != 0;
}
