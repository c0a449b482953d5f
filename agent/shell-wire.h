/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Between the agent and its waiting shell, on a socket of whole messages (SOCK_SEQPACKET). The
 * agent sends a command's text, with its three streams as SCM_RIGHTS. The answer to each is the
 * command's PID, or a negative errno, as a pid_t.
 */

/* The kernel takes no longer argument of a program (MAX_ARG_STRLEN). */
#define SHELL_COMMAND_MAX (128 * 1024)
/* The builtin that turns bash into a waiting shell; it lies beside the agent. */
#define SHELL_BUILTIN "agent-shell-builtin.so"
