/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A shell that waits ready: most of the time of a short command goes into the start of its bash.
 * One bash is started once, and forks for each command. What it then does is what 'bash -c' does,
 * to $$ and $PPID; it can only be used for commands of the agent's own environment.
 */

#include "agent/spawn.h"

/**
 * Start the shell that waits, unless it already does or can't be had here. It is up some time
 * later. To be called when a driver comes, so that the shell is up before the first command, and is
 * part of a machine's saved state.
 */
void shell_prepare(void);

/**
 * Start @request's command by the shell that waits. False where it is none that such a shell runs,
 * or there is no such shell here: it must be started otherwise then. Called by one thread only.
 */
bool shell_start(const struct spawn_request *request, const int streams[static 3], pid_t *ret_pid);
