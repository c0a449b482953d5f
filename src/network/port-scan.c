/* SPDX-License-Identifier: MIT */
#include "network/port-scan.h"

#include "base/error.h"

#include <string.h>

#define WINDOW_FIRST 64u
#define PATIENCE_MIN_MS 200 /* for a sentinel's answer; doubled when it does not come */
#define PATIENCE_MAX_MS 4000
#define DIRTY_MAX 100u    /* windows one after the other during which frames were dropped */
#define SENTINEL_BYTE 12  /* of its IPv6 address */
#define NDP_SENTINELS 16u /* each makes an entry in the target's neighbour table */

typedef struct {
    SpEndpoint *endpoint;
    SpPortScanProtocol protocol;
    SpIp target, source;
    SpMac mac; /* the target's */
    guint32 salt;
    guint16 source_ports[SP_PORT_SCAN_ROUNDS_MAX];
    guint8 *states;
    guint wanted;  /* ports */
    guint answers; /* ports that are not silent */
    guint done;    /* ports of this round */

    guint sentinel; /* the number of the one that is out */
    bool is_answered;
    guint64 drops;  /* when the window began */
    guint64 unsent; /* packets that the endpoint did not take */
    guint dirty;
    guint window;
    gint64 patience_ms;
    gint64 last_answer;
    gint64 deadline;
    const SpInterrupt *interrupt;
    SpPortScanStats stats;
} Probe;

static const guint window_max[] = {
    [SP_PORT_SCAN_TCP] = SP_PORT_SCAN_TCP_WINDOW_MAX,
    [SP_PORT_SCAN_UDP] = SP_PORT_SCAN_UDP_WINDOW_MAX,
};

/* Something that a service answers, where an empty datagram is not. */
static const struct {
    guint16 port;
    guint8 length;
    const char *bytes;
} questions[] = {
    /* RFC 1035, 4.1: a query for the root's name servers */
    {53, 17,
        "\x53\x50\x01\x00\0\x01\0\0\0\0\0\0"
        "\0\0\x02\0\x01"},
    /* RFC 5905, 7.3: version 4, mode 3 (client) */
    {123, 48,
        "\x23\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
        "\0\0\0\1"},
    /* OpenVPN's P_CONTROL_HARD_RESET_CLIENT_V2 with a session's number, no acknowledgments */
    {1194, 14, "\x38slotproo\0\0\0\0\0"},
};

const char *sp_port_scan_state_name(SpPortScanState state)
{
    static const char *const names[] = {"none", "silent", "rejected", "closed", "open"};

    return state < G_N_ELEMENTS(names) ? names[state] : names[0];
}

/* Another one for each port, so that no answer is taken for another's. */
static guint32 sequence_of(const Probe *probe, guint16 port)
{
    return probe->salt + port * 2654435761u;
}

/* What can't be sent counts as dropped, so that its window is repeated. */
static void queue_packet(Probe *probe, const SpPacket *packet)
{
    if (!sp_endpoint_send(probe->endpoint, packet, NULL))
        probe->unsent++;
}

static void send_tcp(
    Probe *probe, guint16 source_port, guint16 port, guint8 flags, guint32 sequence)
{
    const SpPacket packet = {.kind = SP_PACKET_TCP,
        .destination = probe->mac,
        .from = probe->source,
        .to = probe->target,
        .from_port = source_port,
        .to_port = port,
        .tcp = {.flags = flags, .sequence = sequence, .window = 1024}};

    queue_packet(probe, &packet);
}

static void send_udp(Probe *probe, guint16 source_port, guint16 port)
{
    SpPacket packet = {.kind = SP_PACKET_UDP,
        .destination = probe->mac,
        .from = probe->source,
        .to = probe->target,
        .from_port = source_port,
        .to_port = port};

    for (gsize i = 0; i < G_N_ELEMENTS(questions); i++) {
        if (questions[i].port == port) {
            packet.payload = (const guint8 *)questions[i].bytes;
            packet.payload_length = questions[i].length;
        }
    }
    queue_packet(probe, &packet);
}

