/* SPDX-License-Identifier: MIT */
#include "lib/agent-frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Parse a payload with reads that its own bytes choose. */
static void walk(const struct sp_agent_frame *frame)
{
    struct sp_payload p;
    const uint8_t *bytes;
    const char *text;
    uint16_t u16;
    uint32_t u32;
    int r = 0;

    sp_payload_init(&p, frame);
    while (r == 0 && p.left > 0) {
        size_t before = p.left;
        switch (*p.data % 4) {
        case 0:
            r = sp_payload_take_u16(&p, &u16);
            break;
        case 1:
            r = sp_payload_take_u32(&p, &u32);
            break;
        case 2:
            r = sp_payload_take_bytes(&p, *p.data, &bytes);
            break;
        default:
            r = sp_payload_take_string(&p, &text);
            if (r == 0 && strlen(text) + 1 != before - p.left)
                abort();
        }
        if (r == 0 ? p.left >= before : p.left != before)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t header[SP_AGENT_FRAME_HEADER_SIZE];
    struct sp_agent_frame frame, head;
    ssize_t n = sp_agent_frame_find_hello(data, size);
    size_t used = 0;

    if (n >= 0 && (data[n] != SP_AGENT_FRAME_MAGIC || data[n + 1] != SP_AGENT_FRAME_HELLO))
        abort();
    while (used < size && (n = sp_agent_frame_decode(data + used, size - used, &frame)) > 0) {
        if ((size_t)n != SP_AGENT_FRAME_HEADER_SIZE + frame.length || (size_t)n > size - used)
            abort();
        if (sp_agent_frame_decode_header(data + used, size - used, &head) !=
                SP_AGENT_FRAME_HEADER_SIZE ||
            head.length != frame.length || head.channel != frame.channel)
            abort();
        /* a decoded frame encodes to the same bytes */
        if (sp_agent_frame_encode_header(
                header, frame.type, frame.stream, frame.channel, frame.length) < 0 ||
            memcmp(header, data + used, sizeof header) != 0)
            abort();
        walk(&frame);
        used += (size_t)n;
    }
    return 0;
}
