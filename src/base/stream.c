/* SPDX-License-Identifier: MIT */
#include "base/stream.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Bytes that are appended at @end and taken at @start. */
typedef struct {
    guint8 *bytes;
    gsize start;
    gsize end;
    gsize size;
} Buffer;

struct SpStream {
    SpStreamConfig config;
    int fd;
    int passed_fd;
    guint references; /* the owner's, and one for each handler that runs */
    bool is_connected;
    bool can_write; /* until a write fails */
    bool is_taking_input;
    GSource *readable; /* while connected, if it is read */
    GSource *writable; /* while output waits for the main context */
    Buffer input;
    Buffer output;
};

static gsize buffer_length(const Buffer *buffer)
{
    return buffer->end - buffer->start;
}

/* Space for @length bytes behind the end. Bytes are moved only if as many were taken in front of
 * them, or into a buffer of twice the size: on average each moves once. */
static guint8 *buffer_reserve(Buffer *buffer, gsize length)
{
    gsize used = buffer_length(buffer);

    if (buffer->size - buffer->end >= length)
        return buffer->bytes + buffer->end;
    if (used <= buffer->start && buffer->size - used >= length) {
        memmove(buffer->bytes, buffer->bytes + buffer->start, used);
    } else {
        gsize size = MAX(buffer->size * 2, used + length);
        guint8 *bytes = g_malloc(size);

        if (used > 0)
            memcpy(bytes, buffer->bytes + buffer->start, used);
        g_free(buffer->bytes);
        buffer->bytes = bytes;
        buffer->size = size;
    }
    buffer->start = 0;
    buffer->end = used;
    return buffer->bytes + used;
}

static void buffer_take(Buffer *buffer, gsize length)
{
    g_assert(length <= buffer_length(buffer));
    buffer->start += length;
    if (buffer->start == buffer->end)
        buffer->start = buffer->end = 0;
}

static void drop_source(GSource **source)
{
    if (!*source)
        return;
    g_source_destroy(*source);
    g_clear_pointer(source, g_source_unref);
}

static GSource *watch_fd(SpStream *stream, GIOCondition condition, GUnixFDSourceFunc func)
{
    GSource *source = g_unix_fd_source_new(stream->fd, condition | G_IO_ERR | G_IO_HUP);

    g_source_set_callback(source, G_SOURCE_FUNC(func), stream, NULL);
    g_source_attach(source, NULL);
    return source;
}

static void release_stream(SpStream *stream)
{
    if (--stream->references > 0)
        return;
    g_free(stream->input.bytes);
    g_free(stream->output.bytes);
    g_free(stream);
}

static void stop_stream(SpStream *stream)
{
    drop_source(&stream->readable);
    drop_source(&stream->writable);
    stream->is_connected = stream->can_write = false;
    sp_stream_discard_output(stream);
}

/* The caller holds a reference. */
static void disconnect_stream(SpStream *stream, int error_number)
{
    stop_stream(stream);
    stream->config.funcs->disconnected(error_number, stream->config.data);
}

/* Read once, and have the handler deal with it. Returns how many bytes were read. The caller holds
 * a reference. */
static gsize read_once(SpStream *stream)
{
    Buffer *input = &stream->input;
    guint8 *space = buffer_reserve(input, stream->config.read_size);
    ssize_t n;
    gsize taken;

    do
        n = read(stream->fd, space, stream->config.read_size);
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    if (n <= 0) {
        disconnect_stream(stream, n < 0 ? errno : 0);
        return 0;
    }
    input->end += (gsize)n;
    stream->is_taking_input = true;
    taken = stream->config.funcs->input(
        input->bytes + input->start, buffer_length(input), stream->config.data);
    stream->is_taking_input = false;
    if (!stream->is_connected)
        return 0;
    /* the handler may have discarded it */
    buffer_take(input, MIN(taken, buffer_length(input)));
    if (buffer_length(input) > stream->config.input_max)
        disconnect_stream(stream, EMSGSIZE);
    return (gsize)n;
}

static gboolean on_readable(int fd, GIOCondition condition, void *data)
{
    SpStream *stream = data;
    gsize n;

    stream->references++;
    for (int i = 0; i < SP_STREAM_READS_PER_TURN && stream->is_connected; i++) {
        n = read_once(stream);
        if (n < stream->config.read_size)
            break;
    }
    release_stream(stream);
    return G_SOURCE_CONTINUE;
}

