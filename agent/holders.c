/* SPDX-License-Identifier: MIT */

/* Processes that hold a command's output open, found in /proc. */

#include "agent/holders.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KTHREADD 2

struct process {
    pid_t pid;
    char name[17];
    char state;
    pid_t parent;
    pid_t session;
};

/* Called for each process; returns false to stop. */
typedef bool (*process_func)(const struct process *process, void *data);

ino_t holders_pipe(int fd)
{
    struct stat st;

    return fd >= 0 && fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) ? st.st_ino : 0;
}

/* "PID (NAME) STATE PPID PGRP SESSION ...", where the name may contain anything. */
static bool parse_process_stat(char *text, struct process *ret)
{
    char *begin = strchr(text, '('), *end = strrchr(text, ')');
    int parent, group, session;

    if (!begin || !end || end < begin)
        return false;
    *end = '\0';
    snprintf(ret->name, sizeof ret->name, "%s", begin + 1);
    if (sscanf(end + 1, " %c %d %d %d", &ret->state, &parent, &group, &session) != 4)
        return false;
    ret->parent = parent;
    ret->session = session;
    return true;
}

static bool read_process(const char *number, struct process *ret)
{
    char path[64], text[512];
    ssize_t length;
    int fd;

    ret->pid = (pid_t)strtol(number, NULL, 10);
    snprintf(path, sizeof path, "/proc/%d/stat", (int)ret->pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    length = read(fd, text, sizeof text - 1);
    close(fd);
    if (length <= 0)
        return false;
    text[length] = '\0';
    return parse_process_stat(text, ret);
}

static void visit_processes(process_func func, void *data)
{
    DIR *dir = opendir("/proc");
    struct dirent *entry;
    struct process process;
    bool goes_on = true;

    while (dir && goes_on && (entry = readdir(dir))) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9' ||
            !read_process(entry->d_name, &process) || process.pid == getpid() ||
            process.parent == KTHREADD)
            continue;
        goes_on = func(&process, data);
    }
    if (dir)
        closedir(dir);
}

static bool is_link_to_pipe(const char *link, const ino_t *pipes, size_t n)
{
    char name[64];

    for (size_t i = 0; i < n; i++) {
        snprintf(name, sizeof name, "pipe:[%llu]", (unsigned long long)pipes[i]);
        if (pipes[i] != 0 && strcmp(link, name) == 0)
            return true;
    }
    return false;
}

static bool process_holds(pid_t pid, const ino_t *pipes, size_t n)
{
    char path[64], link[64];
    struct dirent *entry;
    bool found = false;
    DIR *dir;

    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    dir = opendir(path);
    while (dir && !found && (entry = readdir(dir))) {
        ssize_t length = readlinkat(dirfd(dir), entry->d_name, link, sizeof link - 1);
        if (length <= 0)
            continue;
        link[length] = '\0';
        found = is_link_to_pipe(link, pipes, n);
    }
    if (dir)
        closedir(dir);
    return found;
}

struct search {
    pid_t session;
    const ino_t *pipes;
    size_t n;
    bool found;
    char *text;
    size_t size;
};

static bool note_if_busy(const struct process *process, void *data)
{
    struct search *search = data;

    if (process->state == 'R' || process->state == 'D')
        search->found = process->session == search->session ||
                        process_holds(process->pid, search->pipes, search->n);
    return !search->found;
}

bool holders_are_busy(pid_t session, const ino_t *pipes, size_t n)
{
    struct search search = {.session = session, .pipes = pipes, .n = n};

    visit_processes(note_if_busy, &search);
    return search.found;
}

static bool add_holder_name(const struct process *process, void *data)
{
    struct search *search = data;
    size_t used = strlen(search->text);

    if (process_holds(process->pid, search->pipes, search->n))
        snprintf(search->text + used, search->size - used, "%s%s (pid %d)", used > 0 ? ", " : "",
            process->name, (int)process->pid);
    return true;
}

void holders_describe(const ino_t *pipes, size_t n, char *ret_text, size_t size)
{
    struct search search = {.pipes = pipes, .n = n, .text = ret_text, .size = size};

    ret_text[0] = '\0';
    visit_processes(add_holder_name, &search);
}
