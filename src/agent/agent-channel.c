/* SPDX-License-Identifier: MIT */
#include "agent/agent-private.h"

#include "base/error.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <unistd.h>

#define COMMAND_OUTPUT_MAX (256u * 1024 * 1024)
#define STATE_STRINGS_MAX 16u

struct SpChannel {
    SpAgent *agent; /* NULL once ended */
    guint32 id;
    bool is_done;
    GError *error;
    int error_number; /* the guest's errno; 0: none */
    int status;
    GString *output;
    GString *errors;
    char *holders; /* of its output, when it had ended; NULL for nobody */
    char **state;
    guint state_serial;
    int file;                   /* being sent or received; -1 */
    GSource *readable;          /* of a file that has nothing to read for now */
    const SpStreamFuncs *funcs; /* NULL unless streamed */
    void *funcs_data;
    bool is_put;
    gsize credit;
    SpChannelFunc func; /* gets the output of a terminal; NULL for other kinds */
    void *func_data;
};

static void drop_readable(SpChannel *channel)
{
    if (!channel->readable)
        return;
    g_source_destroy(channel->readable);
    g_clear_pointer(&channel->readable, g_source_unref);
}

static void close_file(SpChannel *channel)
{
    g_queue_remove(&channel->agent->sending, channel);
    drop_readable(channel);
    if (channel->file >= 0)
        close(channel->file);
    channel->file = -1;
}

void sp_channel_end(SpChannel *channel, GError *error)
{
    SpAgent *agent = channel->agent;

    if (!agent) {
        g_clear_error(&error);
        return;
    }
    g_hash_table_remove(agent->channels, GUINT_TO_POINTER(channel->id));
    close_file(channel);
    channel->agent = NULL;
    channel->is_done = true;
    channel->error = error;
    if (channel->funcs)
        channel->funcs->done(channel->funcs_data); /* who may have freed it */
}

static void channel_take_data(SpChannel *channel, const struct sp_agent_frame *frame)
{
    GString *into = frame->stream == SP_STREAM_STDERR ? channel->errors : channel->output;
    gsize done = 0;

    if (channel->func) {
        if (frame->length > 0)
            channel->func(frame->payload, frame->length, channel->func_data);
        return;
    }
    if (channel->funcs && frame->stream == SP_STREAM_STDOUT) {
        channel->funcs->output(frame->payload, frame->length, channel->funcs_data);
        return;
    }
    if (channel->file < 0 || channel->funcs) {
        if (channel->output->len + channel->errors->len + frame->length > COMMAND_OUTPUT_MAX) {
            sp_agent_send_frame(channel->agent, SP_AGENT_FRAME_CANCEL, channel->id, NULL, 0);
            sp_channel_end(channel,
                g_error_new(SP_ERROR, SP_ERROR_GUEST,
                    "the command wrote more than %u MiB and was killed: have it write to a file",
                    COMMAND_OUTPUT_MAX / (1024 * 1024)));
            return;
        }
        g_string_append_len(into, (const char *)frame->payload, (gssize)frame->length);
        if (channel->funcs)
            channel->funcs->errors(channel->funcs_data);
        return;
    }
    while (done < frame->length) {
        ssize_t n = write(channel->file, frame->payload + done, frame->length - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int saved = errno;
            sp_agent_send_frame(channel->agent, SP_AGENT_FRAME_CANCEL, channel->id, NULL, 0);
            sp_channel_end(channel, g_error_new(SP_ERROR, SP_ERROR_HOST,
                                        "the host's copy can't be written: %s", g_strerror(saved)));
            return;
        }
        done += (gsize)n;
    }
}

static bool channel_take_state(SpChannel *channel, const struct sp_agent_frame *frame)
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

static bool channel_take_exit(SpChannel *channel, const struct sp_agent_frame *frame)
{
    struct sp_payload p;
    uint32_t how, code;
    const char *holders;

    sp_payload_init(&p, frame);
    if (sp_payload_take_u32(&p, &how) < 0 || sp_payload_take_u32(&p, &code) < 0 || how > 1 ||
        code > 255)
        return false;
    if (p.left > 0) {
        if (sp_payload_take_string(&p, &holders) < 0 || p.left > 0)
            return false;
        channel->holders = g_utf8_make_valid(holders, -1);
    }
    channel->status = how == 0 ? (int)code : 128 + (int)code;
    sp_channel_end(channel, NULL);
    return true;
}

