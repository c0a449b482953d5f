/* SPDX-License-Identifier: MIT */
#pragma once

/* What the two parts of the agent's client share: agent-client.c has the connection and its frames,
 * agent-channel.c the requests that go over it. */

#include "agent/agent-client.h"

/** Files are read on when less than this waits to be sent. */
#define SP_AGENT_OUTPUT_LOW (512u * 1024)

typedef enum { SP_AGENT_HELLO, SP_AGENT_READY, SP_AGENT_FAILED } SpAgentState;

struct SpAgent {
    int fd;
    SpAgentState state;
    GError *error;
    SpAgentReadyFunc ready_func; /* or NULL */
    void *ready_data;
    guint8 nonce[SP_NONCE_SIZE];
    guint8 boot_id[SP_BOOT_ID_SIZE];
    GSource *readable;
    GSource *writable;
    guint8 *input;
    gsize input_length;
    gsize skipped;
    GByteArray *output;
    gsize output_sent;
    guint32 last_channel;
    GHashTable *channels; /* id to SpChannel, not owned */
    GQueue sending;       /* channels with a file to send */
};

/** Have what is in the agent's output sent while the main context turns. */
void sp_agent_want_write(SpAgent *agent);
/** Append a frame's header to the output; a payload of @length bytes has to follow. */
void sp_agent_send_header(SpAgent *agent, enum sp_agent_frame_type type, guint32 channel,
    enum sp_stream stream, gsize length);
/** Append a whole frame, of stream 0. */
void sp_agent_send_frame(SpAgent *agent, enum sp_agent_frame_type type, guint32 channel,
    const void *payload, gsize length);

/** Read on in the files that are being sent, until enough waits in the output or none has credit.
 */
void sp_agent_pump_files(SpAgent *agent);
/** Deal with a frame of the channel's; false where it breaks the protocol. */
bool sp_channel_take_frame(SpChannel *channel, const struct sp_agent_frame *frame);
/** The channel is done, without an error or with @error, which is taken. Nothing where it is
 * already. */
void sp_channel_end(SpChannel *channel, GError *error);
