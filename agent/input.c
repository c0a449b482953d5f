/* SPDX-License-Identifier: MIT */

/* The data that goes to a command's stdin. */

#include "agent/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* One above the credit: a terminal's end of file is a byte as well. */
#define INPUT_SIZE (SP_INITIAL_CREDIT + 1)
#define PIPE_SIZE SP_AGENT_FRAME_PAYLOAD_MAX

void input_init(struct input *input, struct channel *channel)
{
    *input = (struct input){.channel = channel, .fd = -1};
}

void input_close(struct input *input)
{
    input->source = loop_source_free(input->source);
    if (input->fd >= 0)
        close(input->fd);
    input->fd = -1;
    free(input->data);
    input->data = NULL;
    input->begin = input->end = 0;
}

/* Returns how many of @bytes the reader took, or -EPIPE if there is no reader any more. */
static ssize_t write_input(struct input *input, const uint8_t *bytes, size_t length)
{
    size_t done = 0;

    while (done < length) {
        ssize_t n = write(input->fd, bytes + done, length - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN)
            return -EPIPE;
        if (n < 0)
            break;
        done += (size_t)n;
    }
    channel_took(input->channel, done);
    return (ssize_t)done;
}

static void write_kept_input(struct input *input)
{
    ssize_t n = write_input(input, input->data + input->begin, input->end - input->begin);

    if (n < 0)
        channel_took(input->channel, input->end - input->begin);
    else
        input->begin += (size_t)n;
    if (n >= 0 && input->begin < input->end)
        return;
    if (n < 0 || input->is_at_end) {
        input_close(input);
        return;
    }
    input->begin = input->end = 0;
    loop_source_set_events(input->source, 0);
}

static void on_input_writable(void *data, uint32_t events)
{
    write_kept_input(data);
}

static int keep_input(struct input *input, const uint8_t *bytes, size_t length)
{
    if (length > INPUT_SIZE - (input->end - input->begin))
        return -EPROTO;
    if (!input->data)
        input->data = malloc(INPUT_SIZE);
    if (!input->data)
        return -ENOMEM;
    if (length > INPUT_SIZE - input->end) {
        memmove(input->data, input->data + input->begin, input->end - input->begin);
        input->end -= input->begin;
        input->begin = 0;
    }
    memcpy(input->data + input->end, bytes, length);
    input->end += length;
    if (input->source) {
        loop_source_set_events(input->source, EPOLLOUT);
        return 0;
    }
    /* Much is coming: a larger pipe, if that is allowed, takes fewer turns. */
    if (!input->is_pty)
        fcntl(input->fd, F_SETPIPE_SZ, PIPE_SIZE);
    return loop_add_fd(
        input->channel->all->loop, input->fd, EPOLLOUT, on_input_writable, input, &input->source);
}

int input_append(struct input *input, const uint8_t *bytes, size_t length)
{
    ssize_t n = 0;

    if (input->fd >= 0 && !input->is_at_end && input->begin == input->end)
        n = write_input(input, bytes, length);
    if (n < 0)
        input_close(input);
    if (input->fd < 0 || input->is_at_end) {
        channel_took(input->channel, length);
        return 0;
    }
    length -= (size_t)n;
    return length > 0 ? keep_input(input, bytes + n, length) : 0;
}

int input_end(struct input *input)
{
    static const uint8_t end_of_file = 4; /* Ctrl-D */

    if (input->fd < 0 || input->is_at_end)
        return 0;
    if (input->is_pty) {
        if (input->begin == input->end && write(input->fd, &end_of_file, 1) == 1)
            return 0;
        return input->end - input->begin < INPUT_SIZE ? keep_input(input, &end_of_file, 1) : 0;
    }
    input->is_at_end = true;
    if (input->begin == input->end)
        input_close(input);
    return 0;
}
