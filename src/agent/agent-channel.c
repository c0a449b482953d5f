/* SPDX-License-Identifier: MIT */
#include "agent/agent-private.h"

#include "base/error.h"
#include "lib/write-all.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <unistd.h>

#define COMMAND_OUTPUT_MAX (256u * 1024 * 1024)
#define STATE_STRINGS_MAX 16u

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
    if (channel->kind->end)
        channel->kind->end(channel); /* which may free it */
}

/* Tell the guest's side to stop. @error (taken) is the reason. */
static void cancel_channel(SpChannel *channel, GError *error)
{
    sp_agent_send_frame(channel->agent, SP_AGENT_FRAME_CANCEL, channel->id, NULL, 0);
    sp_channel_end(channel, error);
}

/* Returns false if that was too much. */
static bool keep_data(SpChannel *channel, const struct sp_agent_frame *frame)
{
    GString *into = frame->stream == SP_STREAM_STDERR ? channel->errors : channel->output;

    if (channel->output->len + channel->errors->len + frame->length > COMMAND_OUTPUT_MAX) {
        cancel_channel(channel,
            g_error_new(SP_ERROR, SP_ERROR_GUEST,
                "the command wrote more than %u MiB and was killed: have it write to a file",
                COMMAND_OUTPUT_MAX / (1024 * 1024)));
        return false;
    }
    g_string_append_len(into, (const char *)frame->payload, (gssize)frame->length);
    return true;
}

static void take_kept_data(SpChannel *channel, const struct sp_agent_frame *frame)
{
    (void)keep_data(channel, frame);
}

const SpChannelKind sp_channel_kept = {.take_data = take_kept_data};

static void take_streamed_data(SpChannel *channel, const struct sp_agent_frame *frame)
{
    if (frame->stream == SP_STREAM_STDOUT)
        channel->funcs->output(frame->payload, frame->length, channel->func_data);
    else if (keep_data(channel, frame))
        channel->funcs->errors(channel->func_data);
}

static void take_streamed_end(SpChannel *channel)
{
    channel->funcs->end(channel->func_data);
}

static void end_streamed(SpChannel *channel)
{
    if (channel->funcs)
        channel->funcs->done(channel->func_data);
}

const SpChannelKind sp_channel_streamed = {
    .take_data = take_streamed_data, .take_end = take_streamed_end, .end = end_streamed};

static void take_terminal_data(SpChannel *channel, const struct sp_agent_frame *frame)
{
    if (frame->length > 0)
        channel->func(frame->payload, frame->length, channel->func_data);
}

static void take_terminal_credit(SpChannel *channel)
{
    channel->func(NULL, 0, channel->func_data);
}

const SpChannelKind sp_channel_terminal = {
    .take_data = take_terminal_data, .take_credit = take_terminal_credit};

const SpChannelKind sp_channel_put = {0};

static void take_file_data(SpChannel *channel, const struct sp_agent_frame *frame)
{
    int r = sp_write_all(channel->file, frame->payload, frame->length);

    if (r < 0)
        cancel_channel(channel, g_error_new(SP_ERROR, SP_ERROR_HOST,
                                    "the host's copy can't be written: %s", g_strerror(-r)));
}

const SpChannelKind sp_channel_get = {.take_data = take_file_data};

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
    if (channel->kind->take_credit)
        channel->kind->take_credit(channel);
    sp_agent_pump_files(channel->agent);
    return true;
}

bool sp_channel_take_frame(SpChannel *channel, const struct sp_agent_frame *frame)
{
    switch (frame->type) {
    case SP_AGENT_FRAME_DATA:
        if (!channel->kind->take_data)
            return false;
        channel->kind->take_data(channel, frame);
        return true;
    case SP_AGENT_FRAME_END:
        if (channel->kind->take_end && frame->stream == SP_STREAM_STDOUT)
            channel->kind->take_end(channel);
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

/* Continue to read a channel's file; returns false if there is nothing more to send for now. */
static bool pump_channel(SpAgent *agent, SpChannel *channel)
{
    gsize want = MIN(channel->credit, SP_AGENT_FRAME_PAYLOAD_MAX);
    guint8 *frame;
    ssize_t n;

    if (want == 0 || channel->readable)
        return false;
    frame = sp_stream_reserve(agent->stream, SP_AGENT_FRAME_HEADER_SIZE + want);
    if (!frame)
        return false;
    do
        n = read(channel->file, frame + SP_AGENT_FRAME_HEADER_SIZE, want);
    while (n < 0 && errno == EINTR);
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
    g_assert(sp_agent_frame_encode_header(
                 frame, SP_AGENT_FRAME_DATA, SP_STREAM_STDIN, channel->id, (gsize)n) == 0);
    sp_stream_commit(agent->stream, SP_AGENT_FRAME_HEADER_SIZE + (gsize)n);
    sp_stream_flush_later(agent->stream);
    channel->credit -= (gsize)n;
    return true;
}

void sp_agent_pump_files(SpAgent *agent)
{
    guint idle = 0;

    while (sp_stream_pending(agent->stream) < SP_AGENT_OUTPUT_LOW &&
           idle < g_queue_get_length(&agent->sending)) {
        SpChannel *channel = g_queue_pop_head(&agent->sending);
        g_queue_push_tail(&agent->sending, channel);
        idle = pump_channel(agent, channel) ? 0 : idle + 1;
    }
}

SpChannel *sp_channel_new(SpAgent *agent, const SpChannelKind *kind)
{
    SpChannel *channel = g_new0(SpChannel, 1);

    channel->kind = kind;
    channel->file = -1;
    channel->output = g_string_new(NULL);
    channel->errors = g_string_new(NULL);
    channel->credit = SP_INITIAL_CREDIT;
    channel->id = ++agent->last_channel;
    channel->agent = agent;
    g_hash_table_insert(agent->channels, GUINT_TO_POINTER(channel->id), channel);
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
