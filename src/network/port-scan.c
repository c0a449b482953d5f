/* SPDX-License-Identifier: MIT */
#include "network/port-scan.h"

#include "base/error.h"

#include <string.h>

#define WINDOW_FIRST 64u
#define PATIENCE_MIN_MS 200 /* how long to wait for a sentinel's answer; doubled if none comes */
#define PATIENCE_MAX_MS 4000
#define DIRTY_MAX 100u    /* consecutive windows during which frames were dropped */
#define SENTINEL_BYTE 12  /* of its IPv6 address, which holds its number */
#define NDP_SENTINELS 16u /* each adds an entry to the target's neighbour table */

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

    guint sentinel; /* the number of the one on its way */
    bool is_answered;
    guint64 drops;  /* when the window began */
    guint64 unsent; /* packets that the endpoint could not send */
    guint dirty;
    guint window;
    gint64 patience_ms;
    gint64 last_answer;
    gint64 deadline;
    const SpInterrupt *interrupt;
    SpPortScanStats stats;
} PortScan;

static const guint window_max[] = {
    [SP_PORT_SCAN_TCP] = SP_PORT_SCAN_TCP_WINDOW_MAX,
    [SP_PORT_SCAN_UDP] = SP_PORT_SCAN_UDP_WINDOW_MAX,
};

/* What a service answers that ignores an empty datagram. */
static const struct {
    guint16 port;
    guint8 length;
    const char *bytes;
} questions[] = {
    /* RFC 1035, 4.1: a query for the root name servers */
    {53, 17,
        "\x53\x50\x01\x00\0\x01\0\0\0\0\0\0"
        "\0\0\x02\0\x01"},
    /* RFC 5905, 7.3: version 4, mode 3 (client) */
    {123, 48,
        "\x23\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
        "\0\0\0\1"},
    /* OpenVPN's P_CONTROL_HARD_RESET_CLIENT_V2 with a session ID, no acknowledgments */
    {1194, 14, "\x38slotproo\0\0\0\0\0"},
};

const char *sp_port_scan_state_name(SpPortScanState state)
{
    static const char *const names[] = {"none", "silent", "rejected", "closed", "open"};

    return state < G_N_ELEMENTS(names) ? names[state] : names[0];
}

/* Different for each port, so that no answer is taken for that of another port. */
static guint32 sequence_of(const PortScan *scan, guint16 port)
{
    return scan->salt + port * 2654435761u;
}

/* What can't be sent counts as dropped, so that its window is repeated. */
static void queue_packet(PortScan *scan, const SpPacket *packet)
{
    if (!sp_endpoint_send(scan->endpoint, packet, NULL))
        scan->unsent++;
}

static void send_tcp(
    PortScan *scan, guint16 source_port, guint16 port, guint8 flags, guint32 sequence)
{
    const SpPacket packet = {.kind = SP_PACKET_TCP,
        .destination = scan->mac,
        .from = scan->source,
        .to = scan->target,
        .from_port = source_port,
        .to_port = port,
        .tcp = {.flags = flags, .sequence = sequence, .window = 1024}};

    queue_packet(scan, &packet);
}

static void send_udp(PortScan *scan, guint16 source_port, guint16 port)
{
    SpPacket packet = {.kind = SP_PACKET_UDP,
        .destination = scan->mac,
        .from = scan->source,
        .to = scan->target,
        .from_port = source_port,
        .to_port = port};

    for (gsize i = 0; i < G_N_ELEMENTS(questions); i++) {
        if (questions[i].port == port) {
            packet.payload = (const guint8 *)questions[i].bytes;
            packet.payload_length = questions[i].length;
        }
    }
    queue_packet(scan, &packet);
}

static void send_probe(PortScan *scan, guint16 port)
{
    guint16 source_port = scan->source_ports[scan->stats.rounds - 1];

    scan->stats.probes++;
    if (scan->protocol == SP_PORT_SCAN_TCP)
        send_tcp(scan, source_port, port, TH_SYN, sequence_of(scan, port));
    else
        send_udp(scan, source_port, port);
}

/* The answer goes to an address that no other station has and that holds the sentinel's number. */
static SpMac sentinel_mac(const PortScan *scan)
{
    const guint8 *own = sp_endpoint_mac(scan->endpoint)->bytes;

    return (SpMac){{0x06, own[2], own[3], own[4], own[5], (guint8)scan->sentinel}};
}

