/* SPDX-License-Identifier: MIT */

/* Listening TCP sockets, looked up in the kernel's tables. */

#include "agent/listen.h"

#include "lib/cleanup.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

/* What a connection would be made to. */
struct target {
    struct sockaddr_in6 in6;
    bool is_v4; /* its address is in the last four bytes of in6's */
};

/* A packet to one of the guest's own addresses would have that address as its source, or use the
 * loopback device. No packet is sent to find out. */
static bool is_own_address(const struct sockaddr *address, socklen_t length)
{
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } source = {0};
    socklen_t source_length = sizeof source;
    sp_auto_close int fd = socket(address->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, address, length) < 0 ||
        getsockname(fd, &source.any, &source_length) < 0)
        return false;
    if (address->sa_family == AF_INET) {
        struct in_addr wanted = ((const struct sockaddr_in *)address)->sin_addr;

        return ntohl(wanted.s_addr) >> IN_CLASSA_NSHIFT == IN_LOOPBACKNET ||
               wanted.s_addr == source.in.sin_addr.s_addr;
    }
    return memcmp(&source.in6.sin6_addr, &((const struct sockaddr_in6 *)address)->sin6_addr,
               sizeof source.in6.sin6_addr) == 0;
}

/* Link-local addresses are left out, since several links may have the same one. */
static bool parse_target_address(
    const struct sockaddr *address, socklen_t length, struct target *ret)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)address;
    struct target target = {0};

    if (address->sa_family == AF_INET && length >= sizeof *in) {
        target.is_v4 = true;
        target.in6.sin6_port = in->sin_port;
        memcpy(target.in6.sin6_addr.s6_addr + 12, &in->sin_addr, sizeof in->sin_addr);
    } else if (address->sa_family == AF_INET6 && length >= sizeof target.in6) {
        memcpy(&target.in6, address, sizeof target.in6);
        if (IN6_IS_ADDR_V4MAPPED(&target.in6.sin6_addr) ||
            IN6_IS_ADDR_LINKLOCAL(&target.in6.sin6_addr))
            return false;
    } else {
        return false;
    }
    if (!is_own_address(address, length))
        return false;
    *ret = target;
    return true;
}

static bool is_all_zero(const void *bytes, size_t length)
{
    static const uint8_t zeros[sizeof(struct in6_addr)];

    return memcmp(bytes, zeros, length) == 0;
}

/* Returns whether an IPv6 socket refuses IPv4, or -EOPNOTSUPP if the kernel does not say. */
static int is_v6_only(const struct nlmsghdr *header, const struct inet_diag_msg *message)
{
    const struct rtattr *attribute = (const void *)(message + 1);
    int left = (int)(header->nlmsg_len - NLMSG_LENGTH(sizeof *message));

    for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
        if (attribute->rta_type == INET_DIAG_SKV6ONLY)
            return *(const uint8_t *)RTA_DATA(attribute) != 0;
    }
    return -EOPNOTSUPP;
}

/* Returns 1 if this listening socket accepts the connection, 0 if not, or a negative errno. */
static int check_listener(const struct nlmsghdr *header, const struct target *target)
{
    const struct inet_diag_msg *message = NLMSG_DATA(header);
    const uint8_t *source = (const uint8_t *)message->id.idiag_src;
    const uint8_t *wanted = target->in6.sin6_addr.s6_addr;
    int r;

    if (header->nlmsg_len < NLMSG_LENGTH(sizeof *message))
        return -EPROTO;
    if (message->idiag_state != TCP_LISTEN || message->id.idiag_sport != target->in6.sin6_port)
        return 0;
    /* what goes to one of the guest's own addresses arrives through the loopback device */
    if (message->id.idiag_if != 0 && message->id.idiag_if != if_nametoindex("lo"))
        return 0;
    if (message->idiag_family == AF_INET)
        return target->is_v4 && (is_all_zero(source, 4) || memcmp(source, wanted + 12, 4) == 0);
    if (!target->is_v4)
        return is_all_zero(source, 16) || memcmp(source, wanted, 16) == 0;
    if (IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)source))
        return is_all_zero(source + 12, 4) || memcmp(source + 12, wanted + 12, 4) == 0;
    if (!is_all_zero(source, 16))
        return 0;
    r = is_v6_only(header, message);
    return r < 0 ? r : !r;
}

static int send_question(int fd, int family, const struct target *target)
{
    const struct {
        struct nlmsghdr header;
        struct inet_diag_req_v2 request;
    } question = {
        .header = {.nlmsg_len = sizeof question,
            .nlmsg_type = SOCK_DIAG_BY_FAMILY,
            .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .request = {.sdiag_family = (uint8_t)family,
            .sdiag_protocol = IPPROTO_TCP,
            .idiag_states = 1u << TCP_LISTEN,
            .id = {.idiag_sport = target->in6.sin6_port}},
    };

    return send(fd, &question, sizeof question, 0) < 0 ? -errno : 0;
}

/* The whole answer has to be read before the next question. */
static int read_listeners(int fd, const struct target *target)
{
    _Alignas(struct nlmsghdr) uint8_t buffer[32768];
    int result = 0;

    for (;;) {
        ssize_t n = recv(fd, buffer, sizeof buffer, 0);
        const struct nlmsghdr *header = (const struct nlmsghdr *)buffer;
        size_t left = n < 0 ? 0 : (size_t)n;

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EPROTO;
        for (; NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
            int r;

            if (header->nlmsg_type == NLMSG_DONE)
                return result;
            if (header->nlmsg_type == NLMSG_ERROR)
                return -EOPNOTSUPP;
            r = check_listener(header, target);
            if (result == 0 || r > 0)
                result = r;
        }
    }
}

int listen_find(const struct sockaddr *address, socklen_t length)
{
    static bool is_unsupported; /* asking again would start modprobe each time */
    sp_auto_close int fd = -1;
    struct target target;
    int r;

    if (is_unsupported)
        return -EOPNOTSUPP;
    if (!parse_target_address(address, length, &target))
        return -EADDRNOTAVAIL;
    fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    r = fd < 0 ? -EOPNOTSUPP : send_question(fd, AF_INET6, &target);
    if (r >= 0)
        r = read_listeners(fd, &target);
    if (r <= 0 && target.is_v4 && fd >= 0) {
        int v4 = send_question(fd, AF_INET, &target);

        if (v4 >= 0)
            v4 = read_listeners(fd, &target);
        r = v4 != 0 ? v4 : r;
    }
    is_unsupported = r == -EOPNOTSUPP;
    return r;
}
