/* SPDX-License-Identifier: MIT */
#include "agent/agent-client.h"

#include "agent/agent-private.h"
#include "base/error.h"
#include "lib/byte-order.h"

#include <string.h>
#include <sys/random.h>

#define FRAME_MAX (SP_AGENT_FRAME_HEADER_SIZE + SP_AGENT_FRAME_PAYLOAD_MAX)
/* How many bytes may precede the answer to HELLO: left over from before the guest was reset. */
#define SKIP_MAX (16u * 1024 * 1024)

void sp_agent_send_header(SpAgent *agent, enum sp_agent_frame_type type, guint32 channel,
    enum sp_stream stream, gsize length)
{
    guint8 header[SP_AGENT_FRAME_HEADER_SIZE];

    g_assert(sp_agent_frame_encode_header(header, type, stream, channel, length) == 0);
    (void)!sp_stream_write(agent->stream, header, sizeof header);
}

void sp_agent_send_frame(SpAgent *agent, enum sp_agent_frame_type type, guint32 channel,
    const void *payload, gsize length)
{
    sp_agent_send_header(agent, type, channel, SP_STREAM_STDIN, length);
    (void)!sp_stream_write(agent->stream, payload, length);
}

static void end_all(SpAgent *agent, const GError *error)
{
    g_autoptr(GList) channels = g_hash_table_get_values(agent->channels);

    for (GList *l = channels; l; l = l->next)
        sp_channel_end(l->data, g_error_copy(error));
}

static void agent_fail(SpAgent *agent, int code, const char *message)
{
    agent->state = SP_AGENT_FAILED;
    g_clear_error(&agent->error);
    agent->error = g_error_new_literal(SP_ERROR, code, message);
    sp_stream_discard_input(agent->stream);
    end_all(agent, agent->error);
}

static void send_hello(SpAgent *agent)
{
    guint8 payload[SP_HELLO_MAGIC_SIZE + 4 + SP_NONCE_SIZE];

    g_assert(getrandom(agent->nonce, sizeof agent->nonce, 0) == sizeof agent->nonce);
    memcpy(payload, SP_HELLO_MAGIC, SP_HELLO_MAGIC_SIZE);
    sp_put_le32(payload + SP_HELLO_MAGIC_SIZE, SP_PROTOCOL_VERSION);
    memcpy(payload + SP_HELLO_MAGIC_SIZE + 4, agent->nonce, SP_NONCE_SIZE);
    sp_agent_send_frame(agent, SP_AGENT_FRAME_HELLO, 0, payload, sizeof payload);
}

/* Whether @frame answers our HELLO; an answer to an earlier HELLO is skipped. */
static bool take_hello(SpAgent *agent, const struct sp_agent_frame *frame)
{
    struct sp_payload p;
    const uint8_t *magic, *nonce, *boot_id;
    uint32_t version;
    g_autofree char *message = NULL;

    sp_payload_init(&p, frame);
    if (frame->type != SP_AGENT_FRAME_HELLO ||
        sp_payload_take_bytes(&p, SP_HELLO_MAGIC_SIZE, &magic) < 0 ||
        sp_payload_take_u32(&p, &version) < 0 ||
        sp_payload_take_bytes(&p, SP_NONCE_SIZE, &nonce) < 0 ||
        memcmp(nonce, agent->nonce, SP_NONCE_SIZE) != 0)
        return false;
    if (version != SP_PROTOCOL_VERSION) {
        message =
            g_strdup_printf("the agent in the image speaks version %u of the protocol and this "
                            "driver version %u: build the image anew",
                version, SP_PROTOCOL_VERSION);
        agent_fail(agent, SP_ERROR_PROTOCOL, message);
        return false;
    }
    if (sp_payload_take_bytes(&p, SP_BOOT_ID_SIZE, &boot_id) < 0) {
        agent_fail(agent, SP_ERROR_PROTOCOL, "the agent's answer to HELLO is too short");
        return false;
    }
    memcpy(agent->boot_id, boot_id, SP_BOOT_ID_SIZE);
    agent->state = SP_AGENT_READY;
    if (agent->ready_func)
        agent->ready_func(agent->ready_data);
    return true;
}

/* Returns false if the frame violates the protocol. */
static bool route_frame(SpAgent *agent, const struct sp_agent_frame *frame)
{
    SpChannel *channel = g_hash_table_lookup(agent->channels, GUINT_TO_POINTER(frame->channel));

    if (!channel) /* we ended or cancelled it, and the agent does not know yet */
        return frame->type != SP_AGENT_FRAME_HELLO && frame->channel <= agent->last_channel;
    return sp_channel_take_frame(channel, frame);
}

