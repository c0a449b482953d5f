/* SPDX-License-Identifier: MIT */
#include "network/packet.h"

#include "base/error.h"

#include <string.h>

static const SpMac mac_a = {{2, 0, 0, 0, 0, 1}};
static const SpMac mac_b = {{2, 0, 0, 0, 0, 2}};

static SpIp ip(const char *text)
{
    SpIp address;

    g_assert_true(sp_ip_parse(text, &address, NULL));
    return address;
}

static SpPacket between(SpPacketKind kind, const char *from, const char *to)
{
    return (SpPacket){
        .kind = kind, .destination = mac_b, .source = mac_a, .from = ip(from), .to = ip(to)};
}

/* One of each kind, IPv4 and IPv6, with an odd and an even payload. */
#define SAMPLES 14
static void make_sample(guint number, GByteArray *frame)
{
    static const char *const from[] = {"10.0.0.1", "fd00::1"}, *const to[] = {
                                                                   "10.0.0.2", "fd00::2"};
    static const SpPacketKind kinds[] = {SP_PACKET_UDP, SP_PACKET_TCP, SP_PACKET_ICMP,
        SP_PACKET_ARP, SP_PACKET_OTHER, SP_PACKET_IP, SP_PACKET_ICMP};
    SpPacketKind kind = kinds[number / 2];
    bool is_v6 = number % 2 == 1 && kind != SP_PACKET_ARP;
    SpPacket packet = between(kind, from[is_v6], to[is_v6]);
    guint8 payload[SP_NEIGHBOUR_PAYLOAD];

    packet.payload = (const guint8 *)"payload!";
    packet.payload_length = 7 + number % 2;
    packet.ether_type = 0x88b5;
    packet.protocol = 253;
    packet.from_port = 40000;
    packet.to_port = 53;
    packet.tcp.sequence = 0x01020304;
    packet.tcp.acknowledgment = 0xfffefdfc;
    packet.tcp.flags = TH_SYN | TH_ACK;
    packet.tcp.window = 1024;
    packet.icmp.type = is_v6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO;
    packet.icmp.rest = 0xa1b2c3d4;
    if (kind == SP_PACKET_ARP) {
        packet.payload_length = 0;
        packet.arp.operation = ARPOP_REPLY;
        packet.arp.sender = mac_a;
        packet.arp.target = mac_b;
    }
    if (number == SAMPLES - 1)
        sp_packet_set_neighbour(&packet, ND_NEIGHBOR_SOLICIT,
            &(SpNeighbour){.target = ip("fd00::2"), .has_link = true, .link = mac_a}, payload);
    g_assert_true(sp_packet_build(&packet, frame));
}

static void test_round_trip(void)
{
    g_autoptr(GByteArray) frame = g_byte_array_new();
    g_autoptr(GByteArray) again = g_byte_array_new();

    for (guint i = 0; i < SAMPLES; i++) {
        SpPacket packet;

        make_sample(i, frame);
        g_assert_true(sp_packet_parse(frame->data, frame->len, &packet));
        g_assert_true(sp_packet_build(&packet, again));
        g_assert_cmpmem(frame->data, frame->len, again->data, again->len);
    }
}

static void test_fields(void)
{
    g_autoptr(GByteArray) frame = g_byte_array_new();
    SpPacket packet, udp;
    SpIp from = ip("10.0.0.1"), to = ip("fd00::2");

    make_sample(0, frame);
    g_assert_true(sp_packet_parse(frame->data, frame->len, &udp));
    g_assert_cmpint(udp.kind, ==, SP_PACKET_UDP);
    g_assert_true(sp_mac_equal(&udp.source, &mac_a));
    g_assert_true(sp_mac_equal(&udp.destination, &mac_b));
    g_assert_true(sp_ip_equal(&udp.from, &from));
    g_assert_cmpuint(udp.from_port, ==, 40000);
    g_assert_cmpuint(udp.to_port, ==, 53);
    g_assert_cmpuint(udp.hop_limit, ==, 64);
    g_assert_cmpmem(udp.payload, udp.payload_length, "payload", 7);
    make_sample(3, frame);
    g_assert_true(sp_packet_parse(frame->data, frame->len, &packet));
    g_assert_cmpint(packet.kind, ==, SP_PACKET_TCP);
    g_assert_true(sp_ip_equal(&packet.to, &to));
    g_assert_cmphex(packet.tcp.sequence, ==, 0x01020304);
    g_assert_cmphex(packet.tcp.acknowledgment, ==, 0xfffefdfc);
    g_assert_cmphex(packet.tcp.flags, ==, TH_SYN | TH_ACK);
    g_assert_cmpuint(packet.tcp.window, ==, 1024);
    make_sample(6, frame);
    g_assert_true(sp_packet_parse(frame->data, frame->len, &packet));
    g_assert_cmpint(packet.kind, ==, SP_PACKET_ARP);
    g_assert_cmpuint(packet.arp.operation, ==, ARPOP_REPLY);
    g_assert_true(sp_mac_equal(&packet.arp.target, &mac_b));
}

