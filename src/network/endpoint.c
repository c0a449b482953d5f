/* SPDX-License-Identifier: MIT */
#include "network/endpoint.h"

#include "base/error.h"
#include "network/frame-queue.h"

#include <string.h>

#define REPEAT_MS 500 /* how long a request waits for its answer before it is sent again */
#define PORT_MIN 49152u
#define ADVERTISEMENT_SOLICITED (1u << 30) /* RFC 4861, 4.4 */
#define ADVERTISEMENT_OVERRIDE (1u << 29)

typedef struct {
    SpIp ip;
    guint prefix;
} Address;

typedef struct {
    SpPacketFunc func;
    void *data;
} Watch;

struct SpEndpoint {
    SpSwitch *sw;
    SpPort *port;
    SpMac mac;
    GArray *addresses; /* of Address */
    GArray *watches;   /* of Watch */
    SpFrameQueue kept;
    guint16 next_port;
    GByteArray *frame; /* being built */
};

static void send_packet(SpEndpoint *endpoint, const SpPacket *packet)
{
    if (sp_packet_build(packet, endpoint->frame))
        sp_port_send(endpoint->port, endpoint->frame->data, endpoint->frame->len);
}

static bool is_own(const SpEndpoint *endpoint, const SpIp *ip)
{
    for (guint i = 0; i < endpoint->addresses->len; i++) {
        if (sp_ip_equal(&g_array_index(endpoint->addresses, Address, i).ip, ip))
            return true;
    }
    return false;
}

/* The fields that every answer to @packet has. */
static SpPacket answer_to(const SpEndpoint *endpoint, const SpPacket *packet, const SpIp *from)
{
    return (SpPacket){.kind = packet->kind,
        .destination = packet->source,
        .source = endpoint->mac,
        .from = *from,
        .to = packet->from};
}

static bool answer_arp(SpEndpoint *endpoint, const SpPacket *packet)
{
    SpPacket answer = answer_to(endpoint, packet, &packet->to);

    if (packet->kind != SP_PACKET_ARP || packet->arp.operation != ARPOP_REQUEST ||
        !is_own(endpoint, &packet->to))
        return false;
    answer.arp.operation = ARPOP_REPLY;
    answer.arp.sender = endpoint->mac;
    answer.arp.target = packet->arp.sender;
    send_packet(endpoint, &answer);
    return true;
}

/* RFC 4861, 7.2.4 */
static bool answer_solicitation(SpEndpoint *endpoint, const SpPacket *packet)
{
    guint8 payload[SP_NEIGHBOUR_PAYLOAD];
    SpNeighbour neighbour;
    SpPacket answer;

    if (packet->icmp.type != ND_NEIGHBOR_SOLICIT || !sp_packet_get_neighbour(packet, &neighbour) ||
        !is_own(endpoint, &neighbour.target))
        return false;
    answer = answer_to(endpoint, packet, &neighbour.target);
    answer.icmp.rest = ADVERTISEMENT_OVERRIDE | ADVERTISEMENT_SOLICITED;
    if (sp_ip_is_unspecified(&packet->from)) {
        /* to all nodes */
        answer.to = (SpIp){.is_v6 = true, .bytes = {0xff, 2, [15] = 1}};
        answer.destination = sp_ip_group_mac(&answer.to);
        answer.icmp.rest = ADVERTISEMENT_OVERRIDE;
    }
    neighbour.has_link = true;
    neighbour.link = endpoint->mac;
    sp_packet_set_neighbour(&answer, ND_NEIGHBOR_ADVERT, &neighbour, payload);
    send_packet(endpoint, &answer);
    return true;
}

static bool answer_echo(SpEndpoint *endpoint, const SpPacket *packet)
{
    SpPacket answer = answer_to(endpoint, packet, &packet->to);

    if (packet->kind != SP_PACKET_ICMP ||
        packet->icmp.type != (packet->from.is_v6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO) ||
        !is_own(endpoint, &packet->to) || sp_ip_is_group(&packet->from) ||
        sp_ip_is_unspecified(&packet->from))
        return false;
    answer.icmp.type = packet->from.is_v6 ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY;
    answer.icmp.rest = packet->icmp.rest;
    answer.payload = packet->payload;
    answer.payload_length = packet->payload_length;
    send_packet(endpoint, &answer);
    return true;
}

