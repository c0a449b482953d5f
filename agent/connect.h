/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

/**
 * slotproof-agent connect HOST PORT: connects stdin and stdout to a TCP connection to PORT of HOST
 * (an address, or a name of /etc/hosts). The end of one direction is passed on, while the other
 * goes on. If the peer ended its direction in order, SP_CONNECT_END is written to stderr before
 * stdout is closed. The driver runs this to forward a port.
 *
 * Returns the exit status: 0 if both directions came to their end, 1 with a message on stderr if
 * the connection could not be made or was lost, 2 for wrong usage.
 */
int connect_main(int argc, char **argv);

/** Whether the connected socket @fd is its own peer. With TCP this happens if nothing listens on a
 * port and the kernel chooses that same port as the connection's source port. */
bool connect_is_to_itself(int fd);