static void send_probe(Probe *probe, guint16 port)
{
    guint16 source_port = probe->source_ports[probe->stats.rounds - 1];

    probe->stats.probes++;
    if (probe->protocol == SP_PORT_SCAN_TCP)
        send_tcp(probe, source_port, port, TH_SYN, sequence_of(probe, port));
    else
        send_udp(probe, source_port, port);
}

/* An address for the answer that no other station has, and that tells the sentinel's number. */
static SpMac sentinel_mac(const Probe *probe)
{
    const guint8 *own = sp_endpoint_mac(probe->endpoint)->bytes;

    return (SpMac){{0x06, own[2], own[3], own[4], own[5], (guint8)probe->sentinel}};
}

static SpIp sentinel_ip(const Probe *probe)
{
    SpIp ip = sp_ip_link_local(sp_endpoint_mac(probe->endpoint));

    /* not ff:fe, so that it follows from no MAC address */
    ip.bytes[11] = 0x53;
    ip.bytes[SENTINEL_BYTE] = (guint8)(probe->sentinel % NDP_SENTINELS);
    return ip;
}

static void send_sentinel(Probe *probe)
{
    SpPacket packet = {.kind = SP_PACKET_ARP, .destination = probe->mac, .to = probe->target};
    SpNeighbour neighbour = {
        .target = probe->target, .has_link = true, .link = *sp_endpoint_mac(probe->endpoint)};
    guint8 payload[SP_NEIGHBOUR_PAYLOAD];

    if (probe->target.is_v6) {
        packet.from = sentinel_ip(probe);
        sp_packet_set_neighbour(&packet, ND_NEIGHBOR_SOLICIT, &neighbour, payload);
    } else {
        packet.source = sentinel_mac(probe);
        packet.arp.operation = ARPOP_REQUEST;
        packet.arp.sender = packet.source;
    }
    queue_packet(probe, &packet);
}

/* The answer to a sentinel, of whatever number. @ret_is_last: to the one that is out. */
static bool is_sentinel_answer(const Probe *probe, const SpPacket *packet, bool *ret_is_last)
{
    SpMac mac = sentinel_mac(probe);
    SpIp ip = sentinel_ip(probe);
    SpNeighbour neighbour;

    if (!probe->target.is_v6) {
        if (packet->kind != SP_PACKET_ARP || packet->arp.operation != ARPOP_REPLY ||
            !sp_ip_equal(&packet->from, &probe->target) ||
            memcmp(packet->arp.target.bytes, mac.bytes, SP_MAC_SIZE - 1) != 0)
            return false;
        *ret_is_last = sp_mac_equal(&packet->arp.target, &mac);
        return true;
    }
    if (packet->icmp.type != ND_NEIGHBOR_ADVERT || !sp_packet_get_neighbour(packet, &neighbour) ||
        !sp_ip_equal(&neighbour.target, &probe->target))
        return false;
    *ret_is_last = sp_ip_equal(&packet->to, &ip);
    ip.bytes[SENTINEL_BYTE] = packet->to.bytes[SENTINEL_BYTE];
    return sp_ip_equal(&packet->to, &ip);
}

static bool is_source_port(const Probe *probe, guint16 port)
{
    for (guint i = 0; i < probe->stats.rounds; i++) {
        if (probe->source_ports[i] == port)
            return true;
    }
    return false;
}

static bool is_between(const SpPacket *packet, const SpIp *from, const SpIp *to)
{
    return sp_ip_equal(&packet->from, from) && sp_ip_equal(&packet->to, to);
}

/* RFC 9293, 3.10.7.1 and 3.10.7.4: a SYN is answered by acknowledging it. */
static SpPortScanState judge_tcp(const Probe *probe, const SpPacket *packet)
{
    if (packet->tcp.acknowledgment != sequence_of(probe, packet->from_port) + 1 ||
        !(packet->tcp.flags & TH_ACK))
        return SP_PORT_SCAN_NONE;
    if (packet->tcp.flags & TH_RST)
        return SP_PORT_SCAN_CLOSED;
    return packet->tcp.flags & TH_SYN ? SP_PORT_SCAN_OPEN : SP_PORT_SCAN_NONE;
}

