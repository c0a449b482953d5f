/* SPDX-License-Identifier: MIT */
#include "lib/agent-frame.h"

#include "lib/byte-order.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static bool is_type(unsigned type)
{
    return type >= SP_AGENT_FRAME_HELLO && type < SP_AGENT_FRAME_TYPE_END_;
}

/* Only some types say which stream they are about; for the others the field is reserved. */
static bool is_stream_of(unsigned type, uint16_t stream)
{
    bool has_stream =
        type == SP_AGENT_FRAME_DATA || type == SP_AGENT_FRAME_END || type == SP_AGENT_FRAME_CREDIT;

    return stream <= (has_stream ? SP_STREAM_STDERR : 0);
}

ssize_t sp_agent_frame_decode_header(
    const uint8_t *data, size_t length, struct sp_agent_frame *ret_frame)
{
    uint16_t stream;
    uint32_t size;

    if (length > 0 && data[0] != SP_AGENT_FRAME_MAGIC)
        return -EPROTO;
    if (length > 1 && !is_type(data[1]))
        return -EPROTO;
    if (length < SP_AGENT_FRAME_HEADER_SIZE)
        return 0;
    stream = sp_get_le16(data + 2);
    size = sp_get_le32(data + 8);
    if (!is_stream_of(data[1], stream))
        return -EPROTO;
    if (size > SP_AGENT_FRAME_PAYLOAD_MAX)
        return -EMSGSIZE;
    *ret_frame = (struct sp_agent_frame){
        .type = data[1],
        .stream = stream,
        .channel = sp_get_le32(data + 4),
        .length = size,
    };
    return SP_AGENT_FRAME_HEADER_SIZE;
}

ssize_t sp_agent_frame_decode(const uint8_t *data, size_t length, struct sp_agent_frame *ret_frame)
{
    struct sp_agent_frame frame;
    ssize_t n = sp_agent_frame_decode_header(data, length, &frame);

    if (n <= 0)
        return n;
    if (length - SP_AGENT_FRAME_HEADER_SIZE < frame.length)
        return 0;
    frame.payload = data + SP_AGENT_FRAME_HEADER_SIZE;
    *ret_frame = frame;
    return (ssize_t)(SP_AGENT_FRAME_HEADER_SIZE + frame.length);
}

int sp_agent_frame_encode_header(uint8_t header[static SP_AGENT_FRAME_HEADER_SIZE],
    enum sp_agent_frame_type type, uint16_t stream, uint32_t channel, size_t length)
{
    if (!is_type(type) || !is_stream_of(type, stream))
        return -EINVAL;
    if (length > SP_AGENT_FRAME_PAYLOAD_MAX)
        return -EMSGSIZE;
    header[0] = SP_AGENT_FRAME_MAGIC;
    header[1] = (uint8_t)type;
    sp_put_le16(header + 2, stream);
    sp_put_le32(header + 4, channel);
    sp_put_le32(header + 8, (uint32_t)length);
    return 0;
}

ssize_t sp_agent_frame_find_hello(const uint8_t *data, size_t length)
{
    const uint8_t *magic = data;
    size_t left = length;

    /* The header stands before the magic string: a match nearer to the start is none. */
    while (left > 0 && (magic = memmem(magic, left, SP_HELLO_MAGIC, SP_HELLO_MAGIC_SIZE))) {
        size_t at = (size_t)(magic - data);

        if (at >= SP_AGENT_FRAME_HEADER_SIZE) {
            const uint8_t *header = magic - SP_AGENT_FRAME_HEADER_SIZE;
            if (header[0] == SP_AGENT_FRAME_MAGIC && header[1] == SP_AGENT_FRAME_HELLO &&
                sp_get_le16(header + 2) == 0 && sp_get_le32(header + 4) == 0 &&
                sp_get_le32(header + 8) >= SP_HELLO_MAGIC_SIZE &&
                sp_get_le32(header + 8) <= SP_AGENT_FRAME_PAYLOAD_MAX)
                return (ssize_t)(at - SP_AGENT_FRAME_HEADER_SIZE);
        }
        magic++;
        left = length - (size_t)(magic - data);
    }
    return -EAGAIN;
}

void sp_payload_init(struct sp_payload *p, const struct sp_agent_frame *frame)
{
    p->data = frame->payload;
    p->left = frame->length;
}

int sp_payload_take_bytes(struct sp_payload *p, size_t length, const uint8_t **ret)
{
    if (p->left < length)
        return -EBADMSG;
    *ret = p->data;
    p->data += length;
    p->left -= length;
    return 0;
}

int sp_payload_take_u16(struct sp_payload *p, uint16_t *ret)
{
    const uint8_t *bytes;
    int r = sp_payload_take_bytes(p, 2, &bytes);

    if (r == 0)
        *ret = sp_get_le16(bytes);
    return r;
}

int sp_payload_take_u32(struct sp_payload *p, uint32_t *ret)
{
    const uint8_t *bytes;
    int r = sp_payload_take_bytes(p, 4, &bytes);

    if (r == 0)
        *ret = sp_get_le32(bytes);
    return r;
}

int sp_payload_take_string(struct sp_payload *p, const char **ret)
{
    const uint8_t *end = p->left > 0 ? memchr(p->data, 0, p->left) : NULL;
    const uint8_t *text;

    if (!end || sp_payload_take_bytes(p, (size_t)(end - p->data) + 1, &text) < 0)
        return -EBADMSG;
    *ret = (const char *)text;
    return 0;
}
