/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Between the agent and its shell that waits ready, on a socket of whole messages: a command's
 * text, with its three streams as SCM_RIGHTS; and for each the number of its process, or -errno, as
 * a pid_t.
 */

/* The kernel takes no longer argument of a program (MAX_ARG_STRLEN), so there is no longer text. */
#define SHELL_COMMAND_MAX (128 * 1024)
/* The builtin that makes a shell such a one. */
#define SHELL_BUILTIN "agent-shell-builtin.so"
