/* SPDX-License-Identifier: MIT */
#pragma once

/* What the two parts of the agent's client share: agent-client.c has the connection and its frames,
 * agent-channel.c the requests that go over it. */

#include "agent/agent-client.h"
#include "base/stream.h"

/** Reading of files continues when less than this waits to be sent. */
#define SP_AGENT_OUTPUT_LOW (512u * 1024)

typedef enum { SP_AGENT_HELLO, SP_AGENT_READY, SP_AGENT_FAILED } SpAgentState;

struct SpAgent {
    SpStream *stream;
    SpAgentState state;
    GError *error;
    SpAgentReadyFunc ready_func; /* or NULL */
    void *ready_data;
    guint8 nonce[SP_NONCE_SIZE];
    guint8 boot_id[SP_BOOT_ID_SIZE];
    gsize skipped; /* bytes before the answer to HELLO */
    guint32 last_channel;
    GHashTable *channels; /* id to SpChannel, not owned */
    GQueue sending;       /* channels with a file to send */
};

/**
 * How kinds of requests differ. Each function may end the channel. One that is NULL does nothing;
 * without take_data, DATA violates the protocol.
 */
typedef struct {
    void (*take_data)(SpChannel *channel, const struct sp_agent_frame *frame);
    void (*take_end)(SpChannel *channel); /* of its stdout */
    void (*take_credit)(SpChannel *channel);
    void (*end)(SpChannel *channel); /* it is done */
} SpChannelKind;

struct SpChannel {
    SpAgent *agent; /* NULL once ended */
    guint32 id;
    bool is_done;
    GError *error;
    int error_number; /* the guest's errno; 0: none */
    int status;
    GString *output;
    GString *errors;
    char *holders; /* of its output after its end, or NULL */
    char **state;
    guint state_serial;
    int file;          /* being sent or received; -1 */
    GSource *readable; /* of a file that has nothing to read for now */
    gsize credit;
    const SpChannelKind *kind;
    const SpOutputFuncs *funcs; /* of a streamed command */
    SpChannelFunc func;         /* of a command on a terminal */
    void *func_data;            /* of either */
};

/* In this order: keeps the output; passes it on (SpOutputFuncs, SpChannelFunc); has none; writes it
 * to a file. */
extern const SpChannelKind sp_channel_kept;
extern const SpChannelKind sp_channel_streamed;
extern const SpChannelKind sp_channel_terminal;
extern const SpChannelKind sp_channel_put;
extern const SpChannelKind sp_channel_get;

/** A new channel of the agent, with a new ID. The caller sends the frame that opens it. */
SpChannel *sp_channel_new(SpAgent *agent, const SpChannelKind *kind);

/** Append a frame's header to the output; the caller appends a payload of @length bytes. */
void sp_agent_send_header(SpAgent *agent, enum sp_agent_frame_type type, guint32 channel,
    enum sp_stream stream, gsize length);
/** Append a whole frame, of stream 0. */
void sp_agent_send_frame(SpAgent *agent, enum sp_agent_frame_type type, guint32 channel,
    const void *payload, gsize length);

/** Continue to read the files being sent, until enough output waits or no channel has credit. */
void sp_agent_pump_files(SpAgent *agent);
/** Process a frame of the channel; returns false if it violates the protocol. */
bool sp_channel_take_frame(SpChannel *channel, const struct sp_agent_frame *frame);
/** End the channel, with @error (taken; may be NULL). Does nothing if it has ended already. */
void sp_channel_end(SpChannel *channel, GError *error);
