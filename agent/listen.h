/* SPDX-License-Identifier: MIT */
#pragma once

#include <sys/socket.h>

/**
 * Whether a TCP socket listens for connections from this guest to @address, an IPv4 or IPv6 address
 * with a port. Nobody is connected to: the kernel is asked (sock_diag(7)).
 *
 * Returns 1, 0, or a negative errno where only a connection can tell: -EADDRNOTAVAIL where the
 * address is not known to be the guest's own, -EOPNOTSUPP where the kernel has no tcp_diag.
 */
int listen_find(const struct sockaddr *address, socklen_t length);
