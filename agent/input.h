/* SPDX-License-Identifier: MIT */
#pragma once

#include "agent/channel.h"

/**
 * What goes to a command's stdin: bytes that the command does not take yet are kept, up to the
 * channel's credit. Embedded in the command.
 */
struct input {
    struct channel *channel;
    int fd; /* non-blocking; -1 once it is closed */
    bool is_pty;
    bool is_at_end; /* to be closed when everything is written */
    struct loop_source *source;
    uint8_t *data;
    size_t begin, end;
};

void input_init(struct input *input, struct channel *channel);
void input_close(struct input *input);

/** Write or keep bytes from the driver. Without a reader they are dropped. Returns 0 or a negative
 * errno.
 */
int input_append(struct input *input, const uint8_t *bytes, size_t length);
/** Nothing follows: the reader gets an end of file after everything that was appended. Returns 0 or
 * a negative errno. */
int input_end(struct input *input);