/* Frames from other sources: written by hand, or taken from examples in the RFCs. */
static void test_foreign(void)
{
    /* RFC 1071's sum, in a header found in many textbooks: its checksum is b861 */
    static const guint8 udp_without_sum[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1,
        0x08, 0x00, 0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0xb8, 0x61, 0xc0,
        0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7, 0, 1, 0, 2, 0, 0x5f, 0, 0};
    /* an echo request of Linux's ping, with its options in place of data */
    static const guint8 ping[] = {0x52, 0x54, 0x00, 0x00, 0x00, 0x01, 0x52, 0x54, 0x00, 0x00, 0x00,
        0x02, 0x08, 0x00, 0x46, 0x00, 0x00, 0x20, 0x00, 0x01, 0x00, 0x00, 0x01, 0x01, 0x10, 0xd6,
        0x0a, 0x00, 0x00, 0x01, 0x0a, 0x00, 0x00, 0x02, 0x94, 0x04, 0x00, 0x00, 0x08, 0x00, 0xf7,
        0xf9, 0x00, 0x01, 0x00, 0x05,
        /* Ethernet's padding */ 0, 0, 0, 0};
    guint8 frame[14 + 0x73] = {0};
    SpPacket packet;

    memcpy(frame, udp_without_sum, sizeof udp_without_sum);
    g_assert_true(sp_packet_parse(frame, sizeof frame, &packet));
    g_assert_cmpint(packet.kind, ==, SP_PACKET_UDP);
    g_assert_cmpuint(packet.payload_length, ==, 0x5f - 8);
    g_assert_true(sp_packet_parse(ping, sizeof ping, &packet));
    g_assert_cmpint(packet.kind, ==, SP_PACKET_ICMP);
    g_assert_cmpuint(packet.icmp.rest, ==, 0x10005);
    g_assert_cmpuint(packet.payload_length, ==, 0);
    g_assert_cmpuint(packet.hop_limit, ==, 1);
}

/* Truncated at every byte: a packet never contains more than what is left. */
static void test_truncated(void)
{
    g_autoptr(GByteArray) frame = g_byte_array_new();

    for (guint i = 0; i < SAMPLES; i++) {
        make_sample(i, frame);
        for (guint length = 0; length < frame->len; length++) {
            /* of exactly this size, so that a sanitizer sees a read past its end */
            g_autofree guint8 *cut = g_memdup2(frame->data, length);
            SpPacket packet = {.kind = SP_PACKET_OTHER};
            bool is_sound = sp_packet_parse(cut, length, &packet);
            bool is_opaque = frame->data[12] == 0x88;

            g_assert_true(is_sound == (is_opaque && length >= 14));
        }
    }
}

/* Every single wrong bit that a checksum covers is detected. */
static void test_corrupt(void)
{
    g_autoptr(GByteArray) frame = g_byte_array_new();

    for (guint i = 0; i < 6; i++) {
        make_sample(i, frame);
        for (guint bit = (i % 2 == 1 ? 14 + 8 : 14) * 8; bit < frame->len * 8; bit++) {
            SpPacket packet;

            frame->data[bit / 8] ^= (guint8)(1 << bit % 8);
            /* a UDP checksum that becomes 0 means that there is none */
            g_assert_false(
                sp_packet_parse(frame->data, frame->len, &packet) && packet.kind != SP_PACKET_IP);
            frame->data[bit / 8] ^= (guint8)(1 << bit % 8);
        }
    }
}

