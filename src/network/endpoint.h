/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/wait.h"
#include "network/address.h"
#include "network/frame-queue.h"
#include "network/packet.h"
#include "network/switch.h"

#include <glib.h>
#include <stdbool.h>

/**
 * A station of the driver's own on a network, without a kernel behind it: it can say anything, and
 * hears every frame that the switch brings it.
 *
 * By itself it answers what makes a station reachable, for the addresses it has: ARP (RFC 826),
 * neighbour solicitations (RFC 4861, 7.2.4) and echo requests. It keeps no neighbour table and no
 * routes: who is asked is taken to be on the link. What came in is kept for sp_endpoint_receive().
 *
 *     g_autoptr(SpEndpoint) host = sp_endpoint_new(sw, "scanner", &mac);
 *     sp_endpoint_add_address(host, "172.20.30.9/24", &error);
 *     sp_endpoint_ping(host, &gateway, sp_deadline(5000), interrupt, &time_us, &error);
 *
 * The calls that wait turn the default main context. Main thread only. Must go before its switch.
 */
typedef struct SpEndpoint SpEndpoint;

#define SP_ENDPOINT_ADDRESSES_MAX 16u
/**
 * Plug a station called @name into @sw. It has the link-local IPv6 address that follows from @mac,
 * which must be no group's, and no other yet.
 */
SpEndpoint *sp_endpoint_new(SpSwitch *sw, const char *name, const SpMac *mac);
/** Unplug it. NULL is fine. */
void sp_endpoint_free(SpEndpoint *endpoint);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpEndpoint, sp_endpoint_free)

/** Add "172.20.30.9/24" or "fd00::9/64"; SP_ERROR_USAGE for what is no such address, or too many.
 */
bool sp_endpoint_add_address(
    SpEndpoint *endpoint, const char *address, GError **error) G_GNUC_WARN_UNUSED_RESULT;

const SpMac *sp_endpoint_mac(const SpEndpoint *endpoint);
/** Its port: for the link's faults and counters. */
SpPort *sp_endpoint_port(SpEndpoint *endpoint);
SpSwitch *sp_endpoint_switch(SpEndpoint *endpoint);
/**
 * The address of its own that it speaks to @to with: one of the same network, otherwise the first
 * of the family that is no more local than @to. SP_ERROR_USAGE where it has none.
 */
bool sp_endpoint_source(const SpEndpoint *endpoint, const SpIp *to, SpIp *ret_source,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** A port that it speaks from, another one each time (RFC 6335, 6: of the dynamic ones). */
guint16 sp_endpoint_take_port(SpEndpoint *endpoint);

/**
 * Ask by ARP or neighbour discovery which MAC address @ip has, twice a second until @deadline.
 * SP_ERROR_TIMEOUT where nobody answers; SP_ERROR_INTERRUPTED.
 */
bool sp_endpoint_resolve(SpEndpoint *endpoint, const SpIp *ip, gint64 deadline,
    const SpInterrupt *interrupt, SpMac *ret_mac, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/**
 * Resolve @ip and send it an echo request, twice a second until it answers. @ret_time_us (may be
 * NULL) is how long after the last request that was. Fails as sp_endpoint_resolve() does.
 */
bool sp_endpoint_ping(SpEndpoint *endpoint, const SpIp *ip, gint64 deadline,
    const SpInterrupt *interrupt, gint64 *ret_time_us, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/** Send @length bytes as they are. */
void sp_endpoint_send_frame(SpEndpoint *endpoint, const guint8 *frame, gsize length);
/**
 * Send what sp_packet_build() makes of @packet. A source MAC address of zeros becomes the
 * endpoint's; all else may be a lie. SP_ERROR_USAGE where it can't be built.
 */
bool sp_endpoint_send(
    SpEndpoint *endpoint, const SpPacket *packet, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/**
 * Take the first frame that @match (NULL: any) says yes to out of those that came since the last
 * sp_endpoint_forget(), and wait for one until @deadline where there is none; 0 waits for none.
 * Of those, the last SP_FRAME_QUEUE_MAX are there.
 *
 * Frames come in here in the order in which they came to the switch, those included that are not
 * for this station and were flooded. Not kept: answers to a probe that was running. NULL with
 * SP_ERROR_TIMEOUT or SP_ERROR_INTERRUPTED. Free with g_bytes_unref().
 */
GBytes *sp_endpoint_receive(SpEndpoint *endpoint, SpMatchFunc match, void *data, gint64 deadline,
    const SpInterrupt *interrupt, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Forget the frames that were kept. */
void sp_endpoint_forget(SpEndpoint *endpoint);

/** Each packet that comes in, before it is kept; true keeps it away from sp_endpoint_receive(). */
typedef bool (*SpPacketFunc)(const SpPacket *packet, void *data);
/** Call @func for each, until the watch of @func and @data is removed; the last one set is asked
 * first. */
void sp_endpoint_push_watch(SpEndpoint *endpoint, SpPacketFunc func, void *data);
void sp_endpoint_remove_watch(SpEndpoint *endpoint, SpPacketFunc func, void *data);
