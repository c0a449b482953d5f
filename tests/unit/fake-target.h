/* SPDX-License-Identifier: MIT */
#pragma once

#include "network/port-scan.h"

/**
 * A machine on a network that answers like a kernel: ARP, neighbour solicitations, and each TCP and
 * UDP port as @tcp and @udp say. Its faults are counted in frames, not in time.
 */
typedef struct {
    SpMac mac;
    SpIp v4, v6;
    guint8 tcp[SP_PORT_SCAN_PORTS]; /* SpPortScanState; NONE is silent too */
    guint8 udp[SP_PORT_SCAN_PORTS];

    guint lose_answers;   /* one of this many answers of ports is lost; 0: none */
    guint mute_from;      /* from this frame on all frames are lost (0: never), */
    guint mute_sentinels; /* until this many sentinels or resolutions were */
    bool answers_late;    /* the first of those is answered instead of the last */
    bool contradicts;     /* an error before and after each SYN-ACK */
    guint dies_at;        /* it goes away at this frame; 0: never */
    bool limits_icmp;     /* 6 errors, and one more every 100 frames */
    bool holds_answers;   /* and sends 100 after each answer to a sentinel */
    bool has_no_arp;      /* nor neighbour discovery */
    bool answers_wrongly; /* with numbers, ports and quotes of probes that were never sent */

    guint frames;    /* received */
    guint elsewhere; /* of these, in another thread than that which created the target */
    guint window;    /* received since the last sentinel */
    guint largest_window;
    guint half_open; /* TCP connections that were not reset */
    guint udp_bytes; /* of payload, of the last datagram */

    GThread *thread; /* which created the target */
    int fd;
    GSource *source;
    GByteArray *input;
    GQueue held; /* of GByteArray */
    GByteArray *late;
    guint answers, errors;
    GByteArray *frame;
} FakeTarget;

/** Plugged into @sw; has the addresses 10.0.0.2 and fd00::2. */
FakeTarget *fake_target_new(SpSwitch *sw);
void fake_target_free(FakeTarget *target);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FakeTarget, fake_target_free)
/** Set all ports of both protocols. */
void fake_target_set_all(FakeTarget *target, SpPortScanState state);
