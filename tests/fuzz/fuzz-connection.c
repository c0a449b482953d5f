/* SPDX-License-Identifier: MIT */

/*
 * What a driver sends to the agent's connection, in pieces: the first byte chooses how many.
 * The channels are not the agent's: these check that each frame is one that was sent, and that
 * frames come only after a HELLO.
 */

#include "agent/channel.h"
#include "agent/connection.h"
#include "agent/shell.h"
#include "agent/units.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    const uint8_t *data;
    size_t size;
    unsigned n_hellos;
} sent;

void channels_take_frame(struct channels *all, const struct sp_agent_frame *frame)
{
    if (sent.n_hellos == 0 || frame->type == SP_AGENT_FRAME_HELLO)
        abort();
    if (frame->length > 0 && !memmem(sent.data, sent.size, frame->payload, frame->length))
        abort();
}

void channels_resume(struct channels *all)
{
}

void channels_end(struct channels *all)
{
}

void shell_prepare(void)
{
    sent.n_hellos++;
}

void units_free(struct units *units)
{
}

/* One turn for each piece; what is not read then is read by the last turns. */
static void send_pieces(struct loop *loop, struct connection *connection, int fd)
{
    size_t step = 1 + sent.size / (1 + sent.data[0] % 64u), length;

    for (size_t at = 1; at < sent.size; at += length) {
        length = step < sent.size - at ? step : sent.size - at;
        if (send(fd, sent.data + at, length, MSG_NOSIGNAL) != (ssize_t)length)
            abort();
        if (loop_turn(loop) < 0)
            abort();
        connection_settle(connection);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct connection *connection;
    struct loop *loop;
    uint8_t answers[4096];
    int ends[2];

    /* all fits the socket's buffer */
    if (size < 2 || size > 65536)
        return 0;
    sent.data = data;
    sent.size = size;
    sent.n_hellos = 0;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0 || loop_new(&loop) < 0 ||
        connection_new_fd(loop, ends[1], &connection) < 0)
        abort();
    send_pieces(loop, connection, ends[0]);
    shutdown(ends[0], SHUT_WR);
    while (!loop_has_ended(loop)) {
        if (loop_turn(loop) < 0)
            abort();
        connection_settle(connection);
        while (recv(ends[0], answers, sizeof answers, MSG_DONTWAIT) > 0)
            ;
    }
    connection_free(connection);
    loop_free(loop);
    close(ends[0]);
    return 0;
}