static bool channel_take_error(SpChannel *channel, const struct sp_agent_frame *frame)
{
    struct sp_payload p;
    uint32_t number;
    g_autofree char *text = NULL;

    sp_payload_init(&p, frame);
    if (sp_payload_take_u32(&p, &number) < 0)
        return false;
    channel->error_number = (int)number;
    text = g_utf8_make_valid((const char *)p.data, (gssize)p.left);
    sp_channel_end(channel,
        g_error_new(SP_ERROR, SP_ERROR_GUEST, "%s", *text ? text : g_strerror((int)number)));
    return true;
}

static bool channel_take_credit(SpChannel *channel, const struct sp_agent_frame *frame)
{
    struct sp_payload p;
    uint32_t bytes;

    sp_payload_init(&p, frame);
    if (sp_payload_take_u32(&p, &bytes) < 0 || bytes > G_MAXINT32 - channel->credit)
        return false;
    channel->credit += bytes;
    if (channel->func)
        channel->func(NULL, 0, channel->func_data);
    sp_agent_pump_files(channel->agent);
    return true;
}

bool sp_channel_take_frame(SpChannel *channel, const struct sp_agent_frame *frame)
{
    switch (frame->type) {
    case SP_AGENT_FRAME_DATA:
        if (channel->is_put)
            return false;
        channel_take_data(channel, frame);
        return true;
    case SP_AGENT_FRAME_END:
        if (channel->funcs && frame->stream == SP_STREAM_STDOUT)
            channel->funcs->end(channel->funcs_data);
        return true;
    case SP_AGENT_FRAME_STATE:
        return channel_take_state(channel, frame);
    case SP_AGENT_FRAME_EXIT:
        return channel_take_exit(channel, frame);
    case SP_AGENT_FRAME_ERROR:
        return channel_take_error(channel, frame);
    case SP_AGENT_FRAME_CREDIT:
        return channel_take_credit(channel, frame);
    default:
        return false;
    }
}

static gboolean on_file_readable(int fd, GIOCondition condition, void *data)
{
    SpChannel *channel = data;

    drop_readable(channel);
    sp_agent_pump_files(channel->agent);
    return G_SOURCE_REMOVE;
}

static void wait_for_file(SpChannel *channel)
{
    channel->readable = g_unix_fd_source_new(channel->file, G_IO_IN | G_IO_HUP | G_IO_ERR);
    g_source_set_callback(channel->readable, G_SOURCE_FUNC(on_file_readable), channel, NULL);
    g_source_attach(channel->readable, NULL);
}

/* Read on in one channel's file; false when it has nothing more to send for now. */
static bool pump_channel(SpAgent *agent, SpChannel *channel)
{
    gsize want = MIN(channel->credit, SP_AGENT_FRAME_PAYLOAD_MAX);
    guint start = agent->output->len;
    ssize_t n;

    if (want == 0 || channel->readable)
        return false;
    g_byte_array_set_size(agent->output, start + SP_AGENT_FRAME_HEADER_SIZE + (guint)want);
    do
        n = read(channel->file, agent->output->data + start + SP_AGENT_FRAME_HEADER_SIZE, want);
    while (n < 0 && errno == EINTR);
    g_byte_array_set_size(
        agent->output, start + (n > 0 ? SP_AGENT_FRAME_HEADER_SIZE + (guint)n : 0));
    if (n < 0 && errno == EAGAIN) {
        wait_for_file(channel);
        return false;
    }
    if (n < 0) {
        int saved = errno;
        sp_agent_send_frame(agent, SP_AGENT_FRAME_CANCEL, channel->id, NULL, 0);
        sp_channel_end(channel, g_error_new(SP_ERROR, SP_ERROR_HOST,
                                    "the host's file can't be read: %s", g_strerror(saved)));
        return false;
    }
    if (n == 0) {
        sp_agent_send_header(agent, SP_AGENT_FRAME_END, channel->id, SP_STREAM_STDIN, 0);
        close_file(channel);
        return false;
    }
    g_assert(sp_agent_frame_encode_header(agent->output->data + start, SP_AGENT_FRAME_DATA,
                 SP_STREAM_STDIN, channel->id, (gsize)n) == 0);
    channel->credit -= (gsize)n;
    sp_agent_want_write(agent);
    return true;
}

