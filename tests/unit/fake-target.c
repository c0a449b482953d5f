/* SPDX-License-Identifier: MIT */
#include "fake-target.h"

#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void write_all(FakeTarget *target, const guint8 *bytes, gsize length)
{
    while (target->fd >= 0 && length > 0) {
        ssize_t n = send(target->fd, bytes, length, MSG_NOSIGNAL);

        if (n < 0) /* the switch reads while the main context turns */
            g_main_context_iteration(NULL, FALSE);
        bytes += MAX(n, 0);
        length -= (gsize)MAX(n, 0);
    }
}

static void send_frame(FakeTarget *target, const GByteArray *frame)
{
    guint32 length = GUINT32_TO_BE(frame->len);

    write_all(target, (const guint8 *)&length, sizeof length);
    write_all(target, frame->data, frame->len);
}

static SpPacket answer_to(const FakeTarget *target, const SpPacket *packet, const SpIp *from)
{
    return (SpPacket){.kind = packet->kind,
        .destination = packet->source,
        .source = target->mac,
        .from = *from,
        .to = packet->from,
        .from_port = packet->to_port,
        .to_port = packet->from_port};
}

/* Send an answer of a port, subject to the faults. */
static void send_answer(FakeTarget *target, const SpPacket *answer)
{
    target->answers++;
    if (target->lose_answers != 0 && target->answers % target->lose_answers == 0)
        return;
    g_assert_true(sp_packet_build(answer, target->frame));
    if (target->holds_answers)
        g_queue_push_tail(&target->held,
            g_byte_array_append(g_byte_array_new(), target->frame->data, target->frame->len));
    else
        send_frame(target, target->frame);
}

static void send_error(
    FakeTarget *target, const SpPacket *packet, const guint8 *frame, gsize length, bool is_closed)
{
    SpPacket error = answer_to(target, packet, &packet->to);

    if (target->limits_icmp && target->errors >= 6 + target->frames / 100)
        return;
    target->errors++;
    error.kind = SP_PACKET_ICMP;
    if (packet->from.is_v6) {
        error.icmp.type = ICMP6_DST_UNREACH;
        error.icmp.code = is_closed ? 4 : 1;
    } else {
        error.icmp.type = ICMP_DEST_UNREACH;
        error.icmp.code = is_closed ? 3 : 13;
    }
    error.payload = frame + 14;
    error.payload_length = length - 14;
    send_answer(target, &error);
}

static void take_tcp(FakeTarget *target, const SpPacket *packet, const guint8 *frame, gsize length)
{
    SpPacket answer = answer_to(target, packet, &packet->to);
    guint8 state = target->tcp[packet->to_port];

    if (packet->tcp.flags & TH_RST)
        target->half_open -= state == SP_PORT_SCAN_OPEN;
    if (!(packet->tcp.flags & TH_SYN))
        return;
    answer.tcp.acknowledgment = packet->tcp.sequence + 1;
    answer.tcp.flags = TH_ACK | (state == SP_PORT_SCAN_OPEN ? TH_SYN : TH_RST);
    if (target->answers_wrongly) {
        answer.tcp.acknowledgment++;
        send_answer(target, &answer);
        answer.tcp.acknowledgment--;
        answer.to_port++;
        send_answer(target, &answer);
        answer.to_port--;
        answer.tcp.flags = TH_RST;
        send_answer(target, &answer);
        answer.tcp.flags = TH_ACK;
    }
    if (state == SP_PORT_SCAN_OPEN)
        target->half_open++;
    if (target->contradicts)
        send_error(target, packet, frame, length, false);
    if (state == SP_PORT_SCAN_OPEN || state == SP_PORT_SCAN_CLOSED || target->answers_wrongly)
        send_answer(target, &answer);
    else if (state == SP_PORT_SCAN_REJECTED)
        send_error(target, packet, frame, length, false);
    if (target->contradicts)
        send_error(target, packet, frame, length, false);
}

static void take_udp(FakeTarget *target, const SpPacket *packet, const guint8 *frame, gsize length)
{
    SpPacket answer = answer_to(target, packet, &packet->to);
    guint8 state = target->udp[packet->to_port];

    target->udp_bytes = (guint)packet->payload_length;
    if (state == SP_PORT_SCAN_OPEN)
        send_answer(target, &answer);
    else if (state == SP_PORT_SCAN_CLOSED || state == SP_PORT_SCAN_REJECTED)
        send_error(target, packet, frame, length, state == SP_PORT_SCAN_CLOSED);
    if (target->answers_wrongly) {
        g_autofree guint8 *other = g_memdup2(frame, length);
        gsize ports = 14 + (packet->from.is_v6 ? 40 : 20);

        answer.to_port++;
        send_answer(target, &answer);
        other[ports + 1]++; /* from another port */
        send_error(target, packet, other, length, true);
        send_error(target, packet, frame, ports + 6, true); /* quotes too little */
    }
}

static void release_held(FakeTarget *target)
{
    for (guint i = 0; i < 100 && !g_queue_is_empty(&target->held); i++) {
        g_autoptr(GByteArray) frame = g_queue_pop_head(&target->held);
        send_frame(target, frame);
    }
}

