/* SPDX-License-Identifier: MIT */
#pragma once

#include <sys/socket.h>

/**
 * Whether a TCP socket listens for connections from this guest to @address, an IPv4 or IPv6 address
 * with a port. No connection is made: the kernel is asked (sock_diag(7)).
 *
 * Returns 1, 0, or a negative errno if only a connection can tell: -EADDRNOTAVAIL if the address is
 * not known to be the guest's own, -EOPNOTSUPP if the kernel has no tcp_diag.
 */
int listen_find(const struct sockaddr *address, socklen_t length);
