/* SPDX-License-Identifier: MIT */

/* The subcommand that carries stdin and stdout over a TCP connection. */

#include "agent/connect.h"

#include "agent/address.h"
#include "lib/agent-frame.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ADDRESSES_MAX 8

/* One direction of the connection. */
struct pump {
    int from, to; /* to: -1 once it is at its end */
    bool is_at_end;
    size_t begin, end;
    uint8_t data[65536];
};

bool connect_is_to_itself(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_storage storage;
    } ours = {0}, theirs = {0};
    socklen_t our_length = sizeof ours, their_length = sizeof theirs;

    return getsockname(fd, &ours.any, &our_length) == 0 &&
           getpeername(fd, &theirs.any, &their_length) == 0 && ours.any.sa_family != AF_UNIX &&
           our_length == their_length && memcmp(&ours, &theirs, our_length) == 0;
}

/* A connected socket, or a negative errno. */
static int connect_to_address(const struct address *address)
{
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int r = 0;

    if (fd < 0)
        return -errno;
    if (connect(fd, &address->any, address->length) < 0)
        r = -errno;
    else if (connect_is_to_itself(fd))
        r = -ECONNREFUSED;
    if (r == 0)
        return fd;
    close(fd);
    return r;
}

static int connect_to_host(const char *host, const char *port)
{
    struct address addresses[ADDRESSES_MAX];
    int n = address_find(host, port, addresses, ADDRESSES_MAX);
    int fd = n;

    for (int i = 0; i < n && (i == 0 || fd < 0); i++)
        fd = connect_to_address(&addresses[i]);
    return fd;
}

/* Nothing more goes in this direction. */
static void end_pump(struct pump *pump)
{
    if (pump->is_at_end && pump->to == STDOUT_FILENO)
        fputs(SP_CONNECT_END, stderr);
    /* a socket is closed for one direction only, since the other may go on; a pipe as a whole */
    if (shutdown(pump->to, SHUT_WR) < 0 && errno == ENOTSOCK)
        close(pump->to);
    pump->to = -1;
}

/* Returns 0, also at the end, or a negative errno. */
static int read_into_pump(struct pump *pump)
{
    ssize_t n = read(pump->from, pump->data, sizeof pump->data);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    pump->is_at_end = n == 0;
    pump->begin = 0;
    pump->end = (size_t)n;
    return 0;
}

static int write_from_pump(struct pump *pump)
{
    ssize_t n = write(pump->to, pump->data + pump->begin, pump->end - pump->begin);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    pump->begin += (size_t)n;
    return 0;
}

static struct pollfd describe_pump_wait(const struct pump *pump)
{
    if (pump->to < 0)
        return (struct pollfd){.fd = -1};
    if (pump->begin < pump->end)
        return (struct pollfd){.fd = pump->to, .events = POLLOUT};
    return (struct pollfd){.fd = pump->from, .events = POLLIN};
}

static int advance_pump(struct pump *pump)
{
    int r = pump->begin < pump->end ? write_from_pump(pump) : read_into_pump(pump);

    if (r < 0)
        pump->is_at_end = false;
    if (r < 0 || (pump->is_at_end && pump->begin == pump->end))
        end_pump(pump);
    return r;
}

/* Carries data until both directions are at their end. Returns the first error; even then the other
 * direction is carried on to its end. */
static int carry_both_ways(int fd)
{
    static struct pump pumps[2];
    int result = 0;

    pumps[0] = (struct pump){.from = STDIN_FILENO, .to = fd};
    pumps[1] = (struct pump){.from = fd, .to = STDOUT_FILENO};
    while (pumps[0].to >= 0 || pumps[1].to >= 0) {
        struct pollfd waits[2] = {describe_pump_wait(&pumps[0]), describe_pump_wait(&pumps[1])};

        if (poll(waits, 2, -1) < 0 && errno != EINTR)
            return -errno;
        for (int i = 0; i < 2; i++) {
            int r = waits[i].revents ? advance_pump(&pumps[i]) : 0;

            if (r < 0 && result == 0)
                result = r;
        }
    }
    return result;
}

static int set_nonblocking(int fd)
{
    return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

int connect_main(int argc, char **argv)
{
    int fd, r;

    if (argc != 3) {
        fputs("slotproof-agent: expected 'connect HOST PORT'\n", stderr);
        return 2;
    }
    fd = connect_to_host(argv[1], argv[2]);
    r = fd;
    if (fd >= 0 && (set_nonblocking(fd) < 0 || set_nonblocking(STDIN_FILENO) < 0 ||
                       set_nonblocking(STDOUT_FILENO) < 0))
        r = -errno;
    else if (fd >= 0)
        r = carry_both_ways(fd);
    if (fd >= 0)
        close(fd);
    if (r < 0)
        fprintf(stderr, "slotproof-agent: port %s of %s: %s\n", argv[2], argv[1], strerror(-r));
    return r < 0;
}