static bool is_watched(SpEndpoint *endpoint, const SpPacket *packet)
{
    for (guint i = endpoint->watches->len; i > 0; i--) {
        Watch watch = g_array_index(endpoint->watches, Watch, i - 1);

        if (watch.func(packet, watch.data))
            return true;
    }
    return false;
}

static void on_frame(const guint8 *frame, gsize length, void *data)
{
    SpEndpoint *endpoint = data;
    SpPacket packet;

    if (sp_packet_parse(frame, length, &packet)) {
        if (is_watched(endpoint, &packet))
            return;
        /* a frame flooded to us is answered by another station */
        if (sp_mac_is_group(&packet.destination) ||
            sp_mac_equal(&packet.destination, &endpoint->mac)) {
            if (!answer_arp(endpoint, &packet) && !answer_solicitation(endpoint, &packet))
                answer_echo(endpoint, &packet);
        }
    }
    sp_frame_queue_add(&endpoint->kept, frame, length);
}

SpEndpoint *sp_endpoint_new(SpSwitch *sw, const char *name, const SpMac *mac)
{
    SpEndpoint *endpoint = g_new0(SpEndpoint, 1);
    Address link_local = {.ip = sp_ip_link_local(mac), .prefix = 64};

    endpoint->sw = sw;
    endpoint->mac = *mac;
    endpoint->addresses = g_array_new(FALSE, FALSE, sizeof(Address));
    g_array_append_val(endpoint->addresses, link_local);
    endpoint->watches = g_array_new(FALSE, FALSE, sizeof(Watch));
    sp_frame_queue_init(&endpoint->kept);
    endpoint->next_port = PORT_MIN;
    endpoint->frame = g_byte_array_new();
    endpoint->port = sp_switch_plug_func(sw, name, on_frame, endpoint);
    return endpoint;
}

void sp_endpoint_free(SpEndpoint *endpoint)
{
    if (!endpoint)
        return;
    sp_port_unplug(endpoint->port);
    sp_frame_queue_clear(&endpoint->kept);
    g_array_unref(endpoint->addresses);
    g_array_unref(endpoint->watches);
    g_byte_array_unref(endpoint->frame);
    g_free(endpoint);
}

bool sp_endpoint_add_address(SpEndpoint *endpoint, const char *text, GError **error)
{
    Address address;

    if (!sp_ip_parse_prefix(text, &address.ip, &address.prefix, error))
        return false;
    if (sp_ip_is_group(&address.ip) || sp_ip_is_unspecified(&address.ip)) {
        g_set_error(
            error, SP_ERROR, SP_ERROR_USAGE, "'%s' is not an address that one can have", text);
        return false;
    }
    if (endpoint->addresses->len >= SP_ENDPOINT_ADDRESSES_MAX) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "'%s' is one address more than the %u that an endpoint can have", text,
            SP_ENDPOINT_ADDRESSES_MAX);
        return false;
    }
    g_array_append_val(endpoint->addresses, address);
    return true;
}

const SpMac *sp_endpoint_mac(const SpEndpoint *endpoint)
{
    return &endpoint->mac;
}

SpPort *sp_endpoint_port(SpEndpoint *endpoint)
{
    return endpoint->port;
}

SpSwitch *sp_endpoint_switch(SpEndpoint *endpoint)
{
    return endpoint->sw;
}

bool sp_endpoint_source(
    const SpEndpoint *endpoint, const SpIp *to, SpIp *ret_source, GError **error)
{
    const Address *best = NULL;
    g_autofree char *text = NULL;

    for (guint i = 0; i < endpoint->addresses->len; i++) {
        const Address *address = &g_array_index(endpoint->addresses, Address, i);

        if (address->ip.is_v6 != to->is_v6)
            continue;
        if (sp_ip_shares_prefix(&address->ip, to, address->prefix)) {
            *ret_source = address->ip;
            return true;
        }
        /* prefer any other address to the link-local one */
        if (!best || (sp_ip_is_link_local(&best->ip) && !sp_ip_is_link_local(to)))
            best = address;
    }
    if (best) {
        *ret_source = best->ip;
        return true;
    }
    text = sp_ip_format(to);
    g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
        "the endpoint has no %s address to speak to %s with", to->is_v6 ? "IPv6" : "IPv4", text);
    return false;
}

