/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A waiting shell: a short command spends most of its time in the start of bash. So one bash is
 * started in advance, and forks for each command. The command behaves as under 'bash -c', down to
 * $$ and $PPID. This works only for commands with the agent's default environment.
 */

#include "agent/spawn.h"

/**
 * Start the waiting shell, unless it runs already or there can't be one here. Does not wait for it.
 * To be called when a driver connects, so that the shell is up before the first command and is part
 * of a checkpoint.
 */
void shell_prepare(void);

/**
 * Have the waiting shell start @request's command. Returns false if it is not a command for such a
 * shell, or if there is no such shell: it must then be started with spawn_start(). To be called by
 * one thread only.
 */
bool shell_start(const struct spawn_request *request, const int streams[static 3], pid_t *ret_pid);
