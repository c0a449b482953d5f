/* SPDX-License-Identifier: MIT */
#pragma once

#include "network/address.h"
#include "network/capture.h"

#include <glib.h>
#include <stdbool.h>

/**
 * One network of a test: a switch that learns which station is behind which port (IEEE 802.1D-2004,
 * 7.7 to 7.9, without VLANs and spanning tree), and floods frames for stations that it does not
 * know.
 *
 * A machine's network card is a stream socket to it, in the format of QEMU's "-netdev stream": each
 * frame follows its length, 32 bits big endian. Every frame is read as soon as it arrives. If the
 * receiver already has SP_PORT_QUEUE_MAX bytes waiting, the frame is dropped and counted: a slow
 * machine never stops a fast one, and all queues are bounded. A port whose peer goes away is
 * closed.
 *
 * Why a stream and not "-netdev dgram", which QEMU 7.2 offers too: one read or write takes many
 * frames instead of one datagram; a frame of 64 KiB needs no larger socket buffer; and the end of
 * QEMU is the end of the stream, whereas a datagram socket reports nothing until something is sent.
 * Observed with QEMU 7.2:
 *
 * - If we are slow, QEMU keeps the rest of a frame and stops taking frames from its card, so that
 *   the guest's own queue fills: nothing is lost between the guest's driver and us.
 * - If a card can't take a frame (no driver yet, a stopped machine), QEMU stops reading. What is
 *   sent meanwhile waits in the socket and in the port's queue, and arrives when the driver is up;
 *   the only frames lost on the way are those counted as overflown.
 * - QEMU closes a connection on which a frame is announced as longer than SP_ETHERNET_LENGTH_MAX.
 *   If we close one, it goes on with a card that has no cable.
 *
 * Works while the default main context runs. Main thread only.
 */
typedef struct SpSwitch SpSwitch;
typedef struct SpPort SpPort;

#define SP_ETHERNET_FRAME_MIN 14u /* the header; padding is the sender's task */
#define SP_ETHERNET_FRAME_MAX                                                                      \
    65550u /* a header, and what a virtio card may send without segmentation */
/* The longest length that QEMU may announce (its NET_BUFSIZE); longer frames than
 * SP_ETHERNET_FRAME_MAX are skipped. */
#define SP_ETHERNET_LENGTH_MAX 69632u
#define SP_PORT_QUEUE_MAX (4u * 1024 * 1024)
#define SP_SWITCH_STATIONS_MAX 4096u
#define SP_SWITCH_AGE_US (300 * G_TIME_SPAN_SECOND)

/** @seed decides which frames are lost on a lossy port, so that a run can be repeated. */
SpSwitch *sp_switch_new(const char *name, guint32 seed);
/** Unplugs all ports. NULL is accepted. */
void sp_switch_free(SpSwitch *sw);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpSwitch, sp_switch_free)

/** The name as given; owned by the switch. */
const char *sp_switch_name(const SpSwitch *sw);

/** Write each frame that is received, and not lost, to @capture (not owned; NULL stops that). */
void sp_switch_set_capture(SpSwitch *sw, SpCapture *capture);

/**
 * Plug the stream socket @fd, which is taken, into a port called @name. The port belongs to the
 * switch. When the other end is closed, it stays, without a peer, until sp_port_unplug().
 */
SpPort *sp_switch_plug(SpSwitch *sw, const char *name, int fd);

/** Called for each frame that goes out at the port; @frame is valid during the call. */
typedef void (*SpFrameFunc)(const guint8 *frame, gsize length, void *data);
/** A port for the driver itself. @func may send, but must not plug or unplug. */
SpPort *sp_switch_plug_func(SpSwitch *sw, const char *name, SpFrameFunc func, void *data);
/**
 * The port behind which the station with the address @mac was last heard; NULL if it was not, or
 * not for SP_SWITCH_AGE_US.
 */
SpPort *sp_switch_find(SpSwitch *sw, const SpMac *mac);
/**
 * Send a frame into the switch as if it had come in at @port. Other ports of the driver get it at
 * once; to sockets it is written, with others, when the main context runs next.
 */
void sp_port_send(SpPort *port, const guint8 *frame, gsize length);

/** Remove the port, and forget the stations behind it. NULL is accepted. */
void sp_port_unplug(SpPort *port);
/** False once the other end is gone. */
bool sp_port_is_connected(const SpPort *port);

/** Cut the link, or restore it. While it is cut, nothing goes in or out. */
void sp_port_set_blocked(SpPort *port, bool is_blocked);
/** The share of frames, 0 to 1, that are lost in either direction. */
void sp_port_set_loss(SpPort *port, double loss);
/** Each frame that goes out is delayed by @delay_ms. */
void sp_port_set_delay(SpPort *port, guint delay_ms);

/** Frames since the port was plugged in. */
typedef struct {
    guint64 received; /* and not dropped */
    guint64 sent;
    guint64 malformed;
    guint64 blocked;
    guint64 lost;
    guint64 overflown; /* dropped because too much was waiting for the receiver */
} SpPortStats;
const SpPortStats *sp_port_stats(const SpPort *port);
