/* SPDX-License-Identifier: MIT */
#pragma once

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
 * stops a fast one, and nothing grows without a bound. A port whose peer goes away unplugs itself.
 *
 * Works while the default main context turns. Main thread only.
 */
typedef struct SpSwitch SpSwitch;
typedef struct SpPort SpPort;

#define SP_FRAME_MIN 14u    /* the header; Ethernet's padding is left to who sends */
#define SP_FRAME_MAX 65550u /* a header, and what a virtio card may send without segmentation */
#define SP_PORT_QUEUE_MAX (4u * 1024 * 1024)
#define SP_SWITCH_STATIONS_MAX 4096u
#define SP_SWITCH_AGE_US (300 * G_TIME_SPAN_SECOND)

/** @seed decides which frames are lost where a port has a loss, so that a run can be repeated. */
SpSwitch *sp_switch_new(const char *name, guint32 seed);
/** Unplugs all ports. NULL is fine. */
void sp_switch_free(SpSwitch *sw);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpSwitch, sp_switch_free)

/** Write each frame that comes in, and was not lost, to @capture (not owned; NULL: no more). */
void sp_switch_set_capture(SpSwitch *sw, SpCapture *capture);

/**
 * Plug the stream socket @fd, which is taken, into a port called @name. The port is the switch's;
 * it stays, without a peer, when the other end is closed, until sp_port_unplug().
 */
SpPort *sp_switch_plug(SpSwitch *sw, const char *name, int fd);

/** Called for each frame that goes out at the port; @frame lives during the call. */
typedef void (*SpFrameFunc)(const guint8 *frame, gsize length, void *data);
/** A port for the driver itself. @func must not plug or unplug. */
SpPort *sp_switch_plug_func(SpSwitch *sw, const char *name, SpFrameFunc func, void *data);
/** Send a frame into the switch as if it had come in at @port. */
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
