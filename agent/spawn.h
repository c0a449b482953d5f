/* SPDX-License-Identifier: MIT */
#pragma once

#include "lib/agent-frame.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/** What an EXEC asks for. The strings point into its payload. */
struct spawn_request {
    bool is_pty;
    uint16_t rows, columns;
    char **argv;
    char **env; /* with defaults for what the request leaves out; in the same block as argv */
    bool keeps_oom_score; /* keep the agent's protection from the OOM killer */
};

/** Parse the payload of an EXEC. Returns 0, -EPROTO or -ENOMEM. */
int spawn_parse(struct sp_payload *payload, struct spawn_request *ret_request);
/** Describe a command of our own, with the default environment. @argv, which is ended by NULL, is
 * not copied. Returns 0 or -ENOMEM. */
int spawn_make(struct spawn_request *request, const char *const argv[]);
/** Find the file @name in the agent's own directory. Returns false if it is not there. */
bool spawn_find_beside(const char *name, char ret_path[static PATH_MAX]);
/** Whether it sets no variables of its own. */
bool spawn_has_default_env(const struct spawn_request *request);
void spawn_request_clear(struct spawn_request *request);

/**
 * Start a command in a session of its own, in "/", with default signals and no descriptors but its
 * streams: @streams, or if @terminal is not NULL the pty of this path, which becomes its
 * controlling terminal. The program is searched for in the request's own PATH.
 *
 * Returns 0 or a negative errno, which may be that of execve().
 */
int spawn_start(const struct spawn_request *request, const int streams[static 3],
    const char *terminal, pid_t *ret_pid);
