/* SPDX-License-Identifier: MIT */
#pragma once

#include "network/address.h"

#include <glib.h>
#include <linux/if_ether.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <stdbool.h>

/**
 * Parses and builds Ethernet frames: ARP, IPv4 and IPv6, and in them ICMP,
 * ICMPv6 with neighbour discovery, UDP and TCP. Pure functions of bytes and length.
 *
 *     SpPacket packet = {.kind = SP_PACKET_UDP, .destination = theirs, .source = ours,
 *         .from = from, .to = to, .from_port = 4000, .to_port = 123};
 *     sp_packet_build(&packet, frame);
 *
 * Sources: Ethernet II as in RFC 894 and RFC 2464; ARP, RFC 826; IPv4, RFC 791; IPv6, RFC 8200;
 * ICMP, RFC 792; ICMPv6, RFC 4443; neighbour discovery, RFC 4861; UDP, RFC 768; TCP, RFC 9293;
 * the checksum, RFC 1071. Their numbers are called as in the system headers included here.
 */
typedef enum {
    SP_PACKET_OTHER, /* of any other EtherType, such as a VLAN tag */
    SP_PACKET_ARP,
    SP_PACKET_IP,   /* of another protocol, or a fragment */
    SP_PACKET_ICMP, /* ICMPv6 if @from is an IPv6 address */
    SP_PACKET_UDP,
    SP_PACKET_TCP,
} SpPacketKind;

typedef struct {
    SpPacketKind kind;
    SpMac destination, source; /* of the frame */
    guint16 ether_type;        /* to build: only of OTHER */

    SpIp from, to; /* of ARP: sender and target */
    struct {
        guint16 operation; /* ARPOP_REQUEST, ARPOP_REPLY */
        SpMac sender, target;
    } arp;

    guint8 protocol;  /* of IP; to build: only of IP */
    guint8 hop_limit; /* TTL; to build: 0 means 64 */
    bool is_fragment;
    struct {
        guint8 type, code;
        guint32 rest; /* the second 4 bytes of the header; of an echo, identifier and number */
    } icmp;
    guint16 from_port, to_port; /* of UDP and TCP */
    struct {
        guint32 sequence, acknowledgment;
        guint8 flags; /* TH_SYN and so on */
        guint16 window;
    } tcp;

    const guint8 *payload; /* what follows these headers; parsed: within the frame */
    gsize payload_length;
} SpPacket;

/**
 * Parse a frame.
 *
 * Returns false, with @ret_packet untouched, if it is truncated or has a wrong length or checksum:
 * what a kernel drops. Options and extension headers are skipped.
 */
bool sp_packet_parse(const guint8 *frame, gsize length, SpPacket *ret_packet);

/**
 * Build a frame, with its lengths and checksums, in @frame, whose contents it replaces.
 *
 * Returns false, and empties @frame, if @from and @to are not of one family or the payload is too
 * long. Sources, flags and codes are used as given, true or not.
 */
bool sp_packet_build(const SpPacket *packet, GByteArray *frame);

/** The target whose link-layer address neighbour discovery asks for or announces. */
typedef struct {
    SpIp target;
    bool has_link; /* @link is that of the sender of a solicitation, the target's otherwise */
    SpMac link;
} SpNeighbour;

#define SP_NEIGHBOUR_PAYLOAD 24u /* a target and one option */

/** Returns false if @packet is not a solicitation or advertisement that is valid by RFC 4861, 7.1.
 */
bool sp_packet_get_neighbour(const SpPacket *packet, SpNeighbour *ret_neighbour);
/** Make @packet a solicitation or advertisement, as @type says; @payload must live as long. */
void sp_packet_set_neighbour(SpPacket *packet, guint8 type, const SpNeighbour *neighbour,
    guint8 payload[SP_NEIGHBOUR_PAYLOAD]);

/**
 * The packet that an ICMP or ICMPv6 error quotes: addresses, protocol, and of UDP or TCP the ports
 * and sequence number. Returns false if it is not an error or quotes too little.
 */
bool sp_packet_get_quote(const SpPacket *packet, SpPacket *ret_quote);