void sp_agent_pump_files(SpAgent *agent)
{
    guint idle = 0;

    while (agent->output->len - agent->output_sent < SP_AGENT_OUTPUT_LOW &&
           idle < g_queue_get_length(&agent->sending)) {
        SpChannel *channel = g_queue_pop_head(&agent->sending);
        g_queue_push_tail(&agent->sending, channel);
        idle = pump_channel(agent, channel) ? 0 : idle + 1;
    }
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

static void append_strings(GByteArray *payload, const char *const *strings)
{
    for (; *strings; strings++)
        g_byte_array_append(payload, (const guint8 *)*strings, (guint)strlen(*strings) + 1);
}

/* Send the frame that opens @channel, unless it is too long or the agent is not there. */
static void channel_open(
    SpChannel *channel, enum sp_agent_frame_type type, const GByteArray *payload)
{
    SpAgent *agent = channel->agent;

    if (agent->state != SP_AGENT_READY)
        sp_channel_end(
            channel, g_error_new_literal(SP_ERROR, SP_ERROR_MACHINE, "the agent is not connected"));
    else if (payload->len > SP_AGENT_FRAME_PAYLOAD_MAX)
        sp_channel_end(channel,
            g_error_new(SP_ERROR, SP_ERROR_USAGE,
                "the command or path is longer than %u KiB: copy it into the guest as a file",
                SP_AGENT_FRAME_PAYLOAD_MAX / 1024));
    else
        sp_agent_send_frame(agent, type, channel->id, payload->data, payload->len);
}

static SpChannel *open_command(SpAgent *agent, const char *const *argv)
{
    SpChannel *channel = channel_new(agent);
    g_autoptr(GByteArray) payload = g_byte_array_new();
    guint32 argc = g_strv_length((char **)argv);

    append_u32(payload, 0);
    append_u32(payload, 0); /* rows and columns: no pty */
    append_u32(payload, argc);
    append_strings(payload, argv);
    channel_open(channel, SP_AGENT_FRAME_EXEC, payload);
    return channel;
}

SpChannel *sp_agent_exec(SpAgent *agent, const char *const *argv)
{
    SpChannel *channel = open_command(agent, argv);

    if (channel->agent)
        sp_agent_send_header(agent, SP_AGENT_FRAME_END, channel->id, SP_STREAM_STDIN, 0);
    return channel;
}

static void send_file(SpChannel *channel)
{
    g_queue_push_tail(&channel->agent->sending, channel);
    sp_agent_pump_files(channel->agent);
}

SpChannel *sp_agent_exec_streamed(
    SpAgent *agent, const char *const *argv, int fd, const SpStreamFuncs *funcs, void *data)
{
    SpChannel *channel = open_command(agent, argv);

    if (!channel->agent) {
        close(fd);
        return channel;
    }
    channel->file = fd;
    send_file(channel);
    channel->funcs = funcs;
    channel->funcs_data = data;
    return channel;
}

void sp_channel_signal(SpChannel *channel, guint32 number)
{
    guint8 payload[4];

    sp_put_u32(payload, number);
    if (channel->agent)
        sp_agent_send_frame(
            channel->agent, SP_AGENT_FRAME_SIGNAL, channel->id, payload, sizeof payload);
}

static void append_size(GByteArray *payload, guint rows, guint columns)
{
    guint8 bytes[4];

    sp_put_u16(bytes, (uint16_t)MIN(rows, G_MAXUINT16));
    sp_put_u16(bytes + 2, (uint16_t)MIN(columns, G_MAXUINT16));
    g_byte_array_append(payload, bytes, sizeof bytes);
}

SpChannel *sp_agent_exec_terminal(SpAgent *agent, const char *const *argv,
    const char *const *environment, guint rows, guint columns, SpChannelFunc func, void *data)
{
    SpChannel *channel = channel_new(agent);
    g_autoptr(GByteArray) payload = g_byte_array_new();

    channel->func = func;
    channel->func_data = data;
    append_u32(payload, SP_EXEC_PTY);
    append_size(payload, rows, columns);
    append_u32(payload, g_strv_length((char **)argv));
    append_strings(payload, argv);
    append_strings(payload, environment);
    channel_open(channel, SP_AGENT_FRAME_EXEC, payload);
    return channel;
}

gsize sp_channel_room(SpChannel *channel)
{
    return channel->agent && channel->func ? MIN(channel->credit, SP_AGENT_FRAME_PAYLOAD_MAX) : 0;
}

void sp_channel_write(SpChannel *channel, const guint8 *bytes, gsize length)
{
    length = MIN(length, sp_channel_room(channel));
    if (length == 0)
        return;
    channel->credit -= length;
    sp_agent_send_frame(channel->agent, SP_AGENT_FRAME_DATA, channel->id, bytes, length);
}

void sp_channel_resize(SpChannel *channel, guint rows, guint columns)
{
    g_autoptr(GByteArray) payload = g_byte_array_new();

    if (!channel->agent)
        return;
    append_size(payload, rows, columns);
    sp_agent_send_frame(
        channel->agent, SP_AGENT_FRAME_RESIZE, channel->id, payload->data, payload->len);
}

SpChannel *sp_agent_watch(SpAgent *agent, enum sp_watch_kind kind, const char *what)
{
    SpChannel *channel = channel_new(agent);
    g_autoptr(GByteArray) payload = g_byte_array_new();

    append_u32(payload, kind);
    g_byte_array_append(payload, (const guint8 *)what, (guint)strlen(what) + 1);
    channel_open(channel, SP_AGENT_FRAME_WATCH, payload);
    return channel;
}

SpChannel *sp_agent_restored(SpAgent *agent, gint64 now_us, const guint8 *seed, gsize length)
{
    SpChannel *channel = channel_new(agent);
    g_autoptr(GByteArray) payload = g_byte_array_new();

    append_u32(payload, (guint32)((guint64)now_us & G_MAXUINT32));
    append_u32(payload, (guint32)((guint64)now_us >> 32));
    append_u32(payload, (guint32)length);
    g_byte_array_append(payload, seed, (guint)length);
    channel_open(channel, SP_AGENT_FRAME_RESTORED, payload);
    return channel;
}

SpChannel *sp_agent_put(SpAgent *agent, int fd, const char *path, guint32 mode)
{
    SpChannel *channel = channel_new(agent);
    g_autoptr(GByteArray) payload = g_byte_array_new();

    channel->file = fd;
    channel->is_put = true;
    append_u32(payload, mode);
    g_byte_array_append(payload, (const guint8 *)path, (guint)strlen(path) + 1);
    channel_open(channel, SP_AGENT_FRAME_PUT, payload);
    if (channel->agent)
        send_file(channel);
    return channel;
}

SpChannel *sp_agent_get(SpAgent *agent, const char *path, int fd)
{
    SpChannel *channel = channel_new(agent);
    g_autoptr(GByteArray) payload = g_byte_array_new();

    channel->file = fd;
    g_byte_array_append(payload, (const guint8 *)path, (guint)strlen(path) + 1);
    channel_open(channel, SP_AGENT_FRAME_GET, payload);
    return channel;
}

bool sp_channel_is_done(SpChannel *channel, GError **error)
{
    if (channel->error)
        g_propagate_error(error, g_error_copy(channel->error));
    return channel->is_done;
}

int sp_channel_error_number(SpChannel *channel)
{
    return channel->error_number;
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

const char *sp_channel_holders(SpChannel *channel)
{
    return channel->holders;
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
    channel->funcs = NULL;
    if (channel->agent) {
        if (channel->agent->state == SP_AGENT_READY)
            sp_agent_send_frame(channel->agent, SP_AGENT_FRAME_CANCEL, channel->id, NULL, 0);
        sp_channel_end(channel, NULL);
    }
    g_clear_error(&channel->error);
    g_free(channel->holders);
    g_strfreev(channel->state);
    g_string_free(channel->output, TRUE);
    g_string_free(channel->errors, TRUE);
    g_free(channel);
}
