/* SPDX-License-Identifier: MIT */
#pragma once

#include "network/endpoint.h"

#include <glib.h>
#include <stdbool.h>

/**
 * Port scan: which TCP and UDP ports of a target address answer, and how.
 *
 * # How it is proved that a silent port is silent
 *
 * A missing answer alone proves nothing: the probe may have been lost. So:
 *
 * 1. Probes go out in windows of at most SP_PORT_SCAN_TCP_WINDOW_MAX or
 *    SP_PORT_SCAN_UDP_WINDOW_MAX. The last frame of each is a sentinel that the target's stack
 *    answers below what a firewall for IP sees: an ARP probe (RFC 5227, 2.1.1: a request from
 *    0.0.0.0, which a host must answer without adding to its table), or for IPv6 a neighbour
 *    solicitation, which the rules of any reachable host let in. Each carries the number of its
 *    window in the address that the answer goes to, so that a late answer is not mistaken for that
 *    of a later window.
 * 2. Everything between here and the target's stack keeps the order, and waits instead of dropping
 *    frames: the switch's queue (which counts what it drops), a stream socket, QEMU, which stops
 *    reading while the card is full, and the card's single ring. An answered sentinel proves that
 *    the probes before it were received and processed.
 * 3. A window whose sentinel is not answered is repeated for the ports that have not answered yet,
 *    and so is one during which either of the two ports of the switch that are involved counted a
 *    dropped frame. Windows shrink when that happens and grow when it does not.
 * 4. An answer may still be lost in the target, or be overtaken by that to the sentinel. A queueing
 *    discipline such as fq_codel serves flows in turn. And Linux sends resets and ICMP errors
 *    through sockets of its own, which drop what does not fit into their buffers until the card has
 *    taken the rest (net.core.wmem_default, some 270 resets; 2 * 64 KiB, some 170 errors: its
 *    net/ipv4/ip_output.c and icmp.c). With windows of 512, up to 1 of 200 errors of a guest under
 *    TCG were lost; with the sizes here, none. So windows are smaller than that, answers count
 *    whenever they come, and after each round sentinels are sent until no more answers come in
 *    before that to the sentinel. Then all silent ports are probed again from another source port,
 *    in rounds, until a whole round has changed nothing. If SP_PORT_SCAN_ROUNDS_MAX rounds are not
 *    enough, the call fails: it never reports a silence that it has reason to doubt.
 *
 * # Limits
 *
 * - Rules for ARP (tables of family arp, netdev or bridge), a sysctl such as arp_ignore, or an IPv6
 *   ruleset without neighbour discovery keep sentinels from being answered: the call fails.
 * - A card with several queues, or receive packet steering, does not keep the order of different
 *   flows: a sentinel may overtake a probe. Then only the second round helps.
 * - Linux limits its ICMP errors: one per second to each host (net.ipv4.icmp_ratelimit; bursts of
 *   6) and 1,000 per second to all (icmp_msgs_per_sec), and ICMPv6 errors likewise
 *   (net.ipv6.icmp.ratelimit). Closed UDP ports beyond that, and TCP ports that a ruleset rejects
 *   with ICMP, are really silent. As each round then gets a few more answers, the call usually
 *   fails as described under 4. To tell closed UDP ports from filtered ones, the target needs
 *   net.ipv4.icmp_ratelimit=0, net.ipv4.icmp_msgs_per_sec=1000000, net.ipv4.icmp_msgs_burst=1000000
 *   and net.ipv6.icmp.ratelimit=0. Resets are not limited.
 * - A full connection tracking table (nf_conntrack_max) drops packets in the target's firewall.
 *   Only probes that its rules accept take an entry each.
 * - A UDP service that ignores what it does not understand is as silent as a filter. Known ports
 *   are sent a valid request (DNS, NTP, OpenVPN), all others an empty datagram.
 * - Any answer counts that names the address and quotes the probe, not only those from the MAC
 *   address that was resolved: rather one answering port too many than one too few.
 */
#define SP_PORT_SCAN_PORTS 65536u
#define SP_PORT_SCAN_TCP_WINDOW_MAX 256u
#define SP_PORT_SCAN_UDP_WINDOW_MAX 128u
#define SP_PORT_SCAN_ROUNDS_MAX 4u

typedef enum { SP_PORT_SCAN_TCP, SP_PORT_SCAN_UDP } SpPortScanProtocol;

/** What is known about a port. A stronger answer replaces a weaker one, in this order. */
typedef enum {
    SP_PORT_SCAN_NONE,     /* not scanned */
    SP_PORT_SCAN_SILENT,   /* no answer: dropped */
    SP_PORT_SCAN_REJECTED, /* another ICMP error, such as "administratively prohibited" */
    SP_PORT_SCAN_CLOSED,   /* a reset, or "port unreachable" */
    SP_PORT_SCAN_OPEN,     /* a SYN-ACK, which gets a reset; any UDP answer */
} SpPortScanState;

/** "open", "closed", "rejected", "silent"; "none" for anything else. */
const char *sp_port_scan_state_name(SpPortScanState state);

typedef struct {
    guint64 probes; /* frames sent, without sentinels */
    guint windows;
    guint repeated; /* windows, because a sentinel was not answered or a frame was dropped */
    guint rounds;
    guint late; /* ports that first answered after the first round */
    gint64 time_us;
} SpPortScanStats;

/**
 * Scan @ports (NULL: 1 to 65535) of @target, which must be on the link.
 *
 * @ret_states gets a SpPortScanState for each port number, @ret_stats may be NULL; both are
 * untouched on failure. SP_ERROR_TIMEOUT at @deadline, or when the target does not answer any ARP
 * request (neighbour solicitation) for SP_PORT_SCAN_PATIENCE_MS, or the link loses so much that no
 * window gets through; SP_ERROR_MACHINE when the target's machine goes away; SP_ERROR_GUEST when
 * further ports still answer after SP_PORT_SCAN_ROUNDS_MAX rounds; SP_ERROR_USAGE if the endpoint
 * has no address of the family; SP_ERROR_INTERRUPTED.
 */
#define SP_PORT_SCAN_PATIENCE_MS 10000
bool sp_port_scan_run(SpEndpoint *endpoint, const SpIp *target, SpPortScanProtocol protocol,
    const guint16 *ports, gsize n_ports, gint64 deadline, const SpInterrupt *interrupt,
    guint8 ret_states[SP_PORT_SCAN_PORTS], SpPortScanStats *ret_stats,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
