/* SPDX-License-Identifier: MIT */
#pragma once

#include "agent/channel.h"

/**
 * The way to a command's stdin: what the command does not take yet is kept, up to the channel's
 * credit. Embedded in the command.
 */
struct input {
    struct channel *channel;
    int fd; /* non-blocking; -1 when it is closed */
    bool is_pty;
    bool is_at_end; /* to be closed when all is written */
    struct loop_source *source;
    uint8_t *data;
    size_t begin, end;
};

void input_init(struct input *input, struct channel *channel);
void input_close(struct input *input);

/** Write or keep bytes of the driver's; 0 or a negative errno. Without a reader they are dropped.
 */
int input_append(struct input *input, const uint8_t *bytes, size_t length);
/** Nothing follows: the reader gets an end of file after all that was appended. */
int input_end(struct input *input);
