/* SPDX-License-Identifier: MIT */

/* Host names and addresses, without the C library's name services. */

#include "agent/address.h"

#include "lib/cleanup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HOSTS_PATH "/etc/hosts"
#define SEPARATORS " \t\r\n"

static bool parse_port_number(const char *text, in_port_t *ret)
{
    unsigned long number = 0;

    for (const char *p = text; *p; p++) {
        if (*p < '0' || *p > '9')
            return false;
        number = number * 10 + (unsigned long)(*p - '0');
        if (number > UINT16_MAX)
            return false;
    }
    *ret = htons((uint16_t)number);
    return *text != '\0';
}

/* A scope as in fe80::1%eth0: an interface's name or number; 0 if there is no such interface. */
static uint32_t parse_scope(const char *text)
{
    unsigned index = if_nametoindex(text);
    unsigned long number;
    char *end;

    if (index != 0)
        return index;
    number = strtoul(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && number <= UINT32_MAX ? (uint32_t)number
                                                                                : 0;
}

static bool parse_ipv6_address(const char *text, in_port_t port, struct address *ret)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = port};
    char address[INET6_ADDRSTRLEN];
    size_t length = strcspn(text, "%");

    if (length >= sizeof address)
        return false;
    memcpy(address, text, length);
    address[length] = '\0';
    if (inet_pton(AF_INET6, address, &in6.sin6_addr) != 1)
        return false;
    if (text[length] == '%') {
        in6.sin6_scope_id = parse_scope(text + length + 1);
        if (in6.sin6_scope_id == 0)
            return false;
    }
    *ret = (struct address){.in6 = in6, .length = sizeof in6};
    return true;
}

static bool parse_address(const char *text, in_port_t port, struct address *ret)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = port};

    /* inet_aton() takes short forms as well (127.1), but would take anything behind a space. */
    if (!strpbrk(text, SEPARATORS) && inet_aton(text, &in.sin_addr) != 0) {
        *ret = (struct address){.in = in, .length = sizeof in};
        return true;
    }
    return parse_ipv6_address(text, port, ret);
}

/* True if @line, which is taken apart, gives @host an address. */
static bool parse_hosts_line(char *line, const char *host, in_port_t port, struct address *ret)
{
    const char *text, *name;
    char *rest;

    line[strcspn(line, "#")] = '\0';
    text = strtok_r(line, SEPARATORS, &rest);
    while (text && (name = strtok_r(NULL, SEPARATORS, &rest))) {
        if (strcasecmp(name, host) == 0)
            return parse_address(text, port, ret);
    }
    return false;
}

static size_t find_name(
    FILE *hosts, const char *host, in_port_t port, struct address *ret, size_t max)
{
    sp_auto_free char *line = NULL;
    size_t size = 0, n = 0;

    while (n < max && getline(&line, &size, hosts) >= 0) {
        if (parse_hosts_line(line, host, port, &ret[n]))
            n++;
    }
    return n;
}

int address_find_in(
    FILE *hosts, const char *host, const char *port, struct address *ret, size_t max)
{
    in_port_t number;
    size_t n = 0;

    if (max == 0 || !parse_port_number(port, &number))
        return -EADDRNOTAVAIL;
    if (strcmp(host, "localhost") == 0) {
        n += parse_address("127.0.0.1", number, &ret[n]);
        n += n < max && parse_address("::1", number, &ret[n]);
    } else if (parse_address(host, number, &ret[0])) {
        n = 1;
    } else if (hosts) {
        n = find_name(hosts, host, number, ret, max);
    }
    return n > 0 ? (int)n : -EADDRNOTAVAIL;
}

int address_find(const char *host, const char *port, struct address *ret, size_t max)
{
    sp_auto_fclose FILE *hosts = fopen(HOSTS_PATH, "re");

    return address_find_in(hosts, host, port, ret, max);
}
