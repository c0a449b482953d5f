/* SPDX-License-Identifier: MIT */
#pragma once

#include "network/address.h"
#include "network/capture.h"

#include <glib.h>
#include <stdbool.h>

/**
 * One network of a test: a switch that learns which station is behind which port (IEEE 802.1D-2004,
 * 7.7 to 7.9, without VLANs and spanning tree), and floods what it does not know.
 *
 * A machine's network card is a stream socket to it, as QEMU's "-netdev stream" speaks: a length of
 * 32 bits, big endian, in front of each frame. Every frame is read as soon as it comes, and one for
 * a receiver that has SP_PORT_QUEUE_MAX bytes waiting is dropped and counted: a slow machine never
 * stops a fast one, and nothing grows without a bound. A port whose peer goes away is closed.
 *
 * Why a stream and not "-netdev dgram", which QEMU 7.2 offers too: one read or write takes many
 * frames, where each datagram costs one of its own; a frame of 64 KiB needs no larger socket
 * buffer; and the end of QEMU is seen as the end of the stream, where a datagram socket says
 * nothing until something is sent. As seen with QEMU 7.2:
 *
 * - Where we are slow, QEMU keeps the rest of a frame and stops taking frames from its card, so
 *   that the guest's own queue fills: nothing is lost between the guest's driver and us.
 * - A card that has no room for a frame (no driver yet, a machine that is stopped) makes QEMU stop
 *   reading. What was sent meanwhile waits in the socket and in the port's queue, and comes in when
 *   the driver is up; the only frames lost on this way are those counted as overflown.
 * - QEMU ends a connection on which it is told of a frame longer than SP_ETHERNET_LENGTH_MAX. Where
 *   we end one, it goes on with a card that has no cable.
 *
 * Works while the default main context turns. Main thread only.
 */
typedef struct SpSwitch SpSwitch;
typedef struct SpPort SpPort;

#define SP_ETHERNET_FRAME_MIN 14u /* the header; Ethernet's padding is left to who sends */
#define SP_ETHERNET_FRAME_MAX                                                                      \
    65550u /* a header, and what a virtio card may send without segmentation */
/* What QEMU may say is a frame's length (its NET_BUFSIZE); one between the two is passed over. */
#define SP_ETHERNET_LENGTH_MAX 69632u
#define SP_PORT_QUEUE_MAX (4u * 1024 * 1024)
#define SP_SWITCH_STATIONS_MAX 4096u
#define SP_SWITCH_AGE_US (300 * G_TIME_SPAN_SECOND)

/** @seed decides which frames are lost where a port has a loss, so that a run can be repeated. */
SpSwitch *sp_switch_new(const char *name, guint32 seed);
/** Unplugs all ports. NULL is fine. */
void sp_switch_free(SpSwitch *sw);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpSwitch, sp_switch_free)

/** As given; the switch's. */
const char *sp_switch_name(const SpSwitch *sw);

/** Write each frame that comes in, and was not lost, to @capture (not owned; NULL: no more). */
void sp_switch_set_capture(SpSwitch *sw, SpCapture *capture);

/**
 * Plug the stream socket @fd, which is taken, into a port called @name. The port is the switch's;
 * it stays, without a peer, when the other end is closed, until sp_port_unplug().
 */
SpPort *sp_switch_plug(SpSwitch *sw, const char *name, int fd);

/** Called for each frame that goes out at the port; @frame lives during the call. */
typedef void (*SpFrameFunc)(const guint8 *frame, gsize length, void *data);
/** A port for the driver itself. @func may send, but must not plug or unplug. */
SpPort *sp_switch_plug_func(SpSwitch *sw, const char *name, SpFrameFunc func, void *data);
/**
 * The port behind which the station with the address @mac was last heard; NULL if it was not, or
 * not for SP_SWITCH_AGE_US.
 */
SpPort *sp_switch_find(SpSwitch *sw, const SpMac *mac);
/**
 * Send a frame into the switch as if it had come in at @port. Another port of the driver's gets it
 * at once; to sockets it is written, with others, when the main context turns next.
 */
void sp_port_send(SpPort *port, const guint8 *frame, gsize length);

/** Remove the port; what was learned of it is forgotten. NULL is fine. */
void sp_port_unplug(SpPort *port);
/** False once the other end is gone. */
bool sp_port_is_connected(const SpPort *port);

/** Cut the link, or mend it: nothing goes in or out meanwhile. */
void sp_port_set_blocked(SpPort *port, bool is_blocked);
/** @loss of all frames, 0 to 1, each way, are lost. */
void sp_port_set_loss(SpPort *port, double loss);
/** Each frame that goes out waits for @delay_ms first. */
void sp_port_set_delay(SpPort *port, guint delay_ms);

/** Frames since the port was plugged in. */
typedef struct {
    guint64 received; /* came in, and were not dropped */
    guint64 sent;     /* went out */
    guint64 malformed;
    guint64 blocked;
    guint64 lost;
    guint64 overflown; /* dropped since the receiver had too much waiting */
} SpPortStats;
const SpPortStats *sp_port_stats(const SpPort *port);