static ssize_t send_with_fd(SpStream *stream, const guint8 *bytes, gsize length)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {
        .header = {
            .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    struct iovec part = {(void *)bytes, length};
    struct msghdr message = {.msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof control.bytes};
    ssize_t n;

    memcpy(CMSG_DATA(&control.header), &stream->passed_fd, sizeof stream->passed_fd);
    n = sendmsg(stream->fd, &message, MSG_NOSIGNAL);
    if (n >= 0)
        stream->passed_fd = -1;
    return n;
}

/* Send what the socket takes. Returns 0, or the errno if something is left. */
static int send_output(SpStream *stream)
{
    Buffer *output = &stream->output;

    while (buffer_length(output) > 0) {
        const guint8 *bytes = output->bytes + output->start;
        gsize length = buffer_length(output);
        ssize_t n = stream->passed_fd >= 0 ? send_with_fd(stream, bytes, length)
                                           : send(stream->fd, bytes, length, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        buffer_take(output, (gsize)n);
        if ((gsize)n < length)
            return EAGAIN;
    }
    return 0;
}

/* If the stream is read, its end comes after what the peer has still sent. */
static void fail_writing(SpStream *stream, int error_number)
{
    stream->can_write = false;
    sp_stream_discard_output(stream);
    drop_source(&stream->writable);
    if (!stream->readable)
        disconnect_stream(stream, error_number);
}

static gboolean on_writable(int fd, GIOCondition condition, void *data)
{
    SpStream *stream = data;
    gsize before = buffer_length(&stream->output);
    int error_number = send_output(stream);

    stream->references++;
    if (error_number != 0 && error_number != EAGAIN && error_number != EWOULDBLOCK)
        fail_writing(stream, error_number);
    else if (stream->config.funcs->written && buffer_length(&stream->output) < before)
        stream->config.funcs->written(stream->config.data);
    if (buffer_length(&stream->output) == 0)
        drop_source(&stream->writable);
    release_stream(stream);
    return G_SOURCE_CONTINUE;
}

SpStream *sp_stream_new(int fd, const SpStreamConfig *config)
{
    SpStream *stream = g_new0(SpStream, 1);

    g_unix_set_fd_nonblocking(fd, TRUE, NULL);
    stream->config = *config;
    stream->fd = fd;
    stream->passed_fd = -1;
    stream->references = 1;
    stream->is_connected = stream->can_write = true;
    if (config->funcs->input)
        stream->readable = watch_fd(stream, G_IO_IN, on_readable);
    return stream;
}

void sp_stream_free(SpStream *stream)
{
    if (!stream)
        return;
    stop_stream(stream);
    close(stream->fd);
    stream->fd = -1;
    release_stream(stream);
}

int sp_stream_fd(const SpStream *stream)
{
    return stream->fd;
}

bool sp_stream_is_connected(const SpStream *stream)
{
    return stream->is_connected;
}

guint8 *sp_stream_reserve(SpStream *stream, gsize length)
{
    gsize waiting = buffer_length(&stream->output);

    if (!stream->can_write || waiting > stream->config.output_max ||
        length > stream->config.output_max - waiting)
        return NULL;
    return buffer_reserve(&stream->output, MAX(length, 1)); /* never NULL */
}

void sp_stream_commit(SpStream *stream, gsize length)
{
    g_assert(length <= stream->output.size - stream->output.end);
    stream->output.end += length;
}

bool sp_stream_write(SpStream *stream, const void *bytes, gsize length)
{
    guint8 *space;

    if (length == 0)
        return stream->can_write;
    space = sp_stream_reserve(stream, length);
    if (!space)
        return false;
    memcpy(space, bytes, length);
    sp_stream_commit(stream, length);
    sp_stream_flush_later(stream);
    return true;
}

void sp_stream_flush(SpStream *stream)
{
    /* If the socket is full, or the main context sends anyway, it does not help to try now; an
     * error comes again there, where handlers may be called. */
    if (!stream->writable && send_output(stream) != 0)
        sp_stream_flush_later(stream);
}

void sp_stream_flush_later(SpStream *stream)
{
    if (!stream->writable && stream->can_write && buffer_length(&stream->output) > 0)
        stream->writable = watch_fd(stream, G_IO_OUT, on_writable);
}

gsize sp_stream_pending(const SpStream *stream)
{
    return buffer_length(&stream->output);
}

void sp_stream_discard_output(SpStream *stream)
{
    stream->output.start = stream->output.end = 0;
}

void sp_stream_discard_input(SpStream *stream)
{
    stream->input.start = stream->input.end = 0;
}

void sp_stream_pass_fd(SpStream *stream, int fd)
{
    stream->passed_fd = fd;
}

void sp_stream_read_rest(SpStream *stream)
{
    if (stream->is_taking_input)
        return;
    stream->references++;
    while (stream->readable && read_once(stream) > 0)
        ;
    release_stream(stream);
}
