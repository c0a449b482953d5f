/* SPDX-License-Identifier: MIT */
#include "network/packet.h"

#include "lib/byte-order.h"

#include <netinet/ip.h>
#include <string.h>

#define ARP_SIZE 28u
#define IPV4_SIZE 20u
#define IPV6_SIZE 40u
#define ICMP_SIZE 8u
#define UDP_SIZE 8u
#define TCP_SIZE 20u
#define QUOTE_SIZE 8u /* RFC 792: "64 bits of original data datagram" */
#define EXTENSIONS_MAX 8

/* RFC 1071. Only the last piece may have an odd length, and all together at most about 64 KiB, so
 * that @sum does not overflow. */
static guint32 add_words(guint32 sum, const guint8 *bytes, gsize length)
{
    for (; length >= 2; bytes += 2, length -= 2)
        sum += sp_get_be16(bytes);
    return length > 0 ? sum + (guint32)(bytes[0] << 8) : sum;
}

static guint16 fold_sum(guint32 sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (guint16)~sum;
}

/* Over the pseudo-header (RFC 768, RFC 9293 3.1, RFC 8200 8.1) and the @length bytes: 0 if they
 * contain the right checksum; the right checksum if they contain 0 in its place. ICMP has no
 * pseudo-header. */
static guint16 transport_checksum(const SpPacket *packet, const guint8 *bytes, gsize length)
{
    guint32 sum = 0;

    if (packet->protocol != IPPROTO_ICMP) {
        sum = add_words(sum, packet->from.bytes, sp_ip_size(&packet->from));
        sum = add_words(sum, packet->to.bytes, sp_ip_size(&packet->to));
        sum += (guint32)length + packet->protocol;
    }
    return fold_sum(add_words(sum, bytes, length));
}

static SpIp get_ip(const guint8 *bytes, bool is_v6)
{
    SpIp ip = {.is_v6 = is_v6};

    memcpy(ip.bytes, bytes, sp_ip_size(&ip));
    return ip;
}

static void set_payload(SpPacket *packet, const guint8 *bytes, gsize length)
{
    packet->payload = bytes;
    packet->payload_length = length;
}

/* RFC 826, for Ethernet and IPv4; anything else is OTHER. */
static bool parse_arp(SpPacket *packet)
{
    const guint8 *b = packet->payload;

    if (packet->payload_length < 8)
        return false;
    if (sp_get_be16(b) != ARPHRD_ETHER || sp_get_be16(b + 2) != ETH_P_IP)
        return true;
    if (packet->payload_length < ARP_SIZE || b[4] != SP_MAC_SIZE || b[5] != 4)
        return false;
    packet->kind = SP_PACKET_ARP;
    packet->arp.operation = sp_get_be16(b + 6);
    packet->arp.sender = sp_mac_read(b + 8);
    packet->from = get_ip(b + 14, false);
    packet->arp.target = sp_mac_read(b + 18);
    packet->to = get_ip(b + 24, false);
    set_payload(packet, b + ARP_SIZE, 0);
    return true;
}

static bool parse_udp(SpPacket *packet)
{
    const guint8 *b = packet->payload;
    gsize length;

    if (packet->payload_length < UDP_SIZE)
        return false;
    length = sp_get_be16(b + 4);
    if (length < UDP_SIZE || length > packet->payload_length)
        return false;
    /* 0: not computed, which IPv6 does not allow (RFC 8200, 8.1) */
    if (sp_get_be16(b + 6) == 0 ? packet->from.is_v6 : transport_checksum(packet, b, length) != 0)
        return false;
    packet->kind = SP_PACKET_UDP;
    packet->from_port = sp_get_be16(b);
    packet->to_port = sp_get_be16(b + 2);
    set_payload(packet, b + UDP_SIZE, length - UDP_SIZE);
    return true;
}

static bool parse_tcp(SpPacket *packet)
{
    const guint8 *b = packet->payload;
    gsize header;

    if (packet->payload_length < TCP_SIZE)
        return false;
    header = (gsize)(b[12] >> 4) * 4;
    if (header < TCP_SIZE || header > packet->payload_length ||
        transport_checksum(packet, b, packet->payload_length) != 0)
        return false;
    packet->kind = SP_PACKET_TCP;
    packet->from_port = sp_get_be16(b);
    packet->to_port = sp_get_be16(b + 2);
    packet->tcp.sequence = sp_get_be32(b + 4);
    packet->tcp.acknowledgment = sp_get_be32(b + 8);
    packet->tcp.flags = b[13];
    packet->tcp.window = sp_get_be16(b + 14);
    set_payload(packet, b + header, packet->payload_length - header);
    return true;
}