/* @ret_port is what the error is about. */
static SpPortScanState judge_error(const Probe *probe, const SpPacket *packet, guint16 *ret_port)
{
    SpPacketKind kind = probe->protocol == SP_PORT_SCAN_TCP ? SP_PACKET_TCP : SP_PACKET_UDP;
    SpPacket quote;

    if (!sp_packet_get_quote(packet, &quote) || quote.kind != kind ||
        !is_between(&quote, &probe->source, &probe->target) ||
        !is_source_port(probe, quote.from_port))
        return SP_PORT_SCAN_NONE;
    if (kind == SP_PACKET_TCP && quote.tcp.sequence != sequence_of(probe, quote.to_port))
        return SP_PORT_SCAN_NONE;
    *ret_port = quote.to_port;
    if (packet->from.is_v6)
        return packet->icmp.type == ICMP6_DST_UNREACH &&
                       packet->icmp.code == ICMP6_DST_UNREACH_NOPORT
                   ? SP_PORT_SCAN_CLOSED
                   : SP_PORT_SCAN_REJECTED;
    return packet->icmp.type == ICMP_DEST_UNREACH && packet->icmp.code == ICMP_PORT_UNREACH
               ? SP_PORT_SCAN_CLOSED
               : SP_PORT_SCAN_REJECTED;
}

/* NONE where @packet answers none of ours. */
static SpPortScanState judge_packet(const Probe *probe, const SpPacket *packet, guint16 *ret_port)
{
    SpPacketKind kind = probe->protocol == SP_PORT_SCAN_TCP ? SP_PACKET_TCP : SP_PACKET_UDP;

    if (packet->kind == SP_PACKET_ICMP)
        return judge_error(probe, packet, ret_port);
    if (packet->kind != kind || !is_between(packet, &probe->target, &probe->source) ||
        !is_source_port(probe, packet->to_port))
        return SP_PORT_SCAN_NONE;
    *ret_port = packet->from_port;
    return kind == SP_PACKET_TCP ? judge_tcp(probe, packet) : SP_PORT_SCAN_OPEN;
}

static bool on_packet(const SpPacket *packet, void *data)
{
    Probe *probe = data;
    bool is_last = false;
    guint16 port = 0;
    SpPortScanState state;

    if (is_sentinel_answer(probe, packet, &is_last)) {
        probe->is_answered = probe->is_answered || is_last;
        return true;
    }
    state = judge_packet(probe, packet, &port);
    if (state == SP_PORT_SCAN_NONE || probe->states[port] == SP_PORT_SCAN_NONE)
        return false;
    if (probe->states[port] == SP_PORT_SCAN_SILENT) {
        probe->answers++;
        probe->stats.late += probe->stats.rounds > 1;
    }
    if (state > probe->states[port])
        probe->states[port] = (guint8)state;
    /* or it would wait for us with a connection half open */
    if (state == SP_PORT_SCAN_OPEN && packet->kind == SP_PACKET_TCP)
        send_tcp(probe, packet->to_port, port, TH_RST, packet->tcp.acknowledgment);
    return true;
}

static guint64 drops_of(SpPort *port)
{
    const SpPortStats *stats = sp_port_stats(port);

    return stats->malformed + stats->blocked + stats->lost + stats->overflown;
}

/* Where the target's port is another one than before, this is another number too. */
static guint64 count_drops(const Probe *probe)
{
    SpPort *theirs = sp_switch_find(sp_endpoint_switch(probe->endpoint), &probe->mac);

    return probe->unsent + drops_of(sp_endpoint_port(probe->endpoint)) +
           (theirs ? drops_of(theirs) : 0);
}