/* Build the answer to an ARP request. */
static bool answer_arp(FakeTarget *target, const SpPacket *packet)
{
    SpPacket answer = answer_to(target, packet, &target->v4);

    if (packet->arp.operation != ARPOP_REQUEST || !sp_ip_equal(&packet->to, &target->v4))
        return false;
    answer.arp.operation = ARPOP_REPLY;
    answer.arp.sender = target->mac;
    answer.arp.target = packet->arp.sender;
    return sp_packet_build(&answer, target->frame);
}

static bool answer_solicitation(FakeTarget *target, const SpPacket *packet)
{
    guint8 payload[SP_NEIGHBOUR_PAYLOAD];
    SpPacket answer = answer_to(target, packet, &target->v6);
    SpNeighbour neighbour;

    if (!sp_packet_get_neighbour(packet, &neighbour) ||
        !sp_ip_equal(&neighbour.target, &target->v6))
        return false;
    neighbour.link = target->mac;
    sp_packet_set_neighbour(&answer, ND_NEIGHBOR_ADVERT, &neighbour, payload);
    return sp_packet_build(&answer, target->frame);
}

static bool is_sentinel(const SpPacket *packet)
{
    return packet->kind == SP_PACKET_ARP || packet->icmp.type == ND_NEIGHBOR_SOLICIT;
}

static bool answer_sentinel(FakeTarget *target, const SpPacket *packet)
{
    return packet->kind == SP_PACKET_ARP ? answer_arp(target, packet)
                                         : answer_solicitation(target, packet);
}

static void take_sentinel(FakeTarget *target, const SpPacket *packet)
{
    if (target->has_no_arp || !answer_sentinel(target, packet))
        return;
    send_frame(target, target->frame);
    release_held(target);
}

/* Returns true if the frame is lost. */
static bool is_muted(FakeTarget *target, const SpPacket *packet)
{
    if (target->mute_from == 0 || target->frames < target->mute_from || target->mute_sentinels == 0)
        return false;
    if (!is_sentinel(packet))
        return true;
    target->mute_sentinels--;
    if (!target->answers_late)
        return true;
    if (target->late->len == 0 && answer_sentinel(target, packet))
        g_byte_array_append(target->late, target->frame->data, target->frame->len);
    else
        send_frame(target, target->late);
    return true;
}

static void take_frame(FakeTarget *target, const guint8 *frame, gsize length)
{
    SpPacket packet;

    target->elsewhere += g_thread_self() != target->thread;
    if (++target->frames == target->dies_at) {
        close(target->fd);
        target->fd = -1;
        return;
    }
    g_assert_true(sp_packet_parse(frame, length, &packet));
    target->window = is_sentinel(&packet) ? 0 : target->window + 1;
    if (!(packet.tcp.flags & TH_RST))
        target->largest_window = MAX(target->largest_window, target->window);
    if (is_muted(target, &packet))
        return;
    if (is_sentinel(&packet))
        take_sentinel(target, &packet);
    else if (packet.kind == SP_PACKET_TCP)
        take_tcp(target, &packet, frame, length);
    else if (packet.kind == SP_PACKET_UDP)
        take_udp(target, &packet, frame, length);
}

static gboolean on_readable(int fd, GIOCondition condition, void *data)
{
    FakeTarget *target = data;
    guint8 bytes[16384];
    ssize_t n = recv(fd, bytes, sizeof bytes, 0);
    gsize at = 0;

    if (n <= 0)
        return G_SOURCE_REMOVE;
    g_byte_array_append(target->input, bytes, (guint)n);
    while (target->fd >= 0 && target->input->len - at >= 4) {
        guint32 length;

        memcpy(&length, target->input->data + at, 4);
        length = GUINT32_FROM_BE(length);
        if (target->input->len - at - 4 < length)
            break;
        take_frame(target, target->input->data + at + 4, length);
        at += 4 + length;
    }
    g_byte_array_remove_range(target->input, 0, (guint)at);
    return target->fd >= 0 ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static void frame_free(void *frame)
{
    g_byte_array_unref(frame);
}

FakeTarget *fake_target_new(SpSwitch *sw)
{
    FakeTarget *target = g_new0(FakeTarget, 1);
    int pair[2];

    g_assert_cmpint(
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), ==, 0);
    target->thread = g_thread_self();
    target->mac = (SpMac){{0x52, 0x54, 0, 0, 0, 2}};
    g_assert_true(sp_ip_parse("10.0.0.2", &target->v4, NULL));
    g_assert_true(sp_ip_parse("fd00::2", &target->v6, NULL));
    target->input = g_byte_array_new();
    target->frame = g_byte_array_new();
    target->late = g_byte_array_new();
    g_queue_init(&target->held);
    target->fd = pair[0];
    sp_switch_plug(sw, "target", pair[1]);
    target->source = g_unix_fd_source_new(target->fd, G_IO_IN | G_IO_HUP);
    g_source_set_callback(target->source, G_SOURCE_FUNC(on_readable), target, NULL);
    g_source_attach(target->source, NULL);
    return target;
}

void fake_target_free(FakeTarget *target)
{
    if (!target)
        return;
    g_source_destroy(target->source);
    g_source_unref(target->source);
    if (target->fd >= 0)
        close(target->fd);
    g_byte_array_unref(target->input);
    g_byte_array_unref(target->frame);
    g_byte_array_unref(target->late);
    g_queue_clear_full(&target->held, frame_free);
    g_free(target);
}

void fake_target_set_all(FakeTarget *target, SpPortScanState state)
{
    memset(target->tcp, state, sizeof target->tcp);
    memset(target->udp, state, sizeof target->udp);
}