static bool parse_icmp(SpPacket *packet)
{
    const guint8 *b = packet->payload;

    if (packet->payload_length < ICMP_SIZE ||
        transport_checksum(packet, b, packet->payload_length) != 0)
        return false;
    packet->kind = SP_PACKET_ICMP;
    packet->icmp.type = b[0];
    packet->icmp.code = b[1];
    packet->icmp.rest = sp_get_be32(b + 4);
    set_payload(packet, b + ICMP_SIZE, packet->payload_length - ICMP_SIZE);
    return true;
}

static bool parse_transport(SpPacket *packet)
{
    packet->kind = SP_PACKET_IP;
    if (packet->is_fragment)
        return true;
    if (packet->protocol == IPPROTO_UDP)
        return parse_udp(packet);
    if (packet->protocol == IPPROTO_TCP)
        return parse_tcp(packet);
    if (packet->protocol == (packet->from.is_v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP))
        return parse_icmp(packet);
    return true;
}

/* RFC 791, 3.1. @is_quote: the packet may be truncated after its header. */
static bool parse_ipv4(SpPacket *packet, bool is_quote)
{
    const guint8 *b = packet->payload;
    gsize header, total;

    if (packet->payload_length < IPV4_SIZE || b[0] >> 4 != 4)
        return false;
    header = (gsize)(b[0] & 0xf) * 4;
    total = sp_get_be16(b + 2);
    if (header < IPV4_SIZE || header > packet->payload_length || total < header)
        return false;
    /* a router has decremented the TTL of what it quotes */
    if (!is_quote && (total > packet->payload_length || fold_sum(add_words(0, b, header)) != 0))
        return false;
    packet->is_fragment = (sp_get_be16(b + 6) & (IP_MF | IP_OFFMASK)) != 0;
    packet->hop_limit = b[8];
    packet->protocol = b[9];
    packet->from = get_ip(b + 12, false);
    packet->to = get_ip(b + 16, false);
    set_payload(packet, b + header, MIN(total, packet->payload_length) - header);
    return true;
}

/* RFC 8200, 4. The payload begins with the extension header that packet->protocol names. */
static bool skip_extension(SpPacket *packet)
{
    const guint8 *b = packet->payload;
    gsize length;

    if (packet->payload_length < 8)
        return false;
    length = packet->protocol == IPPROTO_FRAGMENT ? 8 : 8 + (gsize)b[1] * 8;
    if (length > packet->payload_length)
        return false;
    /* a fragment that is the whole packet does not count (RFC 8200, 4.5; RFC 6946) */
    if (packet->protocol == IPPROTO_FRAGMENT && (sp_get_be16(b + 2) & 0xfff9) != 0)
        packet->is_fragment = true;
    packet->protocol = b[0];
    set_payload(packet, b + length, packet->payload_length - length);
    return true;
}

static bool is_extension(guint8 protocol)
{
    return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING ||
           protocol == IPPROTO_FRAGMENT || protocol == IPPROTO_DSTOPTS;
}

static bool parse_ipv6(SpPacket *packet, bool is_quote)
{
    const guint8 *b = packet->payload;
    gsize length;

    if (packet->payload_length < IPV6_SIZE || b[0] >> 4 != 6)
        return false;
    length = sp_get_be16(b + 4);
    if (!is_quote && length > packet->payload_length - IPV6_SIZE)
        return false;
    packet->protocol = b[6];
    packet->hop_limit = b[7];
    packet->from = get_ip(b + 8, true);
    packet->to = get_ip(b + 24, true);
    set_payload(packet, b + IPV6_SIZE, MIN(length, packet->payload_length - IPV6_SIZE));
    for (int i = 0; is_extension(packet->protocol) && !packet->is_fragment; i++) {
        if (i >= EXTENSIONS_MAX || !skip_extension(packet))
            return false;
    }
    return true;
}

bool sp_packet_parse(const guint8 *frame, gsize length, SpPacket *ret_packet)
{
    SpPacket packet = {0};
    bool is_sound = true;

    if (length < ETH_HLEN)
        return false;
    packet.destination = sp_mac_read(frame);
    packet.source = sp_mac_read(frame + 6);
    packet.ether_type = sp_get_be16(frame + 12);
    set_payload(&packet, frame + ETH_HLEN, length - ETH_HLEN);
    if (packet.ether_type == ETH_P_ARP)
        is_sound = parse_arp(&packet);
    else if (packet.ether_type == ETH_P_IP)
        is_sound = parse_ipv4(&packet, false) && parse_transport(&packet);
    else if (packet.ether_type == ETH_P_IPV6)
        is_sound = parse_ipv6(&packet, false) && parse_transport(&packet);
    if (is_sound)
        *ret_packet = packet;
    return is_sound;
}