static bool is_window_over(void *data, GError **error)
{
    Probe *probe = data;
    SpPort *theirs = sp_switch_find(sp_endpoint_switch(probe->endpoint), &probe->mac);

    if (theirs && !sp_port_is_connected(theirs)) {
        g_autofree char *text = sp_ip_format(&probe->target);
        g_set_error(error, SP_ERROR, SP_ERROR_MACHINE,
            "the machine of %s went away while its ports were probed", text);
        return true;
    }
    return probe->is_answered || count_drops(probe) != probe->drops;
}

/* Why no window gets through any more; false while there is hope. */
static bool is_hopeless(const Probe *probe, GError **error)
{
    g_autofree char *text = sp_ip_format(&probe->target);
    const char *name = probe->protocol == SP_PORT_SCAN_TCP ? "TCP" : "UDP";
    gint64 now = g_get_monotonic_time();
    const char *why = NULL;

    if (probe->deadline != SP_FOREVER && now >= probe->deadline)
        why = "was not finished in time";
    else if (probe->dirty > DIRTY_MAX)
        why = "can't be done: the link loses too many frames";
    else if (now - probe->last_answer > SP_PORT_SCAN_PATIENCE_MS * 1000)
        why = probe->target.is_v6 ? "ended: it no longer answers neighbour solicitations"
                                  : "ended: it no longer answers ARP requests";
    if (why)
        g_set_error(error, SP_ERROR, SP_ERROR_TIMEOUT,
            "the probe of the %s ports of %s %s (%u of %u in round %u)", name, text, why,
            probe->done, probe->wanted, probe->stats.rounds);
    return why != NULL;
}

static void adapt_window(Probe *probe, bool is_clean, bool is_answered, gint64 time_us)
{
    if (is_answered) {
        probe->last_answer = g_get_monotonic_time();
        probe->patience_ms = CLAMP(time_us / 1000 * 4, PATIENCE_MIN_MS, PATIENCE_MAX_MS);
    }
    if (is_clean) {
        probe->dirty = 0;
        probe->window = MIN(probe->window * 2, window_max[probe->protocol]);
        return;
    }
    probe->stats.repeated++;
    probe->window = MAX(probe->window / 2, 1);
    if (count_drops(probe) != probe->drops)
        probe->dirty++;
    else
        probe->patience_ms = MIN(probe->patience_ms * 2, PATIENCE_MAX_MS);
}

/* Send what is still silent of @ports, and a sentinel. @ret_is_clean: all of it got there. */
static bool run_window(
    Probe *probe, const guint16 *ports, guint count, bool *ret_is_clean, GError **error)
{
    gint64 begin = g_get_monotonic_time();
    g_autoptr(GError) local = NULL;

    probe->drops = count_drops(probe);
    probe->is_answered = false;
    probe->sentinel++;
    probe->stats.windows++;
    for (guint i = 0; i < count; i++) {
        if (probe->states[ports[i]] == SP_PORT_SCAN_SILENT)
            send_probe(probe, ports[i]);
    }
    send_sentinel(probe);
    if (!sp_wait(is_window_over, probe, MIN(probe->deadline, sp_deadline(probe->patience_ms)),
            probe->interrupt, &local) &&
        !g_error_matches(local, SP_ERROR, SP_ERROR_TIMEOUT)) {
        g_propagate_error(error, g_steal_pointer(&local));
        return false;
    }
    *ret_is_clean = probe->is_answered && count_drops(probe) == probe->drops;
    adapt_window(probe, *ret_is_clean, probe->is_answered, g_get_monotonic_time() - begin);
    return *ret_is_clean || !is_hopeless(probe, error);
}

/* Sentinels until one brings no more answers. */
static bool settle_answers(Probe *probe, GError **error)
{
    bool is_clean = false;
    guint before;

    do {
        before = probe->answers;
        if (!run_window(probe, NULL, 0, &is_clean, error))
            return false;
    } while (!is_clean || probe->answers != before);
    return true;
}

