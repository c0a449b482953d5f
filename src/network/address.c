/* SPDX-License-Identifier: MIT */
#include "network/address.h"

#include "base/error.h"

#include <arpa/inet.h>
#include <string.h>

SpMac sp_mac_read(const guint8 *bytes)
{
    SpMac mac;

    memcpy(mac.bytes, bytes, SP_MAC_SIZE);
    return mac;
}

bool sp_mac_parse(const char *text, SpMac *ret_mac)
{
    SpMac mac;

    for (guint i = 0; i < SP_MAC_SIZE; i++) {
        int high = g_ascii_xdigit_value(text[0]);
        int low = high < 0 ? -1 : g_ascii_xdigit_value(text[1]);

        if (low < 0 || text[2] != (i + 1 < SP_MAC_SIZE ? ':' : 0))
            return false;
        mac.bytes[i] = (guint8)(high << 4 | low);
        text += 3;
    }
    *ret_mac = mac;
    return true;
}

char *sp_mac_format(const SpMac *mac)
{
    const guint8 *b = mac->bytes;

    return g_strdup_printf("%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
}

bool sp_mac_equal(const SpMac *a, const SpMac *b)
{
    return memcmp(a->bytes, b->bytes, SP_MAC_SIZE) == 0;
}

bool sp_mac_is_group(const SpMac *mac)
{
    return (mac->bytes[0] & 1) != 0;
}

bool sp_ip_parse(const char *text, SpIp *ret_ip, GError **error)
{
    SpIp ip = {.is_v6 = strchr(text, ':') != NULL};

    if (inet_pton(ip.is_v6 ? AF_INET6 : AF_INET, text, ip.bytes) != 1) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "'%s' is no IP address", text);
        return false;
    }
    *ret_ip = ip;
    return true;
}

bool sp_ip_parse_prefix(const char *text, SpIp *ret_ip, guint *ret_prefix, GError **error)
{
    const char *slash = strchr(text, '/');
    g_autofree char *address = slash ? g_strndup(text, (gsize)(slash - text)) : g_strdup(text);
    guint64 prefix = 0;
    SpIp ip;

    if (!sp_ip_parse(address, &ip, error))
        return false;
    if (!slash ||
        !g_ascii_string_to_unsigned(slash + 1, 10, 0, sp_ip_size(&ip) * 8, &prefix, NULL)) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "'%s' must end in the length of the network's prefix, such as '%s/%d'", text, address,
            ip.is_v6 ? 64 : 24);
        return false;
    }
    *ret_ip = ip;
    *ret_prefix = (guint)prefix;
    return true;
}

char *sp_ip_format(const SpIp *ip)
{
    char text[INET6_ADDRSTRLEN];

    return g_strdup(inet_ntop(ip->is_v6 ? AF_INET6 : AF_INET, ip->bytes, text, sizeof text));
}

gsize sp_ip_size(const SpIp *ip)
{
    return ip->is_v6 ? 16 : 4;
}

bool sp_ip_equal(const SpIp *a, const SpIp *b)
{
    return a->is_v6 == b->is_v6 && memcmp(a->bytes, b->bytes, sp_ip_size(a)) == 0;
}

bool sp_ip_is_unspecified(const SpIp *ip)
{
    static const guint8 zeros[16];

    return memcmp(ip->bytes, zeros, sp_ip_size(ip)) == 0;
}

bool sp_ip_is_group(const SpIp *ip)
{
    if (ip->is_v6)
        return ip->bytes[0] == 0xff;
    return ip->bytes[0] >> 4 == 0xe || memcmp(ip->bytes, "\xff\xff\xff\xff", 4) == 0;
}

bool sp_ip_is_link_local(const SpIp *ip)
{
    return ip->is_v6 && ip->bytes[0] == 0xfe && (ip->bytes[1] & 0xc0) == 0x80;
}

bool sp_ip_shares_prefix(const SpIp *a, const SpIp *b, guint prefix)
{
    guint whole = prefix / 8, rest = prefix % 8;

    if (a->is_v6 != b->is_v6 || prefix > sp_ip_size(a) * 8)
        return false;
    if (memcmp(a->bytes, b->bytes, whole) != 0)
        return false;
    return rest == 0 || (a->bytes[whole] ^ b->bytes[whole]) >> (8 - rest) == 0;
}

SpIp sp_ip_link_local(const SpMac *mac)
{
    SpIp ip = {.is_v6 = true, .bytes = {0xfe, 0x80, [11] = 0xff, [12] = 0xfe}};

    memcpy(ip.bytes + 8, mac->bytes, 3);
    memcpy(ip.bytes + 13, mac->bytes + 3, 3);
    ip.bytes[8] ^= 2;
    return ip;
}

SpIp sp_ip_solicited_node(const SpIp *ip)
{
    SpIp group = {.is_v6 = true, .bytes = {0xff, 2, [11] = 1, [12] = 0xff}};

    memcpy(group.bytes + 13, ip->bytes + 13, 3);
    return group;
}

SpMac sp_ip_group_mac(const SpIp *ip)
{
    const guint8 *b = ip->bytes;

    if (ip->is_v6)
        return (SpMac){{0x33, 0x33, b[12], b[13], b[14], b[15]}};
    if (b[0] == 0xff)
        return SP_MAC_BROADCAST;
    return (SpMac){{0x01, 0x00, 0x5e, b[1] & 0x7f, b[2], b[3]}};
}