bool sp_packet_get_quote(const SpPacket *packet, SpPacket *ret_quote)
{
    SpPacket quote = {.kind = SP_PACKET_IP};
    bool is_v6 = packet->from.is_v6;
    guint8 type = packet->icmp.type;
    bool is_error = is_v6 ? type >= 1 && !(type & ICMP6_INFOMSG_MASK)
                          : type == ICMP_DEST_UNREACH || type == ICMP_SOURCE_QUENCH ||
                                type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETERPROB;

    if (packet->kind != SP_PACKET_ICMP || !is_error)
        return false;
    set_payload(&quote, packet->payload, packet->payload_length);
    if (!(is_v6 ? parse_ipv6(&quote, true) : parse_ipv4(&quote, true)))
        return false;
    if (quote.is_fragment || quote.payload_length < QUOTE_SIZE)
        return false;
    if (quote.protocol == IPPROTO_UDP || quote.protocol == IPPROTO_TCP) {
        quote.kind = quote.protocol == IPPROTO_UDP ? SP_PACKET_UDP : SP_PACKET_TCP;
        quote.from_port = sp_get_be16(quote.payload);
        quote.to_port = sp_get_be16(quote.payload + 2);
        if (quote.kind == SP_PACKET_TCP)
            quote.tcp.sequence = sp_get_be32(quote.payload + 4);
    }
    *ret_quote = quote;
    return true;
}

bool sp_packet_get_neighbour(const SpPacket *packet, SpNeighbour *ret_neighbour)
{
    bool is_solicitation = packet->icmp.type == ND_NEIGHBOR_SOLICIT;
    guint8 wanted = is_solicitation ? ND_OPT_SOURCE_LINKADDR : ND_OPT_TARGET_LINKADDR;
    SpNeighbour neighbour = {0};
    const guint8 *b = packet->payload;
    gsize left = packet->payload_length;

    if (packet->kind != SP_PACKET_ICMP || !packet->from.is_v6 || packet->hop_limit != 255 ||
        packet->icmp.code != 0 || left < 16)
        return false;
    if (!is_solicitation && packet->icmp.type != ND_NEIGHBOR_ADVERT)
        return false;
    neighbour.target = get_ip(b, true);
    if (sp_ip_is_group(&neighbour.target))
        return false;
    for (b += 16, left -= 16; left > 0;) {
        gsize length = left >= 8 ? (gsize)b[1] * 8 : 0;

        if (length == 0 || length > left)
            return false;
        if (b[0] == wanted && length == 8) {
            neighbour.has_link = true;
            neighbour.link = sp_mac_read(b + 2);
        }
        b += length;
        left -= length;
    }
    if (is_solicitation && sp_ip_is_unspecified(&packet->from) && neighbour.has_link)
        return false;
    *ret_neighbour = neighbour;
    return true;
}

void sp_packet_set_neighbour(SpPacket *packet, guint8 type, const SpNeighbour *neighbour,
    guint8 payload[SP_NEIGHBOUR_PAYLOAD])
{
    packet->kind = SP_PACKET_ICMP;
    packet->hop_limit = 255;
    packet->icmp.type = type;
    packet->icmp.code = 0;
    memcpy(payload, neighbour->target.bytes, 16);
    payload[16] = type == ND_NEIGHBOR_SOLICIT ? ND_OPT_SOURCE_LINKADDR : ND_OPT_TARGET_LINKADDR;
    payload[17] = 1; /* in units of 8 bytes */
    memcpy(payload + 18, neighbour->link.bytes, SP_MAC_SIZE);
    set_payload(packet, payload, neighbour->has_link ? SP_NEIGHBOUR_PAYLOAD : 16);
}

static void build_arp(const SpPacket *packet, guint8 *b)
{
    sp_put_be16(b, ARPHRD_ETHER);
    sp_put_be16(b + 2, ETH_P_IP);
    b[4] = SP_MAC_SIZE;
    b[5] = 4;
    sp_put_be16(b + 6, packet->arp.operation);
    memcpy(b + 8, packet->arp.sender.bytes, SP_MAC_SIZE);
    memcpy(b + 14, packet->from.bytes, 4);
    memcpy(b + 18, packet->arp.target.bytes, SP_MAC_SIZE);
    memcpy(b + 24, packet->to.bytes, 4);
}

