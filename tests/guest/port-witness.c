/* SPDX-License-Identifier: MIT */

/*
 * Shows which ports a firewall lets in, whether or not a program listens or answers there. A raw
 * socket gets each packet for this host that the rules have let in.
 *
 * Runs until SIGTERM or SIGINT, and then prints a line for each port, such as "wan tcp4 443".
 */

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define INTERFACES_MAX 16
#define PORTS 65536
#define BUFFER_BYTES (32 * 1024 * 1024)

static const struct {
    const char *name;
    int family;
    int protocol;
} kinds[] = {
    {"tcp4", AF_INET, IPPROTO_TCP},
    {"udp4", AF_INET, IPPROTO_UDP},
    {"tcp6", AF_INET6, IPPROTO_TCP},
    {"udp6", AF_INET6, IPPROTO_UDP},
};
#define KINDS (sizeof kinds / sizeof *kinds)

static bool seen[KINDS][INTERFACES_MAX][PORTS];

static int open_socket(size_t kind)
{
    bool is_v6 = kinds[kind].family == AF_INET6;
    int on = 1, size = BUFFER_BYTES;
    int fd = socket(kinds[kind].family, SOCK_RAW | SOCK_CLOEXEC, kinds[kind].protocol);

    if (fd < 0 ||
        setsockopt(fd, is_v6 ? IPPROTO_IPV6 : IPPROTO_IP, is_v6 ? IPV6_RECVPKTINFO : IP_PKTINFO,
            &on, sizeof on) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
        return -1;
    return fd;
}

/* The number of the interface on which a packet arrived; 0 if unknown. */
static unsigned find_interface(struct msghdr *message)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        struct in_pktinfo v4;
        struct in6_pktinfo v6;

        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            memcpy(&v4, CMSG_DATA(c), sizeof v4);
            return (unsigned)v4.ipi_ifindex;
        }
        if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            memcpy(&v6, CMSG_DATA(c), sizeof v6);
            return (unsigned)v6.ipi6_ifindex;
        }
    }
    return 0;
}

/* Record the port of one packet. A raw socket for IPv4 passes the IP header too. */
static void read_packet(size_t kind, int fd)
{
    uint8_t packet[256];
    char control[256];
    struct iovec part = {packet, sizeof packet};
    struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = sizeof control,
    };
    ssize_t length = recvmsg(fd, &message, MSG_DONTWAIT);
    size_t header = kinds[kind].family == AF_INET && length > 0 ? (packet[0] & 15u) * 4u : 0;
    unsigned interface = find_interface(&message);

    if (length < 0 || (size_t)length < header + 4 || interface >= INTERFACES_MAX)
        return;
    seen[kind][interface][packet[header + 2] << 8 | packet[header + 3]] = true;
}

static void print_ports(size_t kind, unsigned interface)
{
    char name[IF_NAMESIZE] = "?";

    (void)if_indextoname(interface, name);
    for (unsigned port = 0; port < PORTS; port++) {
        if (seen[kind][interface][port])
            printf("%s %s %u\n", name, kinds[kind].name, port);
    }
}

int main(void)
{
    struct pollfd fds[KINDS + 1];
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    fds[KINDS] = (struct pollfd){.fd = signalfd(-1, &signals, SFD_CLOEXEC), .events = POLLIN};
    for (size_t i = 0; i < KINDS; i++) {
        fds[i] = (struct pollfd){.fd = open_socket(i), .events = POLLIN};
        if (fds[i].fd < 0) {
            fprintf(stderr, "port-witness: %s: %s\n", kinds[i].name, strerror(errno));
            return 1;
        }
    }
    while (poll(fds, KINDS + 1, -1) > 0 && !fds[KINDS].revents) {
        for (size_t i = 0; i < KINDS; i++) {
            if (fds[i].revents)
                read_packet(i, fds[i].fd);
        }
    }
    for (size_t i = 0; i < KINDS; i++) {
        for (unsigned interface = 0; interface < INTERFACES_MAX; interface++)
            print_ports(i, interface);
    }
    return fflush(stdout) == 0 ? 0 : 1;
}