/* Returns @length, for the caller to drop. Fails if too much was skipped in all. */
static gsize skip_bytes(SpAgent *agent, gsize length)
{
    agent->skipped += length;
    if (agent->skipped > SKIP_MAX)
        agent_fail(agent, SP_ERROR_PROTOCOL,
            "what answers on the agent's port is not slotproof's agent: see that the image runs "
            "slotproof-agent and nothing else uses the port " SP_AGENT_PORT);
    return length;
}

/* Returns how many bytes of the input were processed, 0 if more are needed. */
static gsize skip_to_hello(SpAgent *agent, const guint8 *data, gsize length)
{
    ssize_t at = sp_agent_frame_find_hello(data, length);
    const gsize keep = SP_AGENT_FRAME_HEADER_SIZE + SP_HELLO_MAGIC_SIZE - 1;
    struct sp_agent_frame frame;
    ssize_t n;

    if (at < 0)
        return skip_bytes(agent, length > keep ? length - keep : 0);
    if (at > 0)
        return skip_bytes(agent, (gsize)at);
    n = sp_agent_frame_decode(data, length, &frame);
    if (n == 0)
        return 0;
    if (n > 0 && take_hello(agent, &frame))
        return (gsize)n;
    /* not the answer that we wait for: search on after its first byte */
    return skip_bytes(agent, 1);
}

static gsize take_whole_frame(SpAgent *agent, const guint8 *data, gsize length)
{
    struct sp_agent_frame frame;
    ssize_t n = sp_agent_frame_decode(data, length, &frame);

    if (n == -EMSGSIZE)
        agent_fail(agent, SP_ERROR_PROTOCOL, "the agent sent a frame that is longer than allowed");
    else if (n < 0)
        agent_fail(agent, SP_ERROR_PROTOCOL, "the agent sent garbage");
    else if (n > 0 && !route_frame(agent, &frame))
        agent_fail(agent, SP_ERROR_PROTOCOL, "the agent sent a frame that does not belong there");
    return n > 0 ? (gsize)n : 0;
}

static gsize take_input(const guint8 *bytes, gsize length, void *data)
{
    SpAgent *agent = data;
    gsize used = 0;

    while (used < length) {
        gsize n = 0;

        if (agent->state == SP_AGENT_HELLO)
            n = skip_to_hello(agent, bytes + used, length - used);
        else if (agent->state == SP_AGENT_READY)
            n = take_whole_frame(agent, bytes + used, length - used);
        if (agent->state == SP_AGENT_FAILED)
            return length; /* read and dropped, so as not to block the guest */
        if (n == 0)
            break;
        used += n;
    }
    return used;
}

static void on_agent_disconnected(int error_number, void *data)
{
    agent_fail(data, SP_ERROR_MACHINE, "the connection to the agent was closed");
}

static void on_agent_written(void *data)
{
    sp_agent_pump_files(data);
}

static const SpStreamFuncs stream_funcs = {
    .input = take_input, .disconnected = on_agent_disconnected, .written = on_agent_written};

SpAgent *sp_agent_new(int fd)
{
    SpAgent *agent = g_new0(SpAgent, 1);
    /* with space for two frames, few reads end within a frame */
    const SpStreamConfig config = {.funcs = &stream_funcs,
        .data = agent,
        .read_size = 2 * FRAME_MAX,
        .input_max = FRAME_MAX,
        .output_max = SP_STREAM_UNLIMITED};

    agent->stream = sp_stream_new(fd, &config);
    agent->channels = g_hash_table_new(NULL, NULL);
    g_queue_init(&agent->sending);
    send_hello(agent);
    return agent;
}

void sp_agent_free(SpAgent *agent)
{
    if (!agent)
        return;
    agent_fail(agent, SP_ERROR_MACHINE, "the machine was stopped");
    sp_stream_free(agent->stream);
    g_clear_error(&agent->error);
    g_hash_table_unref(agent->channels);
    g_free(agent);
}

void sp_agent_reset(SpAgent *agent, const char *reason)
{
    agent_fail(agent, SP_ERROR_MACHINE, reason);
    if (!sp_stream_is_connected(agent->stream))
        return; /* the socket itself is gone */
    g_clear_error(&agent->error);
    agent->state = SP_AGENT_HELLO;
    agent->skipped = 0;
    sp_stream_discard_output(agent->stream);
    send_hello(agent);
}

void sp_agent_set_ready_func(SpAgent *agent, SpAgentReadyFunc func, void *data)
{
    agent->ready_func = func;
    agent->ready_data = data;
}

bool sp_agent_is_ready(SpAgent *agent)
{
    return agent->state == SP_AGENT_READY;
}

const GError *sp_agent_error(SpAgent *agent)
{
    return agent->error;
}

const guint8 *sp_agent_boot_id(SpAgent *agent)
{
    return agent->boot_id;
}
