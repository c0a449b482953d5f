/* SPDX-License-Identifier: MIT */
#pragma once

#include "agent/agent-client.h"

/** What the driver has sent and the test not read; the kernel takes twice as much for its own. */
#define FAKE_SOCKET_HOLDS 65536

/**
 * The driver's end of the connection, and the other one of a socket pair, where the test is the
 * agent, whose every byte it chooses.
 */
typedef struct {
    SpAgent *agent;
    int fd;
    GByteArray *heard; /* frames of the driver's not looked at yet */
    /* the answer to the driver's last HELLO */
    guint8 hello[SP_HELLO_MAGIC_SIZE + 4 + SP_NONCE_SIZE + SP_BOOT_ID_SIZE];
} FakeAgent;

/** Up to the driver's HELLO, which is not answered. */
void fake_set_up(FakeAgent *f);
/** The same, and the answer. */
void fake_connect(FakeAgent *f);
void fake_tear_down(FakeAgent *f);

/** Turn the main context until nothing is ready any more. */
void fake_turn(void);
/** Send a frame and have the driver read it. */
void fake_say(FakeAgent *f, enum sp_agent_frame_type type, guint32 channel, uint16_t stream,
    const void *payload, gsize length);
/** The driver's next frame; its payload lives until the next call. */
struct sp_agent_frame fake_hear(FakeAgent *f);
/** Take the driver's HELLO and make the answer to it. */
void fake_hear_hello(FakeAgent *f);
/**
 * Take what was sent up to the next HELLO, a frame that broke off included, and answer it. Returns
 * how many bytes stood before it.
 */
gsize fake_connect_again(FakeAgent *f);
