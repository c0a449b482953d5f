/* SPDX-License-Identifier: MIT */
#include "network/endpoint.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void turn(void)
{
    while (g_main_context_iteration(NULL, FALSE))
        ;
}

/* Connect a machine. Returns its end of the cable. */
static int plug(SpSwitch *sw, SpPort **ret_port)
{
    int pair[2];

    check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    *ret_port = sp_switch_plug(sw, "machine", pair[1]);
    return pair[0];
}

/* Whatever went in, only whole frames come out. Returns their number. */
static guint64 read_frames(int fd)
{
    g_autofree guint8 *bytes = g_malloc(1024 * 1024);
    ssize_t n = recv(fd, bytes, 1024 * 1024, 0);
    guint64 count = 0;

    for (ssize_t at = 0; at < n; count++) {
        guint32 length;

        check(n - at >= 4);
        memcpy(&length, bytes + at, 4);
        length = GUINT32_FROM_BE(length);
        check(length >= SP_ETHERNET_FRAME_MIN && length <= SP_ETHERNET_FRAME_MAX &&
              n - at - 4 >= (ssize_t)length);
        check((bytes[at + 4 + 6] & 1) == 0); /* the source is not a group address */
        at += 4 + (ssize_t)length;
    }
    return count;
}

/* The input is what a machine's card sends into a network with another machine and an endpoint,
 * which may answer. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const SpMac mac = {{2, 0, 0, 0, 0, 2}};
    g_autoptr(SpSwitch) sw = sp_switch_new("1", 1);
    g_autoptr(SpEndpoint) endpoint = sp_endpoint_new(sw, "endpoint", &mac);
    g_autoptr(GBytes) kept = NULL;
    SpPort *port, *other_port;
    int fd = plug(sw, &port), other = plug(sw, &other_port);

    check(sp_endpoint_add_address(endpoint, "10.0.0.2/24", NULL));
    check(sp_endpoint_add_address(endpoint, "fd00::2/64", NULL));
    if (size > 65536)
        size = 65536; /* fits in a socket's buffer */
    if (size > 0)
        check(send(fd, data, size, MSG_NOSIGNAL) == (ssize_t)size);
    turn();
    check(read_frames(other) == sp_port_stats(other_port)->sent);
    check(read_frames(fd) == sp_port_stats(port)->sent);
    check(sp_port_is_connected(other_port));
    kept = sp_endpoint_receive(endpoint, NULL, NULL, 0, NULL, NULL);
    check(!kept || sp_port_stats(port)->received > 0);
    close(fd);
    turn();
    check(!sp_port_is_connected(port));
    close(other);
    return 0;
}
