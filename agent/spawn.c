/* SPDX-License-Identifier: MIT */

/* Requests to start a program, and how it is started. */

#include "agent/spawn.h"

#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const default_env[] = {
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/root",
    "USER=root",
    "LOGNAME=root",
    "SHELL=/bin/bash",
    "LANG=C.UTF-8",
    "TERM=linux",
};
#define N_DEFAULTS (sizeof default_env / sizeof *default_env)

/* Returns the value in @env (ended by NULL) of the variable of @entry, "NAME=..."; NULL if it has
 * none. */
static const char *find_variable(char *const *env, const char *entry)
{
    size_t length = (size_t)(strchr(entry, '=') - entry) + 1;

    for (; *env; env++) {
        if (strncmp(*env, entry, length) == 0)
            return *env + length;
    }
    return NULL;
}

static size_t count_strings(const struct sp_payload *payload)
{
    size_t n = 0;

    for (size_t i = 0; i < payload->left; i++)
        n += payload->data[i] == 0;
    return n;
}

/* Two lists in one block, each ended by NULL. */
static int take_strings(struct sp_payload *payload, uint32_t argc, struct spawn_request *request)
{
    size_t n_strings = count_strings(payload), n_env;
    char **list, **env;
    const char *text;

    if (argc < 1 || argc > n_strings)
        return -EPROTO;
    list = calloc(n_strings + N_DEFAULTS + 2, sizeof *list);
    if (!list)
        return -ENOMEM;
    env = list + argc + 1;
    for (size_t i = 0; payload->left > 0; i++) {
        if (sp_payload_take_string(payload, &text) < 0) {
            free(list);
            return -EPROTO;
        }
        /* execve() takes char *, but changes nothing */
        (i < argc ? list : list + 1)[i] = (char *)(uintptr_t)text;
    }
    n_env = n_strings - argc;
    for (size_t i = 0; i < N_DEFAULTS; i++) {
        if (!find_variable(env, default_env[i]))
            env[n_env++] = (char *)(uintptr_t)default_env[i];
    }
    request->argv = list;
    request->env = env;
    return 0;
}

int spawn_parse(struct sp_payload *payload, struct spawn_request *ret_request)
{
    struct spawn_request request = {0};
    uint32_t flags, argc;
    int r;

    if (sp_payload_take_u32(payload, &flags) < 0 ||
        sp_payload_take_u16(payload, &request.rows) < 0 ||
        sp_payload_take_u16(payload, &request.columns) < 0 ||
        sp_payload_take_u32(payload, &argc) < 0 || (flags & ~(uint32_t)SP_EXEC_PTY))
        return -EPROTO;
    request.is_pty = flags & SP_EXEC_PTY;
    r = take_strings(payload, argc, &request);
    if (r == 0)
        *ret_request = request;
    return r;
}

int spawn_make(struct spawn_request *request, const char *const argv[])
{
    size_t argc = 0;
    char **list;

    while (argv[argc])
        argc++;
    list = calloc(argc + N_DEFAULTS + 2, sizeof *list);
    if (!list)
        return -ENOMEM;
    /* execve() takes char *, but changes nothing */
    for (size_t i = 0; i < argc; i++)
        list[i] = (char *)(uintptr_t)argv[i];
    for (size_t i = 0; i < N_DEFAULTS; i++)
        list[argc + 1 + i] = (char *)(uintptr_t)default_env[i];
    *request = (struct spawn_request){.argv = list, .env = list + argc + 1};
    return 0;
}

bool spawn_has_default_env(const struct spawn_request *request)
{
    size_t n = 0;

    while (request->env[n] && n < N_DEFAULTS && request->env[n] == default_env[n])
        n++;
    return n == N_DEFAULTS && !request->env[n];
}

void spawn_request_clear(struct spawn_request *request)
{
    free(request->argv);
    request->argv = request->env = NULL;
}

