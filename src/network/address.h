/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/** The addresses of frames and packets: plain values, in network order. */

#define SP_MAC_SIZE 6u

typedef struct {
    guint8 bytes[SP_MAC_SIZE];
} SpMac;

#define SP_MAC_BROADCAST ((SpMac){{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}})

/** The SP_MAC_SIZE bytes at @bytes. */
SpMac sp_mac_read(const guint8 *bytes);
/** "52:54:00:12:34:56". Returns false if @text is not a MAC address. */
bool sp_mac_parse(const char *text, SpMac *ret_mac);
/** Free with g_free(). */
char *sp_mac_format(const SpMac *mac);
bool sp_mac_equal(const SpMac *a, const SpMac *b);
/** True for broadcast too. */
bool sp_mac_is_group(const SpMac *mac);

/** An IPv4 or IPv6 address. All zeros is IPv4's 0.0.0.0. */
typedef struct {
    bool is_v6;
    guint8 bytes[16]; /* IPv4 uses the first 4; the others are 0 */
} SpIp;

/** SP_ERROR_USAGE if @text is not an address. */
bool sp_ip_parse(const char *text, SpIp *ret_ip, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** An address and the length of its network's prefix: "172.20.30.9/24", "fd00::9/64". */
bool sp_ip_parse_prefix(
    const char *text, SpIp *ret_ip, guint *ret_prefix, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Free with g_free(). */
char *sp_ip_format(const SpIp *ip);
/** In bytes: 4 or 16. */
gsize sp_ip_size(const SpIp *ip);
bool sp_ip_equal(const SpIp *a, const SpIp *b);
/** 0.0.0.0 or "::". */
bool sp_ip_is_unspecified(const SpIp *ip);
/** True for multicast groups and IPv4's limited broadcast. */
bool sp_ip_is_group(const SpIp *ip);
/** fe80::/10 (RFC 4291, 2.5.6). */
bool sp_ip_is_link_local(const SpIp *ip);
/** Whether the first @prefix bits of both are equal. False for different families. */
bool sp_ip_shares_prefix(const SpIp *a, const SpIp *b, guint prefix);

/** The link-local IPv6 address of an interface with @mac (RFC 4291, 2.5.6 and appendix A). */
SpIp sp_ip_link_local(const SpMac *mac);
/** The group to which neighbour solicitations for the IPv6 address @ip go (RFC 4291, 2.7.1). */
SpIp sp_ip_solicited_node(const SpIp *ip);
/** The MAC address of the group @ip (RFC 1112, 6.4; RFC 2464, 7). */
SpMac sp_ip_group_mac(const SpIp *ip);
