/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

/**
 * slotproof-agent connect HOST PORT: a TCP connection to PORT of HOST (an address, or a name of
 * /etc/hosts) gets what comes in on stdin, and what it sends goes to stdout. The end of either is
 * passed on as it comes, the other goes on. Before stdout is closed for an end in order,
 * SP_CONNECT_END goes to stderr. The driver runs this to forward a port.
 *
 * Returns the exit status: 0 if both directions came to their end, 1 with a message on stderr if
 * the connection could not be made or broke, 2 for wrong usage.
 */
int connect_main(int argc, char **argv);

/** Whether the connected socket @fd is its own peer, as TCP does it where nobody listens on a port
 * that happened to be the connection's own source port. */
bool connect_is_to_itself(int fd);
