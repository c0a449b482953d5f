/* SPDX-License-Identifier: MIT */
#include "network/packet.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_within(const SpPacket *packet, const uint8_t *data, size_t size)
{
    check(packet->payload >= data && packet->payload_length <= size);
    check(packet->payload + packet->payload_length <= data + size);
}

/* A decoded packet that is encoded again decodes to the same. */
static void check_again(const SpPacket *packet)
{
    g_autoptr(GByteArray) frame = g_byte_array_new();
    SpPacket again;

    if (packet->is_fragment)
        return;
    check(sp_packet_build(packet, frame));
    check(sp_packet_parse(frame->data, frame->len, &again));
    check(again.kind == packet->kind && again.protocol == packet->protocol);
    check(again.from_port == packet->from_port && again.to_port == packet->to_port);
    check(again.tcp.sequence == packet->tcp.sequence && again.icmp.rest == packet->icmp.rest);
    check(again.payload_length == packet->payload_length);
    check(memcmp(again.payload, packet->payload, again.payload_length) == 0);
}

/* The input as an ICMP payload, as a fuzzer would hardly find the right checksum. */
static void check_icmp(const uint8_t *data, size_t size)
{
    static const struct {
        bool is_v6;
        guint8 type;
    } messages[] = {{false, ICMP_DEST_UNREACH}, {true, ICMP6_DST_UNREACH},
        {true, ND_NEIGHBOR_SOLICIT}, {true, ND_NEIGHBOR_ADVERT}};

    for (gsize i = 0; i < G_N_ELEMENTS(messages); i++) {
        SpPacket packet = {.kind = SP_PACKET_ICMP,
            .from.is_v6 = messages[i].is_v6,
            .hop_limit = 255,
            .icmp.type = messages[i].type,
            .payload = data,
            .payload_length = size};
        SpPacket quote = {0};
        SpNeighbour neighbour;

        if (sp_packet_get_quote(&packet, &quote))
            check_within(&quote, data, size);
        if (sp_packet_get_neighbour(&packet, &neighbour))
            check(!sp_ip_is_group(&neighbour.target));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SpPacket packet = {0};

    check_icmp(data, size);
    if (!sp_packet_parse(data, size, &packet)) {
        check(!packet.payload);
        return 0;
    }
    check_within(&packet, data, size);
    check_again(&packet);
    return 0;
}