/* Probe each port that is silent so far. */
static bool run_round(Probe *probe, GError **error)
{
    g_autofree guint16 *ports = g_new(guint16, SP_PORT_SCAN_PORTS);
    guint count = 0;

    for (guint port = 0; port < SP_PORT_SCAN_PORTS; port++) {
        if (probe->states[port] == SP_PORT_SCAN_SILENT)
            ports[count++] = (guint16)port;
    }
    probe->source_ports[probe->stats.rounds++] = sp_endpoint_take_port(probe->endpoint);
    probe->wanted = count;
    for (probe->done = 0; probe->done < count;) {
        guint window = MIN(probe->window, count - probe->done);
        bool is_clean = false;

        if (!run_window(probe, ports + probe->done, window, &is_clean, error))
            return false;
        if (is_clean)
            probe->done += window;
    }
    return settle_answers(probe, error);
}

static bool run_rounds(Probe *probe, guint n_ports, GError **error)
{
    guint before;

    do {
        g_autofree char *text = NULL;

        if (probe->stats.rounds == SP_PORT_SCAN_ROUNDS_MAX) {
            text = sp_ip_format(&probe->target);
            g_set_error(error, SP_ERROR, SP_ERROR_GUEST,
                "the silence of %s proves nothing: in each of %u rounds more of its %s ports "
                "answered, which were silent before; does it limit its answers (icmp_ratelimit)?",
                text, SP_PORT_SCAN_ROUNDS_MAX, probe->protocol == SP_PORT_SCAN_TCP ? "TCP" : "UDP");
            return false;
        }
        before = probe->answers;
        if (!run_round(probe, error))
            return false;
    } while (probe->answers < n_ports && (probe->stats.rounds < 2 || probe->answers != before));
    return true;
}

/* Marks what is asked for; returns how many ports that are. */
static guint mark_ports(guint8 *states, const guint16 *ports, gsize n_ports)
{
    guint count = 0;

    if (!ports) {
        memset(states + 1, SP_PORT_SCAN_SILENT, SP_PORT_SCAN_PORTS - 1);
        return SP_PORT_SCAN_PORTS - 1;
    }
    for (gsize i = 0; i < n_ports; i++) {
        count += states[ports[i]] == SP_PORT_SCAN_NONE;
        states[ports[i]] = SP_PORT_SCAN_SILENT;
    }
    return count;
}

bool sp_port_scan_run(SpEndpoint *endpoint, const SpIp *target, SpPortScanProtocol protocol,
    const guint16 *ports, gsize n_ports, gint64 deadline, const SpInterrupt *interrupt,
    guint8 ret_states[SP_PORT_SCAN_PORTS], SpPortScanStats *ret_stats, GError **error)
{
    g_autofree guint8 *states = g_malloc0(SP_PORT_SCAN_PORTS);
    gint64 begin = g_get_monotonic_time();
    Probe probe = {.endpoint = endpoint,
        .protocol = protocol,
        .target = *target,
        .salt = g_random_int(),
        .states = states,
        .window = WINDOW_FIRST,
        .patience_ms = PATIENCE_MIN_MS,
        .deadline = deadline,
        .interrupt = interrupt};
    guint count = mark_ports(states, ports, n_ports);
    bool is_done;

    if (!sp_endpoint_source(endpoint, target, &probe.source, error) ||
        !sp_endpoint_resolve(endpoint, target, MIN(deadline, sp_deadline(SP_PORT_SCAN_PATIENCE_MS)),
            interrupt, &probe.mac, error))
        return false;
    probe.last_answer = g_get_monotonic_time();
    sp_endpoint_push_watch(endpoint, on_packet, &probe);
    is_done = run_rounds(&probe, count, error);
    sp_endpoint_remove_watch(endpoint, on_packet, &probe);
    if (!is_done)
        return false;
    probe.stats.time_us = g_get_monotonic_time() - begin;
    memcpy(ret_states, states, SP_PORT_SCAN_PORTS);
    if (ret_stats)
        *ret_stats = probe.stats;
    return true;
}
