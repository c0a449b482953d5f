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
 * A station of the driver's own on a network, without a kernel behind it: it can send anything,
 * and receives every frame that the switch forwards to it.
 *
 * For its own addresses it answers by itself what makes a station reachable: ARP (RFC 826),
 * neighbour solicitations (RFC 4861, 7.2.4) and echo requests. It has no neighbour table and no
 * routes: every address is assumed to be on the link. Received frames are kept for
 * sp_endpoint_receive().
 *
 *     g_autoptr(SpEndpoint) host = sp_endpoint_new(sw, "scanner", &mac);
 *     sp_endpoint_add_address(host, "172.20.30.9/24", &error);
 *     sp_endpoint_ping(host, &gateway, sp_deadline(5000), interrupt, &time_us, &error);
 *
 * The calls that wait run the default main context. Main thread only. Must be freed before its
 * switch.
 */
typedef struct SpEndpoint SpEndpoint;

#define SP_ENDPOINT_ADDRESSES_MAX 16u
/**
 * Plug a station called @name into @sw. Its only address is the link-local IPv6 address derived
 * from @mac, which must not be a group address.
 */
SpEndpoint *sp_endpoint_new(SpSwitch *sw, const char *name, const SpMac *mac);
/** Unplug it. NULL is accepted. */
void sp_endpoint_free(SpEndpoint *endpoint);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpEndpoint, sp_endpoint_free)

/** Add "172.20.30.9/24" or "fd00::9/64"; SP_ERROR_USAGE if the text is invalid, or for too many.
 */
bool sp_endpoint_add_address(
    SpEndpoint *endpoint, const char *address, GError **error) G_GNUC_WARN_UNUSED_RESULT;

const SpMac *sp_endpoint_mac(const SpEndpoint *endpoint);
/** Its port, for the link's faults and counters. */
SpPort *sp_endpoint_port(SpEndpoint *endpoint);
SpSwitch *sp_endpoint_switch(SpEndpoint *endpoint);
/**
 * Which of its addresses it uses to talk to @to: one in the same network, otherwise the first of
 * the family, a link-local one last unless @to is link-local. SP_ERROR_USAGE if it has none.
 */
bool sp_endpoint_source(const SpEndpoint *endpoint, const SpIp *to, SpIp *ret_source,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** The next source port, of the dynamic ports (RFC 6335, 6). */
guint16 sp_endpoint_take_port(SpEndpoint *endpoint);

/**
 * Ask by ARP or neighbour discovery which MAC address @ip has, twice a second until @deadline.
 * SP_ERROR_TIMEOUT if nothing answers; SP_ERROR_INTERRUPTED.
 */
bool sp_endpoint_resolve(SpEndpoint *endpoint, const SpIp *ip, gint64 deadline,
    const SpInterrupt *interrupt, SpMac *ret_mac, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/**
 * Resolve @ip and send it an echo request, twice a second until it answers. @ret_time_us (may be
 * NULL) is the time from the last request to the answer. Fails like sp_endpoint_resolve().
 */
bool sp_endpoint_ping(SpEndpoint *endpoint, const SpIp *ip, gint64 deadline,
    const SpInterrupt *interrupt, gint64 *ret_time_us, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/** Send @length bytes as they are. */
void sp_endpoint_send_frame(SpEndpoint *endpoint, const guint8 *frame, gsize length);
/**
 * Send what sp_packet_build() makes of @packet. A source MAC address of zeros is replaced by the
 * endpoint's; everything else is sent as given, true or not. SP_ERROR_USAGE if the packet can't be
 * built.
 */
bool sp_endpoint_send(
    SpEndpoint *endpoint, const SpPacket *packet, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/**
 * Take the first frame that @match (NULL: any) accepts out of those received since the last
 * sp_endpoint_forget(). If there is none, wait for one until @deadline; 0 does not wait. At most
 * the last SP_FRAME_QUEUE_MAX frames are kept.
 *
 * Frames are in the order in which the switch received them, including those that were flooded and
 * are for another station. Answers to a running port scan are not kept. NULL with SP_ERROR_TIMEOUT
 * or SP_ERROR_INTERRUPTED. Free with g_bytes_unref().
 */
GBytes *sp_endpoint_receive(SpEndpoint *endpoint, SpMatchFunc match, void *data, gint64 deadline,
    const SpInterrupt *interrupt, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Discard the frames that were kept. */
void sp_endpoint_forget(SpEndpoint *endpoint);

/** Called for each received packet before it is kept. If it returns true, the packet is not kept.
 */
typedef bool (*SpPacketFunc)(const SpPacket *packet, void *data);
/**
 * Call @func for each packet until the watch of @func and @data is removed. The newest watch is
 * called first. */
void sp_endpoint_push_watch(SpEndpoint *endpoint, SpPacketFunc func, void *data);
void sp_endpoint_remove_watch(SpEndpoint *endpoint, SpPacketFunc func, void *data);