static SpIp sentinel_ip(const PortScan *scan)
{
    SpIp ip = sp_ip_link_local(sp_endpoint_mac(scan->endpoint));

    /* not ff:fe, so that it is derived from no MAC address */
    ip.bytes[11] = 0x53;
    ip.bytes[SENTINEL_BYTE] = (guint8)(scan->sentinel % NDP_SENTINELS);
    return ip;
}

static void send_sentinel(PortScan *scan)
{
    SpPacket packet = {.kind = SP_PACKET_ARP, .destination = scan->mac, .to = scan->target};
    SpNeighbour neighbour = {
        .target = scan->target, .has_link = true, .link = *sp_endpoint_mac(scan->endpoint)};
    guint8 payload[SP_NEIGHBOUR_PAYLOAD];

    if (scan->target.is_v6) {
        packet.from = sentinel_ip(scan);
        sp_packet_set_neighbour(&packet, ND_NEIGHBOR_SOLICIT, &neighbour, payload);
    } else {
        packet.source = sentinel_mac(scan);
        packet.arp.operation = ARPOP_REQUEST;
        packet.arp.sender = packet.source;
    }
    queue_packet(scan, &packet);
}

/* Whether @packet answers any sentinel. @ret_is_last: it answers the current one. */
static bool is_sentinel_answer(const PortScan *scan, const SpPacket *packet, bool *ret_is_last)
{
    SpMac mac = sentinel_mac(scan);
    SpIp ip = sentinel_ip(scan);
    SpNeighbour neighbour;

    if (!scan->target.is_v6) {
        if (packet->kind != SP_PACKET_ARP || packet->arp.operation != ARPOP_REPLY ||
            !sp_ip_equal(&packet->from, &scan->target) ||
            memcmp(packet->arp.target.bytes, mac.bytes, SP_MAC_SIZE - 1) != 0)
            return false;
        *ret_is_last = sp_mac_equal(&packet->arp.target, &mac);
        return true;
    }
    if (packet->icmp.type != ND_NEIGHBOR_ADVERT || !sp_packet_get_neighbour(packet, &neighbour) ||
        !sp_ip_equal(&neighbour.target, &scan->target))
        return false;
    *ret_is_last = sp_ip_equal(&packet->to, &ip);
    ip.bytes[SENTINEL_BYTE] = packet->to.bytes[SENTINEL_BYTE];
    return sp_ip_equal(&packet->to, &ip);
}

static bool is_source_port(const PortScan *scan, guint16 port)
{
    for (guint i = 0; i < scan->stats.rounds; i++) {
        if (scan->source_ports[i] == port)
            return true;
    }
    return false;
}

static bool is_between(const SpPacket *packet, const SpIp *from, const SpIp *to)
{
    return sp_ip_equal(&packet->from, from) && sp_ip_equal(&packet->to, to);
}

/* RFC 9293, 3.10.7.1 and 3.10.7.4: every answer to a SYN acknowledges it. */
static SpPortScanState judge_tcp(const PortScan *scan, const SpPacket *packet)
{
    if (packet->tcp.acknowledgment != sequence_of(scan, packet->from_port) + 1 ||
        !(packet->tcp.flags & TH_ACK))
        return SP_PORT_SCAN_NONE;
    if (packet->tcp.flags & TH_RST)
        return SP_PORT_SCAN_CLOSED;
    return packet->tcp.flags & TH_SYN ? SP_PORT_SCAN_OPEN : SP_PORT_SCAN_NONE;
}