bool spawn_find_beside(const char *name, char ret_path[static PATH_MAX])
{
    size_t size = strlen(name) + 1;
    ssize_t length = readlink("/proc/self/exe", ret_path, PATH_MAX - size);

    if (length <= 0)
        return false;
    while (length > 0 && ret_path[length - 1] != '/')
        length--;
    memcpy(ret_path + length, name, size);
    return access(ret_path, R_OK) == 0;
}

/* execvp() would search our own PATH. */
static int find_program(const struct spawn_request *request, char out[static PATH_MAX])
{
    const char *name = request->argv[0];
    const char *path = find_variable(request->env, "PATH=");
    struct stat st;
    int error = -ENOENT;

    if (strlen(name) >= PATH_MAX)
        return -ENAMETOOLONG;
    if (strchr(name, '/')) {
        memcpy(out, name, strlen(name) + 1);
        return 0;
    }
    while (*name && path && *path) {
        size_t length = strcspn(path, ":");
        int n = snprintf(out, PATH_MAX, "%.*s/%s", (int)length, path, name);
        path += length + (path[length] == ':');
        if (length > PATH_MAX || n < 0 || n >= PATH_MAX || stat(out, &st) < 0 ||
            !S_ISREG(st.st_mode))
            continue;
        if (access(out, X_OK) == 0)
            return 0;
        error = -EACCES;
    }
    return error;
}

/*
 * The agent is protected from the OOM killer, but its commands should not be. They inherit a score
 * of 0, and restore_oom_score() sets ours again. Returns a descriptor for that, or -1 if nothing
 * protects us.
 */
static int lower_oom_score(char saved[static 16])
{
    sp_auto_close int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : pread(fd, saved, 15, 0);

    if (n <= 0 || saved[0] != '-' || pwrite(fd, "0", 1, 0) < 0)
        return -1;
    saved[n] = 0;
    return sp_steal_fd(&fd);
}

static void restore_oom_score(int fd, const char *saved)
{
    if (fd < 0)
        return;
    if (pwrite(fd, saved, strlen(saved), 0) < 0)
        fprintf(stderr, "slotproof-agent: the OOM score can't be restored: %s\n", strerror(errno));
    close(fd);
}

static int add_stream_actions(
    posix_spawn_file_actions_t *actions, const int streams[static 3], const char *terminal)
{
    int r = 0;

    /* The first terminal that a new session opens becomes its controlling terminal. */
    if (terminal)
        r = posix_spawn_file_actions_addopen(actions, 0, terminal, O_RDWR, 0);
    for (int i = terminal ? 1 : 0; i < 3 && r == 0; i++)
        r = posix_spawn_file_actions_adddup2(actions, terminal ? 0 : streams[i], i);
    if (r == 0)
        r = posix_spawn_file_actions_addclosefrom_np(actions, 3);
    if (r == 0)
        r = posix_spawn_file_actions_addchdir_np(actions, "/");
    return r;
}

static int set_spawn_attributes(posix_spawnattr_t *attributes)
{
    sigset_t all, none;

    /* sigfillset() leaves out the C library's own signals, which posix_spawn() would set to
     * ignored. */
    memset(&all, 0xff, sizeof all);
    sigemptyset(&none);
    posix_spawnattr_setsigdefault(attributes, &all);
    posix_spawnattr_setsigmask(attributes, &none);
    return posix_spawnattr_setflags(
        attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
}

int spawn_start(const struct spawn_request *request, const int streams[static 3],
    const char *terminal, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    char program[PATH_MAX], saved[16] = "";
    pid_t pid;
    int r = find_program(request, program);
    int oom;

    if (r < 0)
        return r;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    r = add_stream_actions(&actions, streams, terminal);
    if (r == 0)
        r = set_spawn_attributes(&attributes);
    if (r == 0) {
        oom = request->keeps_oom_score ? -1 : lower_oom_score(saved);
        r = posix_spawn(&pid, program, &actions, &attributes, request->argv, request->env);
        restore_oom_score(oom, saved);
    }
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (r == 0)
        *ret_pid = pid;
    return -r;
}
