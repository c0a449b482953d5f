/* SPDX-License-Identifier: MIT */
#pragma once

#include "lib/agent-frame.h"

#include <gio/gio.h>
#include <stdbool.h>

/**
 * The driver's end of the built agent, SLOTPROOF_AGENT, which runs as a process of the host over a
 * socket pair. The test fails on anything unexpected, and after ten seconds without a frame. The
 * environment variable SLOTPROOF_TEST_AGENT names another one: a command line, split at spaces.
 */
typedef struct {
    int fd;
    GSubprocess *process;
    GByteArray *input;
    gsize used;          /* how much of the input has been decoded */
    GHashTable *results; /* channel to PeerResult */
    guint32 last_channel;
    guint n_hellos;
} Peer;

/** What came for a channel. */
typedef struct {
    GString *output, *errors;
    GPtrArray *states; /* of GStrv */
    gsize credit;      /* granted in all, without the initial one */
    bool has_end;      /* END of stdout */
    bool is_done;
    guint32 error; /* of ERROR; 0 for EXIT */
    char *message;
    guint32 how, status; /* of EXIT */
    char *holders;       /* of the output; NULL for none */
} PeerResult;

/** Start an agent; @variable (may be NULL) is set to @value in its environment. */
void peer_start(Peer *peer, const char *variable, const char *value);
/** Start the agent of this command line. */
void peer_start_program(
    Peer *peer, const char *const *argv, const char *variable, const char *value);
/** Close the connection; the agent has to end with status 0. */
void peer_stop(Peer *peer);

void peer_send_bytes(Peer *peer, const void *bytes, gsize length);
void peer_send(
    Peer *peer, enum sp_agent_frame_type type, guint32 channel, const void *payload, gsize length);
/** Returns a HELLO frame whose nonce consists of bytes @nonce. */
GByteArray *peer_hello_frame(guint8 nonce);
/** Send HELLO and wait for the answer to it. */
void peer_hello(Peer *peer, guint8 nonce);
/** Wait for the answer to the HELLO with this nonce, skipping everything else. */
void peer_wait_hello(Peer *peer, guint8 nonce);

/** Wait for one frame, and add it to the results. */
void peer_turn(Peer *peer);
/** Returns what came for @channel so far. */
PeerResult *peer_result(Peer *peer, guint32 channel);
/** Turn until the channel has ended. */
PeerResult *peer_wait(Peer *peer, guint32 channel);
/** Turn until @channel has this many bytes of output. */
PeerResult *peer_wait_output(Peer *peer, guint32 channel, gsize length);
/** Turn until @channel has this many STATEs; returns the last. */
char **peer_wait_states(Peer *peer, guint32 channel, guint n);

/** Each opens a channel and returns its number. */
guint32 peer_exec(Peer *peer, guint32 flags, const char *const *argv, const char *const *env);
/** `sh -c` @script, with stdin left open. */
guint32 peer_shell(Peer *peer, const char *script);
guint32 peer_put(Peer *peer, const char *path, guint32 mode);
guint32 peer_get(Peer *peer, const char *path);
guint32 peer_watch(Peer *peer, enum sp_watch_kind kind, const char *what);

/** Send DATA within the credit, waiting for more when it is used up. */
void peer_send_data(Peer *peer, guint32 channel, const void *data, gsize length);
void peer_cancel(Peer *peer, guint32 channel);
void peer_end(Peer *peer, guint32 channel);

/** Assert that the channel ended with EXIT and this status; 128 + its number for a signal. */
void peer_assert_exit(const PeerResult *result, guint32 status);
void peer_assert_error(const PeerResult *result, guint32 number);
