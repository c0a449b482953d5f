/* SPDX-License-Identifier: MIT */
#include "machine/agent-client.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

/* A read takes at least one whole frame; with room for two, few reads end in the middle of one. */
#define INPUT_SIZE (2 * (SP_FRAME_HEADER_SIZE + SP_FRAME_PAYLOAD_MAX))
/* What may stand before the answer to HELLO: the rest of an earlier life of the guest. */
#define SKIP_MAX (16u * 1024 * 1024)
#define COMMAND_OUTPUT_MAX (256u * 1024 * 1024)
#define STATE_STRINGS_MAX 16u
/* Files are read on when less than this waits to be sent. */
#define OUTPUT_LOW (512u * 1024)

typedef enum { STATE_HELLO, STATE_READY, STATE_FAILED } AgentState;

struct SpAgent {
    int fd;
    AgentState state;
    GError *error;
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

struct SpChannel {
    SpAgent *agent; /* NULL once ended */
    guint32 id;
    bool is_done;
    GError *error;
    int status;
    GString *output;
    GString *errors;
    char **state;
    guint state_serial;
    int file; /* being sent or received; -1 */
    gsize credit;
};

static gboolean on_writable(int fd, GIOCondition condition, void *data);
static void pump_files(SpAgent *agent);

static void want_write(SpAgent *agent)
{
    if (agent->writable || agent->fd < 0)
        return;
    agent->writable = g_unix_fd_source_new(agent->fd, G_IO_OUT);
    g_source_set_callback(agent->writable, G_SOURCE_FUNC(on_writable), agent, NULL);
    g_source_attach(agent->writable, NULL);
}

static void drop_source(GSource **source)
{
    if (!*source)
        return;
    g_source_destroy(*source);
    g_clear_pointer(source, g_source_unref);
}

static void send_header(
    SpAgent *agent, enum sp_frame_type type, guint32 channel, enum sp_stream stream, gsize length)
{
    guint8 header[SP_FRAME_HEADER_SIZE];

    g_assert(sp_frame_encode_header(header, type, stream, channel, length) == 0);
    g_byte_array_append(agent->output, header, sizeof header);
    want_write(agent);
}

static void send_frame(
    SpAgent *agent, enum sp_frame_type type, guint32 channel, const void *payload, gsize length)
{
    send_header(agent, type, channel, SP_STREAM_STDIN, length);
    if (length > 0)
        g_byte_array_append(agent->output, payload, (guint)length);
}

static void channel_end(SpChannel *channel, GError *error)
{
    SpAgent *agent = channel->agent;

    if (!agent) {
        g_clear_error(&error);
        return;
    }
    g_hash_table_remove(agent->channels, GUINT_TO_POINTER(channel->id));
    g_queue_remove(&agent->sending, channel);
    channel->agent = NULL;
    channel->is_done = true;
    channel->error = error;
    if (channel->file >= 0) {
        close(channel->file);
        channel->file = -1;
    }
}

static void end_all(SpAgent *agent, const GError *error)
{
    g_autoptr(GList) channels = g_hash_table_get_values(agent->channels);

    for (GList *l = channels; l; l = l->next)
        channel_end(l->data, g_error_copy(error));
}

static void agent_fail(SpAgent *agent, int code, const char *message)
{
    agent->state = STATE_FAILED;
    g_clear_error(&agent->error);
    agent->error = g_error_new_literal(SP_ERROR, code, message);
    agent->input_length = 0;
    end_all(agent, agent->error);
}

static void send_hello(SpAgent *agent)
{
    guint8 payload[SP_HELLO_MAGIC_SIZE + 4 + SP_NONCE_SIZE];

    g_assert(getrandom(agent->nonce, sizeof agent->nonce, 0) == sizeof agent->nonce);
    memcpy(payload, SP_HELLO_MAGIC, SP_HELLO_MAGIC_SIZE);
    sp_put_u32(payload + SP_HELLO_MAGIC_SIZE, SP_PROTOCOL_VERSION);
    memcpy(payload + SP_HELLO_MAGIC_SIZE + 4, agent->nonce, SP_NONCE_SIZE);
    send_frame(agent, SP_FRAME_HELLO, 0, payload, sizeof payload);
}

/* Whether @frame answers our HELLO; one to an earlier HELLO is passed over. */
static bool take_hello(SpAgent *agent, const struct sp_frame *frame)
{
    struct sp_payload p;
    const uint8_t *magic, *nonce, *boot_id;
    uint32_t version;
    g_autofree char *message = NULL;

    sp_payload_init(&p, frame);
    if (frame->type != SP_FRAME_HELLO ||
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
    agent->state = STATE_READY;
    return true;
}

static void channel_take_data(SpChannel *channel, const struct sp_frame *frame)
{
    GString *into = frame->stream == SP_STREAM_STDERR ? channel->errors : channel->output;
    gsize done = 0;

    if (channel->file < 0) {
        if (channel->output->len + channel->errors->len + frame->length > COMMAND_OUTPUT_MAX) {
            send_frame(channel->agent, SP_FRAME_CANCEL, channel->id, NULL, 0);
            channel_end(channel,
                g_error_new(SP_ERROR, SP_ERROR_GUEST,
                    "the command wrote more than %u MiB and was killed: have it write to a file",
                    COMMAND_OUTPUT_MAX / (1024 * 1024)));
            return;
        }
        g_string_append_len(into, (const char *)frame->payload, (gssize)frame->length);
        return;
    }
    while (done < frame->length) {
        ssize_t n = write(channel->file, frame->payload + done, frame->length - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int saved = errno;
            send_frame(channel->agent, SP_FRAME_CANCEL, channel->id, NULL, 0);
            channel_end(channel, g_error_new(SP_ERROR, SP_ERROR_HOST,
                                     "the host's copy can't be written: %s", g_strerror(saved)));
            return;
        }
        done += (gsize)n;
    }
}

static bool channel_take_state(SpChannel *channel, const struct sp_frame *frame)
{
    g_autoptr(GPtrArray) strings = g_ptr_array_new_with_free_func(g_free);
    struct sp_payload p;
    const char *text;

    sp_payload_init(&p, frame);
    while (p.left > 0) {
        if (strings->len >= STATE_STRINGS_MAX || sp_payload_take_string(&p, &text) < 0)
            return false;
        g_ptr_array_add(strings, g_utf8_make_valid(text, -1));
    }
    g_ptr_array_add(strings, NULL);
    g_strfreev(channel->state);
    channel->state = (char **)g_ptr_array_steal(strings, NULL);
    channel->state_serial++;
    return true;
}

static bool channel_take_exit(SpChannel *channel, const struct sp_frame *frame)
{
    struct sp_payload p;
    uint32_t how, code;

    sp_payload_init(&p, frame);
    if (sp_payload_take_u32(&p, &how) < 0 || sp_payload_take_u32(&p, &code) < 0 || how > 1 ||
        code > 255)
        return false;
    channel->status = how == 0 ? (int)code : 128 + (int)code;
    channel_end(channel, NULL);
    return true;
}

static bool channel_take_error(SpChannel *channel, const struct sp_frame *frame)
{
    struct sp_payload p;
    uint32_t number;
    g_autofree char *text = NULL;

    sp_payload_init(&p, frame);
    if (sp_payload_take_u32(&p, &number) < 0)
        return false;
    text = g_utf8_make_valid((const char *)p.data, (gssize)p.left);
    channel_end(channel,
        g_error_new(SP_ERROR, SP_ERROR_GUEST, "%s", *text ? text : g_strerror((int)number)));
    return true;
}

static bool channel_take_credit(SpChannel *channel, const struct sp_frame *frame)
{
    struct sp_payload p;
    uint32_t bytes;

    sp_payload_init(&p, frame);
    if (sp_payload_take_u32(&p, &bytes) < 0 || bytes > G_MAXINT32 - channel->credit)
        return false;
    channel->credit += bytes;
    pump_files(channel->agent);
    return true;
}

/* False where the frame breaks the protocol. */
static bool take_frame(SpAgent *agent, const struct sp_frame *frame)
{
    SpChannel *channel = g_hash_table_lookup(agent->channels, GUINT_TO_POINTER(frame->channel));

    if (!channel) /* ended or cancelled by us, and the agent did not know yet */
        return frame->type != SP_FRAME_HELLO && frame->channel <= agent->last_channel;
    switch (frame->type) {
    case SP_FRAME_DATA:
        channel_take_data(channel, frame);
        return true;
    case SP_FRAME_END:
        return true;
    case SP_FRAME_STATE:
        return channel_take_state(channel, frame);
    case SP_FRAME_EXIT:
        return channel_take_exit(channel, frame);
    case SP_FRAME_ERROR:
        return channel_take_error(channel, frame);
    case SP_FRAME_CREDIT:
        return channel_take_credit(channel, frame);
    default:
        return false;
    }
}

/* @length, for the caller to drop, unless that is too much in the end. */
static gsize skip(SpAgent *agent, gsize length)
{
    agent->skipped += length;
    if (agent->skipped > SKIP_MAX)
        agent_fail(agent, SP_ERROR_PROTOCOL,
            "what answers on the agent's port is not slotproof's agent: see that the image runs "
            "slotproof-agent and nothing else uses the port " SP_AGENT_PORT);
    return length;
}

/* Each returns how many bytes of the input are dealt with, 0 if more are needed. */
static gsize skip_to_hello(SpAgent *agent, const guint8 *data, gsize length)
{
    ssize_t at = sp_frame_find_hello(data, length);
    const gsize keep = SP_FRAME_HEADER_SIZE + SP_HELLO_MAGIC_SIZE - 1;
    struct sp_frame frame;
    ssize_t n;

    if (at < 0)
        return skip(agent, length > keep ? length - keep : 0);
    if (at > 0)
        return skip(agent, (gsize)at);
    n = sp_frame_decode(data, length, &frame);
    if (n == 0)
        return 0;
    if (n > 0 && take_hello(agent, &frame))
        return (gsize)n;
    return skip(agent, 1); /* not the one that we wait for: look behind its first byte */
}

static gsize take_one(SpAgent *agent, const guint8 *data, gsize length)
{
    struct sp_frame frame;
    ssize_t n = sp_frame_decode(data, length, &frame);

    if (n == -EMSGSIZE)
        agent_fail(agent, SP_ERROR_PROTOCOL, "the agent sent a frame that is longer than allowed");
    else if (n < 0)
        agent_fail(agent, SP_ERROR_PROTOCOL, "the agent sent garbage");
    else if (n > 0 && !take_frame(agent, &frame))
        agent_fail(agent, SP_ERROR_PROTOCOL, "the agent sent a frame that does not belong there");
    return n > 0 ? (gsize)n : 0;
}

static void take_input(SpAgent *agent)
{
    gsize used = 0;

    while (used < agent->input_length) {
        const guint8 *data = agent->input + used;
        gsize left = agent->input_length - used;
        gsize n = 0;

        if (agent->state == STATE_HELLO)
            n = skip_to_hello(agent, data, left);
        else if (agent->state == STATE_READY)
            n = take_one(agent, data, left);
        if (agent->state == STATE_FAILED)
            return;
        if (n == 0)
            break;
        used += n;
    }
    agent->input_length -= used;
    memmove(agent->input, agent->input + used, agent->input_length);
}

static gboolean on_readable(int fd, GIOCondition condition, void *data)
{
    SpAgent *agent = data;
    ssize_t n = read(fd, agent->input + agent->input_length, INPUT_SIZE - agent->input_length);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return G_SOURCE_CONTINUE;
    if (n <= 0) {
        agent_fail(agent, SP_ERROR_MACHINE, "the connection to the agent was closed");
        drop_source(&agent->writable);
        drop_source(&agent->readable);
        return G_SOURCE_REMOVE;
    }
    if (agent->state == STATE_FAILED)
        return G_SOURCE_CONTINUE; /* read and dropped, or the guest would be held up */
    agent->input_length += (gsize)n;
    take_input(agent);
    return G_SOURCE_CONTINUE;
}

static gboolean on_writable(int fd, GIOCondition condition, void *data)
{
    SpAgent *agent = data;
    GByteArray *output = agent->output;
    ssize_t n =
        send(fd, output->data + agent->output_sent, output->len - agent->output_sent, MSG_NOSIGNAL);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return G_SOURCE_CONTINUE;
    if (n < 0) {
        drop_source(&agent->writable);
        return G_SOURCE_REMOVE; /* the reading side says what is wrong */
    }
    agent->output_sent += (gsize)n;
    if (agent->output_sent == output->len) {
        g_byte_array_set_size(output, 0);
        agent->output_sent = 0;
    } else if (agent->output_sent > OUTPUT_LOW) {
        g_byte_array_remove_range(output, 0, (guint)agent->output_sent);
        agent->output_sent = 0;
    }
    pump_files(agent);
    if (output->len > 0)
        return G_SOURCE_CONTINUE;
    drop_source(&agent->writable);
    return G_SOURCE_REMOVE;
}

/* Read on in one channel's file; false when it has nothing more to send for now. */
static bool pump_channel(SpAgent *agent, SpChannel *channel)
{
    gsize want = MIN(channel->credit, SP_FRAME_PAYLOAD_MAX);
    guint start = agent->output->len;
    ssize_t n;

    if (want == 0)
        return false;
    g_byte_array_set_size(agent->output, start + SP_FRAME_HEADER_SIZE + (guint)want);
    do
        n = read(channel->file, agent->output->data + start + SP_FRAME_HEADER_SIZE, want);
    while (n < 0 && errno == EINTR);
    g_byte_array_set_size(agent->output, start + (n > 0 ? SP_FRAME_HEADER_SIZE + (guint)n : 0));
    if (n < 0) {
        int saved = errno;
        send_frame(agent, SP_FRAME_CANCEL, channel->id, NULL, 0);
        channel_end(channel, g_error_new(SP_ERROR, SP_ERROR_HOST,
                                 "the host's file can't be read: %s", g_strerror(saved)));
        return false;
    }
    if (n == 0) {
        send_header(agent, SP_FRAME_END, channel->id, SP_STREAM_STDIN, 0);
        g_queue_remove(&agent->sending, channel);
        close(channel->file);
        channel->file = -1;
        return false;
    }
    g_assert(sp_frame_encode_header(agent->output->data + start, SP_FRAME_DATA, SP_STREAM_STDIN,
                 channel->id, (gsize)n) == 0);
    channel->credit -= (gsize)n;
    want_write(agent);
    return true;
}

static void pump_files(SpAgent *agent)
{
    guint idle = 0;

    while (agent->output->len - agent->output_sent < OUTPUT_LOW &&
           idle < g_queue_get_length(&agent->sending)) {
        SpChannel *channel = g_queue_pop_head(&agent->sending);
        g_queue_push_tail(&agent->sending, channel);
        idle = pump_channel(agent, channel) ? 0 : idle + 1;
    }
}

SpAgent *sp_agent_new(int fd)
{
    SpAgent *agent = g_new0(SpAgent, 1);

    g_unix_set_fd_nonblocking(fd, TRUE, NULL);
    agent->fd = fd;
    agent->input = g_malloc(INPUT_SIZE);
    agent->output = g_byte_array_new();
    agent->channels = g_hash_table_new(NULL, NULL);
    g_queue_init(&agent->sending);
    agent->readable = g_unix_fd_source_new(fd, G_IO_IN);
    g_source_set_callback(agent->readable, G_SOURCE_FUNC(on_readable), agent, NULL);
    g_source_attach(agent->readable, NULL);
    send_hello(agent);
    return agent;
}

void sp_agent_free(SpAgent *agent)
{
    if (!agent)
        return;
    agent_fail(agent, SP_ERROR_MACHINE, "the machine was stopped");
    drop_source(&agent->readable);
    drop_source(&agent->writable);
    close(agent->fd);
    g_clear_error(&agent->error);
    g_byte_array_unref(agent->output);
    g_hash_table_unref(agent->channels);
    g_free(agent->input);
    g_free(agent);
}

void sp_agent_reset(SpAgent *agent, const char *reason)
{
    agent_fail(agent, SP_ERROR_MACHINE, reason);
    if (!agent->readable)
        return; /* the socket itself is gone */
    g_clear_error(&agent->error);
    agent->state = STATE_HELLO;
    agent->skipped = 0;
    g_byte_array_set_size(agent->output, 0);
    agent->output_sent = 0;
    send_hello(agent);
}

bool sp_agent_is_ready(SpAgent *agent)
{
    return agent->state == STATE_READY;
}

const GError *sp_agent_error(SpAgent *agent)
{
    return agent->error;
}

const guint8 *sp_agent_boot_id(SpAgent *agent)
{
    return agent->boot_id;
}

static SpChannel *channel_new(SpAgent *agent)
{
    SpChannel *channel = g_new0(SpChannel, 1);

    channel->file = -1;
    channel->output = g_string_new(NULL);
    channel->errors = g_string_new(NULL);
    channel->credit = SP_INITIAL_CREDIT;
    channel->id = ++agent->last_channel;
    channel->agent = agent;
    g_hash_table_insert(agent->channels, GUINT_TO_POINTER(channel->id), channel);
    return channel;
}

static void append_u32(GByteArray *array, guint32 value)
{
    guint8 bytes[4];

    sp_put_u32(bytes, value);
    g_byte_array_append(array, bytes, sizeof bytes);
}

/* Send the frame that opens @channel, unless it is too long or the agent is not there. */
static void channel_open(SpChannel *channel, enum sp_frame_type type, const GByteArray *payload)
{
    SpAgent *agent = channel->agent;

    if (agent->state != STATE_READY)
        channel_end(
            channel, g_error_new_literal(SP_ERROR, SP_ERROR_MACHINE, "the agent is not connected"));
    else if (payload->len > SP_FRAME_PAYLOAD_MAX)
        channel_end(channel,
            g_error_new(SP_ERROR, SP_ERROR_USAGE,
                "the command or path is longer than %u KiB: copy it into the guest as a file",
                SP_FRAME_PAYLOAD_MAX / 1024));
    else
        send_frame(agent, type, channel->id, payload->data, payload->len);
}

SpChannel *sp_agent_exec(SpAgent *agent, const char *const *argv)
{
    SpChannel *channel = channel_new(agent);
    g_autoptr(GByteArray) payload = g_byte_array_new();
    guint32 argc = g_strv_length((char **)argv);

    append_u32(payload, 0);
    append_u32(payload, 0); /* rows and columns: no pty */
    append_u32(payload, argc);
    for (guint32 i = 0; i < argc; i++)
        g_byte_array_append(payload, (const guint8 *)argv[i], (guint)strlen(argv[i]) + 1);
    channel_open(channel, SP_FRAME_EXEC, payload);
    if (channel->agent)
        send_header(agent, SP_FRAME_END, channel->id, SP_STREAM_STDIN, 0);
    return channel;
}

SpChannel *sp_agent_watch(SpAgent *agent, enum sp_watch_kind kind, const char *what)
{
    SpChannel *channel = channel_new(agent);
    g_autoptr(GByteArray) payload = g_byte_array_new();

    append_u32(payload, kind);
    g_byte_array_append(payload, (const guint8 *)what, (guint)strlen(what) + 1);
    channel_open(channel, SP_FRAME_WATCH, payload);
    return channel;
}

SpChannel *sp_agent_put(SpAgent *agent, int fd, const char *path, guint32 mode)
{
    SpChannel *channel = channel_new(agent);
    g_autoptr(GByteArray) payload = g_byte_array_new();

    channel->file = fd;
    append_u32(payload, mode);
    g_byte_array_append(payload, (const guint8 *)path, (guint)strlen(path) + 1);
    channel_open(channel, SP_FRAME_PUT, payload);
    if (channel->agent) {
        g_queue_push_tail(&agent->sending, channel);
        pump_files(agent);
    }
    return channel;
}

SpChannel *sp_agent_get(SpAgent *agent, const char *path, int fd)
{
    SpChannel *channel = channel_new(agent);
    g_autoptr(GByteArray) payload = g_byte_array_new();

    channel->file = fd;
    g_byte_array_append(payload, (const guint8 *)path, (guint)strlen(path) + 1);
    channel_open(channel, SP_FRAME_GET, payload);
    return channel;
}

bool sp_channel_is_done(SpChannel *channel, GError **error)
{
    if (channel->error)
        g_propagate_error(error, g_error_copy(channel->error));
    return channel->is_done;
}

int sp_channel_status(SpChannel *channel)
{
    return channel->status;
}

GString *sp_channel_output(SpChannel *channel)
{
    return channel->output;
}

GString *sp_channel_errors(SpChannel *channel)
{
    return channel->errors;
}

char **sp_channel_state(SpChannel *channel, guint *ret_serial)
{
    if (ret_serial)
        *ret_serial = channel->state_serial;
    return channel->state;
}

void sp_channel_free(SpChannel *channel)
{
    if (!channel)
        return;
    if (channel->agent) {
        if (channel->agent->state == STATE_READY)
            send_frame(channel->agent, SP_FRAME_CANCEL, channel->id, NULL, 0);
        channel_end(channel, NULL);
    }
    g_clear_error(&channel->error);
    g_strfreev(channel->state);
    g_string_free(channel->output, TRUE);
    g_string_free(channel->errors, TRUE);
    g_free(channel);
}