static void build_ip(const SpPacket *packet, guint8 *b, gsize total)
{
    if (packet->from.is_v6) {
        b[0] = 6 << 4;
        sp_put_be16(b + 4, (guint16)(total - IPV6_SIZE));
        b[6] = packet->protocol;
        b[7] = packet->hop_limit;
        memcpy(b + 8, packet->from.bytes, 16);
        memcpy(b + 24, packet->to.bytes, 16);
        return;
    }
    b[0] = 4 << 4 | IPV4_SIZE / 4;
    sp_put_be16(b + 2, (guint16)total);
    sp_put_be16(b + 6, IP_DF); /* never a fragment */
    b[8] = packet->hop_limit;
    b[9] = packet->protocol;
    memcpy(b + 12, packet->from.bytes, 4);
    memcpy(b + 16, packet->to.bytes, 4);
    sp_put_be16(b + 10, fold_sum(add_words(0, b, IPV4_SIZE)));
}

/* Build the header at @b, which the payload follows; @length is that of both. */
static void build_transport(const SpPacket *packet, guint8 *b, gsize length)
{
    guint16 sum;

    if (packet->kind == SP_PACKET_ICMP) {
        b[0] = packet->icmp.type;
        b[1] = packet->icmp.code;
        sp_put_be32(b + 4, packet->icmp.rest);
        sp_put_be16(b + 2, transport_checksum(packet, b, length));
    } else if (packet->kind == SP_PACKET_UDP) {
        sp_put_be16(b, packet->from_port);
        sp_put_be16(b + 2, packet->to_port);
        sp_put_be16(b + 4, (guint16)length);
        sum = transport_checksum(packet, b, length);
        sp_put_be16(b + 6, sum == 0 ? 0xffff : sum);
    } else if (packet->kind == SP_PACKET_TCP) {
        sp_put_be16(b, packet->from_port);
        sp_put_be16(b + 2, packet->to_port);
        sp_put_be32(b + 4, packet->tcp.sequence);
        sp_put_be32(b + 8, packet->tcp.acknowledgment);
        b[12] = TCP_SIZE / 4 << 4;
        b[13] = packet->tcp.flags;
        sp_put_be16(b + 14, packet->tcp.window);
        sp_put_be16(b + 16, transport_checksum(packet, b, length));
    }
}

/* Set the EtherType, protocol and hop limit that follow from the kind. Returns the length of the
 * ARP or transport header. */
static gsize fill_defaults(SpPacket *packet)
{
    static const struct {
        gsize header;
        guint8 protocol;
    } kinds[] = {
        [SP_PACKET_OTHER] = {0, 0},
        [SP_PACKET_ARP] = {ARP_SIZE, 0},
        [SP_PACKET_IP] = {0, 0},
        [SP_PACKET_ICMP] = {ICMP_SIZE, IPPROTO_ICMP},
        [SP_PACKET_UDP] = {UDP_SIZE, IPPROTO_UDP},
        [SP_PACKET_TCP] = {TCP_SIZE, IPPROTO_TCP},
    };

    if (packet->kind == SP_PACKET_ARP)
        packet->ether_type = ETH_P_ARP;
    else if (packet->kind != SP_PACKET_OTHER)
        packet->ether_type = packet->from.is_v6 ? ETH_P_IPV6 : ETH_P_IP;
    if (kinds[packet->kind].protocol != 0)
        packet->protocol = kinds[packet->kind].protocol;
    if (packet->kind == SP_PACKET_ICMP && packet->from.is_v6)
        packet->protocol = IPPROTO_ICMPV6;
    if (packet->hop_limit == 0)
        packet->hop_limit = IPDEFTTL;
    return kinds[packet->kind].header;
}

bool sp_packet_build(const SpPacket *template, GByteArray *frame)
{
    SpPacket packet = *template;
    gsize header = fill_defaults(&packet);
    bool is_ip = packet.kind >= SP_PACKET_IP;
    gsize ip_header = !is_ip ? 0 : packet.from.is_v6 ? IPV6_SIZE : IPV4_SIZE;
    gsize total;
    guint8 *b;

    g_byte_array_set_size(frame, 0);
    if (packet.payload_length > 65535 - ip_header - header ||
        packet.from.is_v6 != packet.to.is_v6 || (packet.kind == SP_PACKET_ARP && packet.from.is_v6))
        return false;
    total = ip_header + header + packet.payload_length;
    g_byte_array_set_size(frame, (guint)(ETH_HLEN + total));
    b = frame->data;
    memset(b, 0, ETH_HLEN + ip_header + header);
    memcpy(b, packet.destination.bytes, SP_MAC_SIZE);
    memcpy(b + 6, packet.source.bytes, SP_MAC_SIZE);
    sp_put_be16(b + 12, packet.ether_type);
    b += ETH_HLEN;
    if (packet.payload_length > 0)
        memcpy(b + ip_header + header, packet.payload, packet.payload_length);
    if (packet.kind == SP_PACKET_ARP)
        build_arp(&packet, b);
    if (is_ip) {
        build_ip(&packet, b, total);
        build_transport(&packet, b + ip_header, total - ip_header);
    }
    return true;
}