guint16 sp_endpoint_take_port(SpEndpoint *endpoint)
{
    guint16 port = endpoint->next_port++;

    if (endpoint->next_port < PORT_MIN)
        endpoint->next_port = PORT_MIN;
    return port;
}

void sp_endpoint_push_watch(SpEndpoint *endpoint, SpPacketFunc func, void *data)
{
    Watch watch = {.func = func, .data = data};

    g_array_append_val(endpoint->watches, watch);
}

void sp_endpoint_remove_watch(SpEndpoint *endpoint, SpPacketFunc func, void *data)
{
    for (guint i = endpoint->watches->len; i > 0; i--) {
        const Watch *watch = &g_array_index(endpoint->watches, Watch, i - 1);
        if (watch->func != func || watch->data != data)
            continue;
        g_array_remove_index(endpoint->watches, i - 1);
        return;
    }
}

void sp_endpoint_send_frame(SpEndpoint *endpoint, const guint8 *frame, gsize length)
{
    sp_port_send(endpoint->port, frame, length);
}

bool sp_endpoint_send(SpEndpoint *endpoint, const SpPacket *template, GError **error)
{
    static const SpMac none;
    SpPacket packet = *template;

    if (sp_mac_equal(&packet.source, &none))
        packet.source = endpoint->mac;
    if (!sp_packet_build(&packet, endpoint->frame)) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "no packet can be made of %" G_GSIZE_FORMAT " bytes of payload, or of addresses of "
            "different families",
            packet.payload_length);
        return false;
    }
    sp_port_send(endpoint->port, endpoint->frame->data, endpoint->frame->len);
    return true;
}

/* A request that is repeated until it is answered. */
typedef struct {
    const SpPacket *request;
    /* @ret_mac: the target's, if the answer contains it */
    bool (*is_answer)(const SpPacket *request, const SpPacket *packet, SpMac *ret_mac);
    bool has_answer;
    SpMac mac;
    gint64 sent;
    gint64 answered;
} Exchange;

static bool on_exchange(const SpPacket *packet, void *data)
{
    Exchange *exchange = data;

    if (exchange->has_answer || !exchange->is_answer(exchange->request, packet, &exchange->mac))
        return false;
    exchange->has_answer = true;
    exchange->answered = g_get_monotonic_time();
    return true;
}

static bool has_answer(void *data, GError **error)
{
    return ((const Exchange *)data)->has_answer;
}

/* Fails with SP_ERROR_TIMEOUT and a message that the caller replaces. */
static bool run_exchange(SpEndpoint *endpoint, Exchange *exchange, gint64 deadline,
    const SpInterrupt *interrupt, GError **error)
{
    GError *local = NULL;

    sp_endpoint_push_watch(endpoint, on_exchange, exchange);
    do {
        g_clear_error(&local);
        exchange->sent = g_get_monotonic_time();
        send_packet(endpoint, exchange->request);
    } while (
        !sp_wait(has_answer, exchange, MIN(deadline, sp_deadline(REPEAT_MS)), interrupt, &local) &&
        g_error_matches(local, SP_ERROR, SP_ERROR_TIMEOUT) &&
        (deadline == SP_FOREVER || g_get_monotonic_time() < deadline));
    sp_endpoint_remove_watch(endpoint, on_exchange, exchange);
    if (!local)
        return true;
    g_propagate_error(error, local);
    return false;
}

/* Have SP_ERROR_TIMEOUT say what was not answered. */
static bool explain_timeout(GError **error, GError *local, const SpIp *ip, const char *what)
{
    g_autofree char *text = sp_ip_format(ip);

    if (g_error_matches(local, SP_ERROR, SP_ERROR_TIMEOUT)) {
        g_free(local->message);
        local->message = g_strdup_printf("%s does not answer %s", text, what);
    }
    g_propagate_error(error, local);
    return false;
}