/* @ret_port is the port that the error is about. */
static SpPortScanState judge_error(const PortScan *scan, const SpPacket *packet, guint16 *ret_port)
{
    SpPacketKind kind = scan->protocol == SP_PORT_SCAN_TCP ? SP_PACKET_TCP : SP_PACKET_UDP;
    SpPacket quote;

    if (!sp_packet_get_quote(packet, &quote) || quote.kind != kind ||
        !is_between(&quote, &scan->source, &scan->target) || !is_source_port(scan, quote.from_port))
        return SP_PORT_SCAN_NONE;
    if (kind == SP_PACKET_TCP && quote.tcp.sequence != sequence_of(scan, quote.to_port))
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

/* NONE if @packet does not answer one of our probes. */
static SpPortScanState judge_packet(const PortScan *scan, const SpPacket *packet, guint16 *ret_port)
{
    SpPacketKind kind = scan->protocol == SP_PORT_SCAN_TCP ? SP_PACKET_TCP : SP_PACKET_UDP;

    if (packet->kind == SP_PACKET_ICMP)
        return judge_error(scan, packet, ret_port);
    if (packet->kind != kind || !is_between(packet, &scan->target, &scan->source) ||
        !is_source_port(scan, packet->to_port))
        return SP_PORT_SCAN_NONE;
    *ret_port = packet->from_port;
    return kind == SP_PACKET_TCP ? judge_tcp(scan, packet) : SP_PORT_SCAN_OPEN;
}

static bool on_packet(const SpPacket *packet, void *data)
{
    PortScan *scan = data;
    bool is_last = false;
    guint16 port = 0;
    SpPortScanState state;

    if (is_sentinel_answer(scan, packet, &is_last)) {
        scan->is_answered = scan->is_answered || is_last;
        return true;
    }
    state = judge_packet(scan, packet, &port);
    if (state == SP_PORT_SCAN_NONE || scan->states[port] == SP_PORT_SCAN_NONE)
        return false;
    if (scan->states[port] == SP_PORT_SCAN_SILENT) {
        scan->answers++;
        scan->stats.late += scan->stats.rounds > 1;
    }
    if (state > scan->states[port])
        scan->states[port] = (guint8)state;
    /* or the target would keep a half-open connection */
    if (state == SP_PORT_SCAN_OPEN && packet->kind == SP_PACKET_TCP)
        send_tcp(scan, packet->to_port, port, TH_RST, packet->tcp.acknowledgment);
    return true;
}

static guint64 drops_of(SpPort *port)
{
    const SpPortStats *stats = sp_port_stats(port);

    return stats->malformed + stats->blocked + stats->lost + stats->overflown;
}

/* If the target has moved to another port of the switch, the count changes too. */
static guint64 count_drops(const PortScan *scan)
{
    SpPort *theirs = sp_switch_find(sp_endpoint_switch(scan->endpoint), &scan->mac);

    return scan->unsent + drops_of(sp_endpoint_port(scan->endpoint)) +
           (theirs ? drops_of(theirs) : 0);
}

static bool is_window_over(void *data, GError **error)
{
    PortScan *scan = data;
    SpPort *theirs = sp_switch_find(sp_endpoint_switch(scan->endpoint), &scan->mac);

    if (theirs && !sp_port_is_connected(theirs)) {
        g_autofree char *text = sp_ip_format(&scan->target);
        g_set_error(error, SP_ERROR, SP_ERROR_MACHINE,
            "the machine of %s went away while its ports were scanned", text);
        return true;
    }
    return scan->is_answered || count_drops(scan) != scan->drops;
}

/* Returns true and sets @error if no window will get through any more. */
static bool is_hopeless(const PortScan *scan, GError **error)
{
    g_autofree char *text = sp_ip_format(&scan->target);
    const char *name = scan->protocol == SP_PORT_SCAN_TCP ? "TCP" : "UDP";
    gint64 now = g_get_monotonic_time();
    const char *why = NULL;

    if (scan->deadline != SP_FOREVER && now >= scan->deadline)
        why = "was not finished in time";
    else if (scan->dirty > DIRTY_MAX)
        why = "can't be done: the link loses too many frames";
    else if (now - scan->last_answer > SP_PORT_SCAN_PATIENCE_MS * 1000)
        why = scan->target.is_v6 ? "ended: it no longer answers neighbour solicitations"
                                 : "ended: it no longer answers ARP requests";
    if (why)
        g_set_error(error, SP_ERROR, SP_ERROR_TIMEOUT,
            "the scan of the %s ports of %s %s (%u of %u in round %u)", name, text, why, scan->done,
            scan->wanted, scan->stats.rounds);
    return why != NULL;
}

static void adapt_window(PortScan *scan, bool is_clean, bool is_answered, gint64 time_us)
{
    if (is_answered) {
        scan->last_answer = g_get_monotonic_time();
        scan->patience_ms = CLAMP(time_us / 1000 * 4, PATIENCE_MIN_MS, PATIENCE_MAX_MS);
    }
    if (is_clean) {
        scan->dirty = 0;
        scan->window = MIN(scan->window * 2, window_max[scan->protocol]);
        return;
    }
    scan->stats.repeated++;
    scan->window = MAX(scan->window / 2, 1);
    if (count_drops(scan) != scan->drops)
        scan->dirty++;
    else
        scan->patience_ms = MIN(scan->patience_ms * 2, PATIENCE_MAX_MS);
}

/* Probe those of @ports that are still silent, and send a sentinel. @ret_is_clean: all arrived. */
static bool run_window(
    PortScan *scan, const guint16 *ports, guint count, bool *ret_is_clean, GError **error)
{
    gint64 begin = g_get_monotonic_time();
    g_autoptr(GError) local = NULL;

    scan->drops = count_drops(scan);
    scan->is_answered = false;
    scan->sentinel++;
    scan->stats.windows++;
    for (guint i = 0; i < count; i++) {
        if (scan->states[ports[i]] == SP_PORT_SCAN_SILENT)
            send_probe(scan, ports[i]);
    }
    send_sentinel(scan);
    if (!sp_wait(is_window_over, scan, MIN(scan->deadline, sp_deadline(scan->patience_ms)),
            scan->interrupt, &local) &&
        !g_error_matches(local, SP_ERROR, SP_ERROR_TIMEOUT)) {
        g_propagate_error(error, g_steal_pointer(&local));
        return false;
    }
    *ret_is_clean = scan->is_answered && count_drops(scan) == scan->drops;
    adapt_window(scan, *ret_is_clean, scan->is_answered, g_get_monotonic_time() - begin);
    return *ret_is_clean || !is_hopeless(scan, error);
}

/* Send sentinels until no more answers come in before that of the sentinel. */
static bool settle_answers(PortScan *scan, GError **error)
{
    bool is_clean = false;
    guint before;

    do {
        before = scan->answers;
        if (!run_window(scan, NULL, 0, &is_clean, error))
            return false;
    } while (!is_clean || scan->answers != before);
    return true;
}

/* Probe every port that has been silent so far. */
static bool run_round(PortScan *scan, GError **error)
{
    g_autofree guint16 *ports = g_new(guint16, SP_PORT_SCAN_PORTS);
    guint count = 0;

    for (guint port = 0; port < SP_PORT_SCAN_PORTS; port++) {
        if (scan->states[port] == SP_PORT_SCAN_SILENT)
            ports[count++] = (guint16)port;
    }
    scan->source_ports[scan->stats.rounds++] = sp_endpoint_take_port(scan->endpoint);
    scan->wanted = count;
    for (scan->done = 0; scan->done < count;) {
        guint window = MIN(scan->window, count - scan->done);
        bool is_clean = false;

        if (!run_window(scan, ports + scan->done, window, &is_clean, error))
            return false;
        if (is_clean)
            scan->done += window;
    }
    return settle_answers(scan, error);
}

static bool run_rounds(PortScan *scan, guint n_ports, GError **error)
{
    guint before;

    do {
        g_autofree char *text = NULL;

        if (scan->stats.rounds == SP_PORT_SCAN_ROUNDS_MAX) {
            text = sp_ip_format(&scan->target);
            g_set_error(error, SP_ERROR, SP_ERROR_GUEST,
                "the silence of %s proves nothing: in each of %u rounds more of its %s ports "
                "answered that had been silent before; does it limit its answers (icmp_ratelimit)?",
                text, SP_PORT_SCAN_ROUNDS_MAX, scan->protocol == SP_PORT_SCAN_TCP ? "TCP" : "UDP");
            return false;
        }
        before = scan->answers;
        if (!run_round(scan, error))
            return false;
    } while (scan->answers < n_ports && (scan->stats.rounds < 2 || scan->answers != before));
    return true;
}

/* Mark the ports to scan; returns how many there are. */
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
    PortScan scan = {.endpoint = endpoint,
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

    if (!sp_endpoint_source(endpoint, target, &scan.source, error) ||
        !sp_endpoint_resolve(endpoint, target, MIN(deadline, sp_deadline(SP_PORT_SCAN_PATIENCE_MS)),
            interrupt, &scan.mac, error))
        return false;
    scan.last_answer = g_get_monotonic_time();
    sp_endpoint_push_watch(endpoint, on_packet, &scan);
    is_done = run_rounds(&scan, count, error);
    sp_endpoint_remove_watch(endpoint, on_packet, &scan);
    if (!is_done)
        return false;
    scan.stats.time_us = g_get_monotonic_time() - begin;
    memcpy(ret_states, states, SP_PORT_SCAN_PORTS);
    if (ret_stats)
        *ret_stats = scan.stats;
    return true;
}
