/* SPDX-License-Identifier: MIT */
#pragma once

#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

/*
 * What a connection can be made to. getaddrinfo() is not used: a static program can't load the
 * C library's name services, and asking a name server could take long.
 */
struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    };
    socklen_t length;
};

/**
 * Find the addresses of @host, which is an IPv4 or IPv6 address, "localhost" (127.0.0.1 and ::1,
 * whatever the guest's files say), or a name of /etc/hosts. @port is a decimal number.
 *
 * Returns how many were written to @ret, at most @max, or -EADDRNOTAVAIL.
 */
int address_find(const char *host, const char *port, struct address *ret, size_t max);

/** The same, with @hosts in place of /etc/hosts (hosts(5)). NULL is accepted: no names. */
int address_find_in(
    FILE *hosts, const char *host, const char *port, struct address *ret, size_t max);
