/* SPDX-License-Identifier: MIT */
/* The requests to a guest's agent: the frames that open a channel, and those that follow. */
#include "agent/agent-private.h"
#include "base/error.h"
#include "lib/byte-order.h"

#include <string.h>
#include <unistd.h>

static void append_u32(GByteArray *array, guint32 value)
{
    guint8 bytes[4];

    sp_put_le32(bytes, value);
    g_byte_array_append(array, bytes, sizeof bytes);
}

static void append_strings(GByteArray *payload, const char *const *strings)
{
    for (; *strings; strings++)
        g_byte_array_append(payload, (const guint8 *)*strings, (guint)strlen(*strings) + 1);
}

/* Send the frame that opens @channel. Ends it if the frame is too long or the agent is not ready.
 */
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

static SpChannel *open_command(SpAgent *agent, const SpChannelKind *kind, const char *const *argv)
{
    SpChannel *channel = sp_channel_new(agent, kind);
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
    SpChannel *channel = open_command(agent, &sp_channel_kept, argv);

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
    SpAgent *agent, const char *const *argv, int fd, const SpOutputFuncs *funcs, void *data)
{
    SpChannel *channel = open_command(agent, &sp_channel_streamed, argv);

    if (!channel->agent) {
        close(fd);
        return channel;
    }
    channel->file = fd;
    send_file(channel);
    channel->funcs = funcs;
    channel->func_data = data;
    return channel;
}

void sp_channel_signal(SpChannel *channel, guint32 number)
{
    guint8 payload[4];

    sp_put_le32(payload, number);
    if (channel->agent)
        sp_agent_send_frame(
            channel->agent, SP_AGENT_FRAME_SIGNAL, channel->id, payload, sizeof payload);
}

static void append_size(GByteArray *payload, guint rows, guint columns)
{
    guint8 bytes[4];

    sp_put_le16(bytes, (uint16_t)MIN(rows, G_MAXUINT16));
    sp_put_le16(bytes + 2, (uint16_t)MIN(columns, G_MAXUINT16));
    g_byte_array_append(payload, bytes, sizeof bytes);
}

SpChannel *sp_agent_exec_terminal(SpAgent *agent, const char *const *argv,
    const char *const *environment, guint rows, guint columns, SpChannelFunc func, void *data)
{
    SpChannel *channel = sp_channel_new(agent, &sp_channel_terminal);
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
    return channel->agent && channel->kind == &sp_channel_terminal
               ? MIN(channel->credit, SP_AGENT_FRAME_PAYLOAD_MAX)
               : 0;
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
    SpChannel *channel = sp_channel_new(agent, &sp_channel_kept);
    g_autoptr(GByteArray) payload = g_byte_array_new();

    append_u32(payload, kind);
    g_byte_array_append(payload, (const guint8 *)what, (guint)strlen(what) + 1);
    channel_open(channel, SP_AGENT_FRAME_WATCH, payload);
    return channel;
}

SpChannel *sp_agent_restored(SpAgent *agent, gint64 now_us, const guint8 *seed, gsize length)
{
    SpChannel *channel = sp_channel_new(agent, &sp_channel_kept);
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
    SpChannel *channel = sp_channel_new(agent, &sp_channel_put);
    g_autoptr(GByteArray) payload = g_byte_array_new();

    channel->file = fd;
    append_u32(payload, mode);
    g_byte_array_append(payload, (const guint8 *)path, (guint)strlen(path) + 1);
    channel_open(channel, SP_AGENT_FRAME_PUT, payload);
    if (channel->agent)
        send_file(channel);
    return channel;
}

SpChannel *sp_agent_get(SpAgent *agent, const char *path, int fd)
{
    SpChannel *channel = sp_channel_new(agent, &sp_channel_get);
    g_autoptr(GByteArray) payload = g_byte_array_new();

    channel->file = fd;
    g_byte_array_append(payload, (const guint8 *)path, (guint)strlen(path) + 1);
    channel_open(channel, SP_AGENT_FRAME_GET, payload);
    return channel;
}