static void test_refused(void)
{
    g_autoptr(GByteArray) frame = g_byte_array_new();
    SpPacket packet = between(SP_PACKET_UDP, "10.0.0.1", "fd00::2");
    g_autofree guint8 *large = g_malloc0(70000);

    g_assert_false(sp_packet_build(&packet, frame));
    packet = between(SP_PACKET_ARP, "fd00::1", "fd00::2");
    g_assert_false(sp_packet_build(&packet, frame));
    packet = between(SP_PACKET_UDP, "10.0.0.1", "10.0.0.2");
    packet.payload = large;
    packet.payload_length = 65535 - 28;
    g_assert_true(sp_packet_build(&packet, frame));
    g_assert_true(sp_packet_parse(frame->data, frame->len, &packet));
    g_assert_cmpuint(packet.payload_length, ==, 65535 - 28);
    packet.payload = large;
    packet.payload_length++;
    g_assert_false(sp_packet_build(&packet, frame));
    g_assert_cmpuint(frame->len, ==, 0);
}

/* IPv6 extension headers are skipped; fragments are not parsed further. */
static void test_extensions(void)
{
    g_autoptr(GByteArray) frame = g_byte_array_new();
    guint8 body[8 + 16 + 8] = {60, 0, [8] = 44, [9] = 0, [16] = 17, [29] = 8};
    SpPacket packet = between(SP_PACKET_IP, "fd00::1", "fd00::2"), parsed;

    packet.protocol = 0;
    packet.payload = body;
    packet.payload_length = sizeof body;
    /* hop-by-hop, destination options, a fragment header of a whole packet, UDP without a sum */
    g_assert_true(sp_packet_build(&packet, frame));
    g_assert_false(sp_packet_parse(frame->data, frame->len, &parsed));
    body[19] = 1; /* more fragments */
    g_assert_true(sp_packet_build(&packet, frame));
    g_assert_true(sp_packet_parse(frame->data, frame->len, &parsed));
    g_assert_cmpint(parsed.kind, ==, SP_PACKET_IP);
    g_assert_true(parsed.is_fragment);
    g_assert_cmpuint(parsed.protocol, ==, 17);
    body[1] = 200; /* longer than the packet */
    g_assert_true(sp_packet_build(&packet, frame));
    g_assert_false(sp_packet_parse(frame->data, frame->len, &parsed));
}

/* Too many extension headers. */
static void test_many_extensions(void)
{
    g_autoptr(GByteArray) frame = g_byte_array_new();
    guint8 body[100 * 8] = {0};
    SpPacket packet = between(SP_PACKET_IP, "fd00::1", "fd00::2"), parsed;

    for (guint i = 0; i < 100; i++)
        body[i * 8] = i == 99 ? 59 : 60; /* no next header, at the end */
    packet.protocol = 60;
    packet.payload = body + 92 * 8;
    packet.payload_length = 8 * 8;
    g_assert_true(sp_packet_build(&packet, frame));
    g_assert_true(sp_packet_parse(frame->data, frame->len, &parsed));
    g_assert_cmpuint(parsed.protocol, ==, 59);
    packet.payload = body;
    packet.payload_length = sizeof body;
    g_assert_true(sp_packet_build(&packet, frame));
    g_assert_false(sp_packet_parse(frame->data, frame->len, &parsed));
}

/* A sum of 0 is sent as 0xffff, because 0 means that there is none (RFC 768). */
static void test_udp_sum(void)
{
    g_autoptr(GByteArray) frame = g_byte_array_new();
    SpPacket packet = between(SP_PACKET_UDP, "10.0.0.1", "10.0.0.2"), parsed;
    guint all_ones = 0;

    for (guint i = 0; i < 65536; i++) {
        guint8 payload[2] = {(guint8)(i >> 8), (guint8)i};
        const guint8 *sum;

        packet.payload = payload;
        packet.payload_length = sizeof payload;
        g_assert_true(sp_packet_build(&packet, frame));
        sum = frame->data + 14 + 20 + 6;
        g_assert_true(sum[0] != 0 || sum[1] != 0);
        all_ones += sum[0] == 0xff && sum[1] == 0xff;
        g_assert_true(sp_packet_parse(frame->data, frame->len, &parsed));
    }
    g_assert_cmpuint(all_ones, >=, 1);
}

