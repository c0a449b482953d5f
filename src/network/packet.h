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
 * What is in an Ethernet frame, taken apart and put together: ARP, IPv4 and IPv6, and in them ICMP,
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
    SP_PACKET_OTHER, /* of its own EtherType; a VLAN's tag is one of these */
    SP_PACKET_ARP,
    SP_PACKET_IP,   /* of another protocol, or a fragment */
    SP_PACKET_ICMP, /* ICMPv6 where @from is an IPv6 address */
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
    guint8 hop_limit; /* TTL; to build: 0 stands for 64 */
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
 * Take a frame apart.
 *
 * False, with @ret_packet untouched, where it is cut short, or a length or checksum in it is wrong:
 * what a kernel drops. Options and extension headers are passed over.
 */
bool sp_packet_parse(const guint8 *frame, gsize length, SpPacket *ret_packet);

/**
 * Put a frame together, with its lengths and checksums; @frame gets nothing else.
 *
 * False, and @frame empty, where @from and @to are not of one family or the payload is too long.
 * Sources, flags, codes are what the caller says: they may be lies.
 */
bool sp_packet_build(const SpPacket *packet, GByteArray *frame);

/** Whose link-layer address is asked for, or told, by neighbour discovery. */
typedef struct {
    SpIp target;
    bool has_link; /* @link is that of the sender of a solicitation, the target's otherwise */
    SpMac link;
} SpNeighbour;

#define SP_NEIGHBOUR_PAYLOAD 24u /* a target and one option */

/** False where @packet is no solicitation or advertisement that RFC 4861, 7.1, lets count. */
bool sp_packet_get_neighbour(const SpPacket *packet, SpNeighbour *ret_neighbour);
/** Make @packet the solicitation or advertisement @type; @payload must live as long as it. */
void sp_packet_set_neighbour(SpPacket *packet, guint8 type, const SpNeighbour *neighbour,
    guint8 payload[SP_NEIGHBOUR_PAYLOAD]);

/**
 * What an ICMP or ICMPv6 error is about: addresses, protocol, and the ports and sequence number as
 * far as UDP or TCP are quoted. False where it is no error or quotes too little.
 */
bool sp_packet_get_quote(const SpPacket *packet, SpPacket *ret_quote);
