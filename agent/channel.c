/* SPDX-License-Identifier: MIT */

/* The requests under way: opening them, credit, and frames for them. */

#include "agent/channel.h"

#include "lib/byte-order.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* At four descriptors per command, this stays below the usual limit of 1024 open files. */
#define CHANNELS_MAX 240u
/* Credit is granted in steps of at least this, so that small pieces of data cost few frames. */
#define CREDIT_STEP (SP_INITIAL_CREDIT / 4)

static const struct channel_ops *const kinds[] = {
    &command_ops, &put_ops, &get_ops, &watch_ops, &restored_ops};

bool channel_may_send(struct channel *channel)
{
    bool may = !queue_is_congested(channel->all->queue);

    if (!may)
        channel->all->is_held = true;
    return may;
}

void channel_send(
    struct channel *channel, enum sp_agent_frame_type type, const void *payload, size_t length)
{
    queue_frame(channel->all->queue, type, 0, channel->id, payload, length);
}

void channel_took(struct channel *channel, size_t length)
{
    uint8_t payload[4];

    channel->owed += (uint32_t)length;
    if (channel->owed < CREDIT_STEP)
        return;
    sp_put_le32(payload, channel->owed);
    channel_send(channel, SP_AGENT_FRAME_CREDIT, payload, sizeof payload);
    channel->credit += channel->owed;
    channel->owed = 0;
}

ssize_t channel_read_from(struct channel *channel, int fd, enum sp_stream stream, size_t length)
{
    uint8_t *room = queue_begin_data(channel->all->queue, length);
    ssize_t n;

    if (!room)
        return -ENOBUFS;
    do
        n = read(fd, room, length);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        queue_end_data(channel->all->queue, stream, channel->id, (size_t)n);
    return n < 0 ? -errno : n;
}

static void channel_free(struct channel *channel)
{
    struct channels *all = channel->all;

    for (struct channel **p = &all->list; *p; p = &(*p)->next) {
        if (*p == channel) {
            *p = channel->next;
            all->count--;
            break;
        }
    }
    channel->ops->free(channel);
    free(channel);
}

void channel_exit(struct channel *channel, bool by_signal, uint32_t status, const char *held)
{
    uint8_t payload[8 + CHANNEL_HELD_MAX];
    size_t length = 8;

    sp_put_le32(payload, by_signal);
    sp_put_le32(payload + 4, status);
    if (held) {
        snprintf((char *)payload + 8, CHANNEL_HELD_MAX, "%s", held);
        length += strlen((char *)payload + 8) + 1;
    }
    channel_send(channel, SP_AGENT_FRAME_EXIT, payload, length);
    channel_free(channel);
}

static void send_error(struct channels *all, uint32_t id, int error, const char *about)
{
    uint8_t payload[4 + 512];
    char *text = (char *)payload + 4;
    int length = snprintf(text, sizeof payload - 4, "%s%s%s", about ? about : "", about ? ": " : "",
        strerror(-error));

    if (length < 0 || (size_t)length >= sizeof payload - 4)
        length = (int)strlen(text);
    sp_put_le32(payload, (uint32_t)-error);
    queue_frame(all->queue, SP_AGENT_FRAME_ERROR, 0, id, payload, 4 + (size_t)length);
}

void channel_fail(struct channel *channel, int error)
{
    send_error(channel->all, channel->id, error, channel->about);
    channel_free(channel);
}

static struct channel *find_channel(struct channels *all, uint32_t id)
{
    for (struct channel *c = all->list; c; c = c->next) {
        if (c->id == id)
            return c;
    }
    return NULL;
}

static void open_channel(
    struct channels *all, const struct channel_ops *ops, const struct sp_agent_frame *frame)
{
    struct channel *channel = NULL;
    struct sp_payload payload;
    int r;

    if (all->count < CHANNELS_MAX)
        channel = calloc(1, sizeof *channel);
    if (!channel) {
        send_error(all, frame->channel, all->count < CHANNELS_MAX ? -ENOMEM : -EMFILE,
            "too many requests at once");
        return;
    }
    *channel = (struct channel){
        .all = all,
        .ops = ops,
        .id = frame->channel,
        .credit = SP_INITIAL_CREDIT,
        .next = all->list,
    };
    all->list = channel;
    all->count++;
    sp_payload_init(&payload, frame);
    r = ops->open(channel, &payload);
    if (r < 0)
        channel_fail(channel, r);
}

static int take_data(struct channel *channel, const struct sp_agent_frame *frame)
{
    if (frame->stream != SP_STREAM_STDIN || frame->length > channel->credit)
        return -EPROTO;
    channel->credit -= (uint32_t)frame->length;
    if (channel->ops->data)
        return channel->ops->data(channel, frame->payload, frame->length);
    channel_took(channel, frame->length);
    return 0;
}

static int take_signal(struct channel *channel, struct sp_payload *payload)
{
    uint32_t number;

    if (sp_payload_take_u32(payload, &number) < 0)
        return -EPROTO;
    return channel->ops->signal ? channel->ops->signal(channel, number) : 0;
}

static int take_resize(struct channel *channel, struct sp_payload *payload)
{
    uint16_t rows, columns;

    if (sp_payload_take_u16(payload, &rows) < 0 || sp_payload_take_u16(payload, &columns) < 0)
        return -EPROTO;
    return channel->ops->resize ? channel->ops->resize(channel, rows, columns) : 0;
}

static int dispatch_frame(struct channel *channel, const struct sp_agent_frame *frame)
{
    const struct channel_ops *ops = channel->ops;
    struct sp_payload payload;

    sp_payload_init(&payload, frame);
    switch (frame->type) {
    case SP_AGENT_FRAME_DATA:
        return take_data(channel, frame);
    case SP_AGENT_FRAME_END:
        return ops->end ? ops->end(channel) : 0;
    case SP_AGENT_FRAME_SIGNAL:
        return take_signal(channel, &payload);
    case SP_AGENT_FRAME_RESIZE:
        return take_resize(channel, &payload);
    case SP_AGENT_FRAME_CANCEL:
        return ops->cancel ? ops->cancel(channel) : -ECANCELED;
    default:
        return -EPROTO;
    }
}

void channels_take_frame(struct channels *all, const struct sp_agent_frame *frame)
{
    struct channel *channel = find_channel(all, frame->channel);
    int r;

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (kinds[i]->opened_by != frame->type)
            continue;
        if (channel || frame->channel == 0)
            send_error(all, frame->channel, -EBUSY, "this channel is in use");
        else
            open_channel(all, kinds[i], frame);
        return;
    }
    if (!channel)
        return; /* it has ended, and the driver does not know yet */
    r = dispatch_frame(channel, frame);
    if (r < 0)
        channel_fail(channel, r);
}

void channels_resume(struct channels *all)
{
    all->is_held = false;
    for (struct channel *c = all->list; c; c = c->next) {
        if (c->ops->resume)
            c->ops->resume(c);
    }
}

void channels_end(struct channels *all)
{
    while (all->list)
        channel_free(all->list);
    all->is_held = false;
}
