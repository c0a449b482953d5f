/* SPDX-License-Identifier: MIT */
#pragma once

#include "network/endpoint.h"

#include <glib.h>
#include <stdbool.h>

/**
 * Which TCP and UDP ports of an address answer, and how.
 *
 * # How it is known that a silent port is silent
 *
 * No answer says nothing by itself: the probe may have been lost. So:
 *
 * 1. Probes go out in windows of at most SP_PORT_SCAN_TCP_WINDOW_MAX or
 * SP_PORT_SCAN_UDP_WINDOW_MAX. The last frame of each is a sentinel that the target's stack answers
 * below what a firewall for IP sees: an ARP probe (RFC 5227, 2.1.1: a request from 0.0.0.0, which a
 * host must answer and takes nothing into its table from), or for IPv6 a neighbour solicitation,
 * which a host's rules must let in for it to be reachable at all. Each carries the number of its
 * window in the address that the answer goes to, so that a late answer is not taken for a later
 * one.
 * 2. All between here and the target's stack keeps the order, and waits rather than drops: the
 *    switch's queue (which counts what it drops), a stream socket, QEMU, which stops reading it
 *    where the card has no room, and the card's one ring. A sentinel that was answered proves that
 *    the probes before it were taken in and dealt with.
 * 3. A window whose sentinel is not answered is sent again (what of it has not answered yet), and
 *    so is one during which a counter of dropped frames moved on the two ports of the switch that
 *    are involved. Windows shrink when that happens and grow when it does not.
 * 4. An answer may still get lost in the target, or be overtaken by the sentinel's. A queueing
 *    discipline such as fq_codel serves flows in turn. And Linux sends resets and ICMP errors
 *    through sockets of its own, which drop what their buffers have no room for until the card has
 *    taken the rest (net.core.wmem_default, some 270 resets; 2 * 64 KiB, some 170 errors: its
 *    net/ipv4/ip_output.c and icmp.c). With windows of 512, up to 1 of 200 errors of a guest under
 *    TCG was lost; with those here, none. So windows are smaller than that, answers count whenever
 *    they come, and after each round sentinels go on until one brings no more answers. Then all
 *    silent ports are probed again from another source port, in rounds, until a whole round has
 *    changed nothing. Where SP_PORT_SCAN_ROUNDS_MAX rounds do not get there, the call fails: it
 * never reports a silence that it has reason to doubt.
 *
 * # Where that ends
 *
 * - Rules for ARP (tables of family arp, netdev or bridge), a sysctl such as arp_ignore, or an IPv6
 *   ruleset without neighbour discovery keep sentinels from being answered: an error, no result.
 * - A card with several queues, or receive packet steering, keeps no order between flows: the
 *   sentinel may then pass a probe by. The second round is what remains.
 * - Linux limits its ICMP errors: one a second to each host (net.ipv4.icmp_ratelimit; bursts of 6)
 *   and 1,000 a second to all (icmp_msgs_per_sec), and ICMPv6 errors likewise
 *   (net.ipv6.icmp.ratelimit). Closed UDP ports beyond that, and TCP ports that a ruleset rejects
 *   with ICMP, are silent indeed. As each round then hears a few more, the call mostly fails as
 *   said under 4; a target of which closed UDP ports are to be told from filtered ones needs
 *   net.ipv4.icmp_ratelimit=0, net.ipv4.icmp_msgs_per_sec=1000000, net.ipv4.icmp_msgs_burst=1000000
 *   and net.ipv6.icmp.ratelimit=0. Resets are not limited.
 * - A full connection tracking table (nf_conntrack_max) drops packets in the target's firewall.
 *   What rules accept, and only that, takes an entry for each probe.
 * - A UDP service that does not answer to what it does not understand is as silent as a filter.
 *   Known ports are sent something that makes sense to them (DNS, NTP, OpenVPN), all others an
 *   empty datagram.
 * - Everybody's answers count that name the address and quote the probe, not just those from the
 *   MAC address that was resolved: better a port too many that answers than one too few.
 */
#define SP_PORT_SCAN_PORTS 65536u
#define SP_PORT_SCAN_TCP_WINDOW_MAX 256u
#define SP_PORT_SCAN_UDP_WINDOW_MAX 128u
#define SP_PORT_SCAN_ROUNDS_MAX 4u

typedef enum { SP_PORT_SCAN_TCP, SP_PORT_SCAN_UDP } SpPortScanProtocol;

/** What is known of a port; a stronger answer replaces a weaker one, in this order. */
typedef enum {
    SP_PORT_SCAN_NONE,     /* it was not asked for */
    SP_PORT_SCAN_SILENT,   /* no answer: dropped */
    SP_PORT_SCAN_REJECTED, /* another ICMP error, such as "administratively prohibited" */
    SP_PORT_SCAN_CLOSED,   /* a reset, or "port unreachable" */
    SP_PORT_SCAN_OPEN,     /* a SYN-ACK, which gets a reset; any UDP answer */
} SpPortScanState;

/** "open", "closed", "rejected", "silent"; "none" for anything else. */
const char *sp_port_scan_state_name(SpPortScanState state);

typedef struct {
    guint64 probes; /* frames sent, without sentinels */
    guint windows;  /* sent, */
    guint repeated; /* of those, as a sentinel was not answered or a frame was dropped */
    guint rounds;
    guint late; /* ports that first answered in a later round than the first */
    gint64 time_us;
} SpPortScanStats;

/**
 * Probe @ports (NULL: 1 to 65535) of @target, which is on the link.
 *
 * @ret_states gets a SpPortScanState for each port number, @ret_stats may be NULL; both are
 * untouched on failure. SP_ERROR_TIMEOUT at @deadline, or when the target does not answer ARP
 * (neighbour solicitations) at all for SP_PORT_SCAN_PATIENCE_MS, or the link loses so much that no
 * window gets through; SP_ERROR_MACHINE when the target's machine goes away; SP_ERROR_GUEST when
 * its answers are still not settled after SP_PORT_SCAN_ROUNDS_MAX rounds; SP_ERROR_USAGE where the
 * endpoint has no address of the family; SP_ERROR_INTERRUPTED.
 */
#define SP_PORT_SCAN_PATIENCE_MS 10000
bool sp_port_scan_run(SpEndpoint *endpoint, const SpIp *target, SpPortScanProtocol protocol,
    const guint16 *ports, gsize n_ports, gint64 deadline, const SpInterrupt *interrupt,
    guint8 ret_states[SP_PORT_SCAN_PORTS], SpPortScanStats *ret_stats,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