static bool is_arp_answer(const SpPacket *request, const SpPacket *packet, SpMac *ret_mac)
{
    if (packet->kind != SP_PACKET_ARP || packet->arp.operation != ARPOP_REPLY ||
        !sp_ip_equal(&packet->from, &request->to) || sp_mac_is_group(&packet->arp.sender))
        return false;
    *ret_mac = packet->arp.sender;
    return true;
}

static bool is_advertisement(const SpPacket *request, const SpPacket *packet, SpMac *ret_mac)
{
    SpNeighbour neighbour;

    if (packet->icmp.type != ND_NEIGHBOR_ADVERT || !sp_packet_get_neighbour(packet, &neighbour) ||
        !neighbour.has_link || sp_mac_is_group(&neighbour.link) ||
        memcmp(neighbour.target.bytes, request->payload, 16) != 0)
        return false;
    *ret_mac = neighbour.link;
    return true;
}

bool sp_endpoint_resolve(SpEndpoint *endpoint, const SpIp *ip, gint64 deadline,
    const SpInterrupt *interrupt, SpMac *ret_mac, GError **error)
{
    SpPacket request = {.kind = SP_PACKET_ARP, .source = endpoint->mac, .to = *ip};
    Exchange exchange = {.request = &request, .is_answer = is_arp_answer};
    SpNeighbour neighbour = {.target = *ip, .has_link = true, .link = endpoint->mac};
    guint8 payload[SP_NEIGHBOUR_PAYLOAD];
    GError *local = NULL;

    if (!sp_endpoint_source(endpoint, ip, &request.from, error))
        return false;
    request.destination = SP_MAC_BROADCAST;
    request.arp.operation = ARPOP_REQUEST;
    request.arp.sender = endpoint->mac;
    if (ip->is_v6) {
        request.to = sp_ip_solicited_node(ip);
        request.destination = sp_ip_group_mac(&request.to);
        sp_packet_set_neighbour(&request, ND_NEIGHBOR_SOLICIT, &neighbour, payload);
        exchange.is_answer = is_advertisement;
    }
    if (!run_exchange(endpoint, &exchange, deadline, interrupt, &local))
        return explain_timeout(
            error, local, ip, ip->is_v6 ? "neighbour solicitations" : "ARP requests");
    *ret_mac = exchange.mac;
    return true;
}

static bool is_echo_answer(const SpPacket *request, const SpPacket *packet, SpMac *ret_mac)
{
    guint8 type = packet->from.is_v6 ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY;

    return packet->kind == SP_PACKET_ICMP && packet->icmp.type == type &&
           sp_ip_equal(&packet->from, &request->to) && sp_ip_equal(&packet->to, &request->from) &&
           packet->icmp.rest == request->icmp.rest;
}

bool sp_endpoint_ping(SpEndpoint *endpoint, const SpIp *ip, gint64 deadline,
    const SpInterrupt *interrupt, gint64 *ret_time_us, GError **error)
{
    SpPacket request = {.kind = SP_PACKET_ICMP, .source = endpoint->mac, .to = *ip};
    Exchange exchange = {.request = &request, .is_answer = is_echo_answer};
    GError *local = NULL;

    if (!sp_endpoint_source(endpoint, ip, &request.from, error) ||
        !sp_endpoint_resolve(endpoint, ip, deadline, interrupt, &request.destination, error))
        return false;
    request.icmp.type = ip->is_v6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO;
    request.icmp.rest = (guint32)sp_endpoint_take_port(endpoint) << 16 | 1;
    request.payload = (const guint8 *)"slotproof";
    request.payload_length = strlen("slotproof");
    if (!run_exchange(endpoint, &exchange, deadline, interrupt, &local))
        return explain_timeout(error, local, ip, "echo requests");
    if (ret_time_us)
        *ret_time_us = exchange.answered - exchange.sent;
    return true;
}

GBytes *sp_endpoint_receive(SpEndpoint *endpoint, SpMatchFunc match, void *data, gint64 deadline,
    const SpInterrupt *interrupt, GError **error)
{
    return sp_frame_queue_take(&endpoint->kept, match, data, deadline, interrupt, error);
}

void sp_endpoint_forget(SpEndpoint *endpoint)
{
    sp_frame_queue_clear(&endpoint->kept);
}