/* Headers with a length beyond the end of the packet, and correct checksums. */
static void test_long_headers(void)
{
    g_autoptr(GByteArray) frame = g_byte_array_new();
    SpPacket packet = between(SP_PACKET_TCP, "10.0.0.1", "10.0.0.2"), parsed, quote;
    guint8 header[28] = {0x4f, 0, 0, 60, [9] = 17};
    guint8 *tcp;
    guint sum;

    g_assert_true(sp_packet_build(&packet, frame));
    tcp = frame->data + 14 + 20;
    g_assert_cmphex(tcp[12], ==, 0x50);
    tcp[12] = 0xf0;
    sum = (guint)(tcp[16] << 8 | tcp[17]);
    sum = sum >= 0xa000 ? sum - 0xa000 : sum - 0xa000 + 0xffff;
    tcp[16] = (guint8)(sum >> 8);
    tcp[17] = (guint8)sum;
    g_assert_false(sp_packet_parse(frame->data, frame->len, &parsed));
    tcp[12] = 0x50; /* that was the only fault: the same bits elsewhere are accepted */
    tcp[14] ^= 0xa0;
    g_assert_true(sp_packet_parse(frame->data, frame->len, &parsed));
    /* a quote with a truncated header */
    packet = between(SP_PACKET_ICMP, "10.0.0.2", "10.0.0.1");
    packet.icmp.type = ICMP_DEST_UNREACH;
    packet.payload = header;
    packet.payload_length = sizeof header;
    g_assert_false(sp_packet_get_quote(&packet, &quote));
    header[0] = 0x45;
    g_assert_true(sp_packet_get_quote(&packet, &quote));
}

/* A valid solicitation, and each way in which one can be invalid. */
static void test_neighbour(void)
{
    g_autoptr(GByteArray) frame = g_byte_array_new();
    SpNeighbour wanted = {.target = ip("fd00::2"), .has_link = true, .link = mac_a}, got;
    SpPacket packet = between(SP_PACKET_ICMP, "fd00::1", "ff02::1:ff00:2"), parsed;
    guint8 payload[SP_NEIGHBOUR_PAYLOAD];
    guint8 original;

    sp_packet_set_neighbour(&packet, ND_NEIGHBOR_SOLICIT, &wanted, payload);
    g_assert_true(sp_packet_build(&packet, frame));
    g_assert_true(sp_packet_parse(frame->data, frame->len, &parsed));
    g_assert_true(sp_packet_get_neighbour(&parsed, &got));
    g_assert_true(sp_ip_equal(&got.target, &wanted.target));
    g_assert_true(got.has_link && sp_mac_equal(&got.link, &mac_a));
    /* an option of another type or length is skipped */
    original = payload[16];
    payload[16] = 14;
    g_assert_true(sp_packet_get_neighbour(&packet, &got) && !got.has_link);
    payload[16] = original;
    payload[17] = 0; /* of length 0: would never end */
    g_assert_false(sp_packet_get_neighbour(&packet, &got));
    payload[17] = 2; /* beyond the end */
    g_assert_false(sp_packet_get_neighbour(&packet, &got));
    payload[17] = 1;
    packet.hop_limit = 254; /* came through a router */
    g_assert_false(sp_packet_get_neighbour(&packet, &got));
    packet.hop_limit = 255;
    packet.icmp.code = 1;
    g_assert_false(sp_packet_get_neighbour(&packet, &got));
    packet.icmp.code = 0;
    packet.from = ip("::"); /* duplicate address detection has no source link address */
    g_assert_false(sp_packet_get_neighbour(&packet, &got));
    packet.payload_length = 16;
    g_assert_true(sp_packet_get_neighbour(&packet, &got));
    packet.payload_length = 15;
    g_assert_false(sp_packet_get_neighbour(&packet, &got));
    packet.payload_length = 16;
    payload[0] = 0xff; /* the target is a group address */
    g_assert_false(sp_packet_get_neighbour(&packet, &got));
    payload[0] = 0xfd;
    packet.icmp.type = ICMP6_ECHO_REQUEST;
    g_assert_false(sp_packet_get_neighbour(&packet, &got));
}

static void test_quote(void)
{
    g_autoptr(GByteArray) frame = g_byte_array_new();
    g_autoptr(GByteArray) error_frame = g_byte_array_new();

    for (guint i = 0; i < 4; i++) { /* UDP and TCP, IPv4 and IPv6 */
        bool is_v6 = i % 2 == 1;
        SpPacket error =
            between(SP_PACKET_ICMP, is_v6 ? "fd00::2" : "10.0.0.2", is_v6 ? "fd00::1" : "10.0.0.1");
        gsize least = (is_v6 ? 40 : 20) + 8;
        SpPacket parsed, quote;

        make_sample(i, frame);
        error.icmp.type = is_v6 ? ICMP6_DST_UNREACH : ICMP_DEST_UNREACH;
        error.payload = frame->data + 14;
        for (gsize length = 0; length <= frame->len - 14; length++) {
            error.payload_length = length;
            g_assert_true(sp_packet_build(&error, error_frame));
            g_assert_true(sp_packet_parse(error_frame->data, error_frame->len, &parsed));
            g_assert_true(sp_packet_get_quote(&parsed, &quote) == (length >= least));
        }
        g_assert_cmpuint(quote.from_port, ==, 40000);
        g_assert_cmpuint(quote.to_port, ==, 53);
        g_assert_true(sp_ip_equal(&quote.to, &error.from));
        if (i >= 2)
            g_assert_cmphex(quote.tcp.sequence, ==, 0x01020304);
        parsed.icmp.type = is_v6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO;
        g_assert_false(sp_packet_get_quote(&parsed, &quote));
    }
}

