/* SPDX-License-Identifier: MIT */

/*
 * slotproof_shell FD: a builtin that turns bash into a waiting shell (shell.h). It runs each
 * command that the agent sends in a process of its own, as 'bash -c' would, but without the time
 * that bash takes to start.
 */

#include "agent/shell-wire.h"

/* bash's headers for loadable builtins (package bash-builtins); config.h must come first */
#include <config.h>

#include <builtins.h>
#include <shell.h>

#include <builtins/common.h>
#include <errno.h>
#include <execute_cmd.h>
#include <limits.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* not in bash's headers */
extern time_t shell_start_time;

static char command[SHELL_COMMAND_MAX];

/* Receives the streams of the next command; its text goes to @command. Returns false at the end. */
static bool receive_command(int fd, int streams[static 3])
{
    struct iovec text = {.iov_base = command, .iov_len = sizeof command - 1};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(3 * sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = &text,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control};
    const struct cmsghdr *header;
    ssize_t length;

    do
        length = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    while (length < 0 && errno == EINTR);
    header = length > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (!header || header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(3 * sizeof(int)))
        return false;
    memcpy(streams, CMSG_DATA(header), 3 * sizeof(int));
    command[length] = '\0';
    return true;
}

/* In the new process: set what a new shell finds out about itself. */
static void become_new_shell(void)
{
    struct builtin *own = builtin_address_internal("slotproof_shell", 1);
    char host[HOST_NAME_MAX + 1];

    if (own) {
        own->flags &= ~BUILTIN_ENABLED;
        own->function = NULL; /* so that no command finds or lists it */
    }
    if (gethostname(host, sizeof host) == 0)
        bind_variable("HOSTNAME", host, 0);
    bind_variable("BASH_EXECUTION_STRING", command, 0);
    bind_variable("_", shell_name, 0);
    dollar_dollar_pid = getpid();
    shell_start_time = time(NULL);
    seedrand();
    parse_and_execute_level = 0;
}

static void run_received_command(int fd, const int streams[static 3])
{
    pid_t pid = getpid();

    setsid();
    for (int i = 0; i < 3; i++)
        dup2(streams[i], i);
    /* the agent gets this PID before the command can do anything */
    if (send(fd, &pid, sizeof pid, MSG_NOSIGNAL) != sizeof pid)
        _exit(127);
    syscall(SYS_close_range, 3u, ~0u, 0u);
    become_new_shell();
    parse_and_execute(command, "-c", SEVAL_NOHIST | SEVAL_RESETLINE | SEVAL_NOFREE);
    exit_shell(last_command_exit_value);
}

static int slotproof_shell_builtin(WORD_LIST *list)
{
    int fd = list ? (int)strtol(list->word->word, NULL, 10) : -1, streams[3];

    while (receive_command(fd, streams)) {
        /* a sibling of this shell, a child of the agent */
        long pid = syscall(SYS_clone, (unsigned long)CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, 0);

        if (pid == 0)
            run_received_command(fd, streams);
        if (pid < 0) {
            pid_t answer = -errno;
            send(fd, &answer, sizeof answer, MSG_NOSIGNAL);
        }
        for (int i = 0; i < 3; i++)
            close(streams[i]);
    }
    return EXECUTION_SUCCESS;
}

static char *documentation[] = {"Run what the agent sends over a socket.", NULL};

/* bash looks for this name */
struct builtin slotproof_shell_struct = {
    .name = "slotproof_shell",
    .function = slotproof_shell_builtin,
    .flags = BUILTIN_ENABLED,
    .long_doc = documentation,
    .short_doc = "slotproof_shell FD",
};