static void test_addresses(void)
{
    static const char *const wrong[] = {"", "10.0.0", "10.0.0.256", "fd00:::1", "a", "10.0.0.1/24"};
    static const char *const wrong_prefixes[] = {
        "10.0.0.1", "10.0.0.1/", "10.0.0.1/33", "10.0.0.1/-1", "fd00::1/129", "x/24", "/24"};
    static const char *const wrong_macs[] = {"", "52:54:00:12:34", "52:54:00:12:34:5",
        "52:54:00:12:34:56:", "52:54:00:12:34:5g", "52-54-00-12-34-56", "525400123456"};
    SpMac mac, group;
    SpIp a, b;
    guint prefix;

    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_false(sp_ip_parse(wrong[i], &a, &error));
        g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(wrong_prefixes); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_false(sp_ip_parse_prefix(wrong_prefixes[i], &a, &prefix, &error));
        g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(wrong_macs); i++)
        g_assert_false(sp_mac_parse(wrong_macs[i], &mac));
    g_assert_true(sp_mac_parse("52:54:00:12:34:Ab", &mac));
    {
        g_autofree char *text = sp_mac_format(&mac);
        g_assert_cmpstr(text, ==, "52:54:00:12:34:ab");
    }
    a = sp_ip_link_local(&mac);
    {
        g_autofree char *text = sp_ip_format(&a);
        g_assert_cmpstr(text, ==, "fe80::5054:ff:fe12:34ab");
    }
    g_assert_true(sp_ip_is_link_local(&a));
    b = sp_ip_solicited_node(&a);
    {
        g_autofree char *text = sp_ip_format(&b);
        g_assert_cmpstr(text, ==, "ff02::1:ff12:34ab");
    }
    group = sp_ip_group_mac(&b);
    g_assert_true(sp_mac_is_group(&group));
    {
        g_autofree char *text = sp_mac_format(&group);
        g_assert_cmpstr(text, ==, "33:33:ff:12:34:ab");
    }
    a = ip("239.129.2.3");
    group = sp_ip_group_mac(&a);
    {
        g_autofree char *text = sp_mac_format(&group);
        g_assert_cmpstr(text, ==, "01:00:5e:01:02:03");
    }
    g_assert_true(sp_ip_parse_prefix("172.20.30.9/20", &a, &prefix, NULL));
    g_assert_cmpuint(prefix, ==, 20);
    b = ip("172.20.31.1");
    g_assert_true(sp_ip_shares_prefix(&a, &b, 20));
    g_assert_true(sp_ip_shares_prefix(&a, &b, 23));
    g_assert_false(sp_ip_shares_prefix(&a, &b, 24));
    g_assert_false(sp_ip_shares_prefix(&a, &b, 33));
    b = ip("fd00::1");
    g_assert_false(sp_ip_shares_prefix(&a, &b, 0));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/packet/round-trip", test_round_trip);
    g_test_add_func("/packet/fields", test_fields);
    g_test_add_func("/packet/foreign", test_foreign);
    g_test_add_func("/packet/truncated", test_truncated);
    g_test_add_func("/packet/corrupt", test_corrupt);
    g_test_add_func("/packet/refused", test_refused);
    g_test_add_func("/packet/extensions", test_extensions);
    g_test_add_func("/packet/many-extensions", test_many_extensions);
    g_test_add_func("/packet/udp-sum", test_udp_sum);
    g_test_add_func("/packet/long-headers", test_long_headers);
    g_test_add_func("/packet/neighbour", test_neighbour);
    g_test_add_func("/packet/quote", test_quote);
    g_test_add_func("/packet/addresses", test_addresses);
    return g_test_run();
}
