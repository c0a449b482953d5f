/* SPDX-License-Identifier: MIT */
#include "network/capture.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum {
    BLOCK_SECTION = 0x0a0d0d0a,
    BLOCK_INTERFACE = 1,
    BLOCK_PACKET = 6,
};
#define BYTE_ORDER_MAGIC 0x1a2b3c4du
#define LINK_TYPE_ETHERNET 1
#define OPTION_END 0
#define OPTION_IF_NAME 2
#define BUFFER_MAX (256u * 1024)

struct SpCapture {
    char *path;
    int fd;
    GByteArray *buffer;
    guint interfaces;
    GError *error;
};

/* Numbers in the byte order of this host, which the section header tells. */
static void put16(GByteArray *buffer, guint16 value)
{
    g_byte_array_append(buffer, (const guint8 *)&value, sizeof value);
}

static void put32(GByteArray *buffer, guint32 value)
{
    g_byte_array_append(buffer, (const guint8 *)&value, sizeof value);
}

static void put_padded(GByteArray *buffer, const void *data, gsize length)
{
    static const guint8 zeros[4];

    g_byte_array_append(buffer, data, (guint)length);
    g_byte_array_append(buffer, zeros, (guint)(-length & 3));
}

static guint begin_block(SpCapture *capture, guint32 type)
{
    guint begin = capture->buffer->len;

    put32(capture->buffer, type);
    put32(capture->buffer, 0); /* the length, known at the end */
    return begin;
}

static void end_block(SpCapture *capture, guint begin)
{
    guint32 length = capture->buffer->len - begin + 4;

    put32(capture->buffer, length);
    memcpy(capture->buffer->data + begin + 4, &length, sizeof length);
    if (capture->buffer->len >= BUFFER_MAX)
        sp_capture_flush(capture);
}

SpCapture *sp_capture_new(const char *path, GError **error)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    SpCapture *capture;
    guint begin;

    if (fd < 0) {
        g_set_error(
            error, SP_ERROR, SP_ERROR_HOST, "%s can't be made: %s", path, g_strerror(errno));
        return NULL;
    }
    capture = g_new0(SpCapture, 1);
    capture->path = g_strdup(path);
    capture->fd = fd;
    capture->buffer = g_byte_array_new();
    begin = begin_block(capture, BLOCK_SECTION);
    put32(capture->buffer, BYTE_ORDER_MAGIC);
    put16(capture->buffer, 1); /* version 1.0 */
    put16(capture->buffer, 0);
    put32(capture->buffer, G_MAXUINT32); /* of a length that is not told: all ones */
    put32(capture->buffer, G_MAXUINT32);
    end_block(capture, begin);
    return capture;
}

void sp_capture_free(SpCapture *capture)
{
    if (!capture)
        return;
    sp_capture_flush(capture);
    close(capture->fd);
    g_byte_array_unref(capture->buffer);
    g_clear_error(&capture->error);
    g_free(capture->path);
    g_free(capture);
}

const char *sp_capture_path(const SpCapture *capture)
{
    return capture->path;
}

guint sp_capture_add_interface(SpCapture *capture, const char *name)
{
    gsize length = MIN(strlen(name), 255);
    guint begin = begin_block(capture, BLOCK_INTERFACE);

    put16(capture->buffer, LINK_TYPE_ETHERNET);
    put16(capture->buffer, 0);
    put32(capture->buffer, 0); /* no limit to a packet's length */
    put16(capture->buffer, OPTION_IF_NAME);
    put16(capture->buffer, (guint16)length);
    put_padded(capture->buffer, name, length);
    put16(capture->buffer, OPTION_END);
    put16(capture->buffer, 0);
    end_block(capture, begin);
    return capture->interfaces++;
}

void sp_capture_frame(
    SpCapture *capture, guint interface, gint64 time_us, const guint8 *frame, gsize length)
{
    guint64 time = (guint64)time_us;
    guint begin;

    if (capture->error)
        return;
    begin = begin_block(capture, BLOCK_PACKET);
    put32(capture->buffer, interface);
    put32(capture->buffer, (guint32)(time >> 32));
    put32(capture->buffer, (guint32)time);
    put32(capture->buffer, (guint32)length); /* captured */
    put32(capture->buffer, (guint32)length); /* as it was */
    put_padded(capture->buffer, frame, length);
    end_block(capture, begin);
}

void sp_capture_flush(SpCapture *capture)
{
    const guint8 *data = capture->buffer->data;
    gsize left = capture->buffer->len;

    while (left > 0 && !capture->error) {
        ssize_t n = write(capture->fd, data, left);

        if (n >= 0) {
            data += n;
            left -= (gsize)n;
        } else if (errno != EINTR) {
            g_set_error(&capture->error, SP_ERROR, SP_ERROR_HOST, "%s can't be written: %s",
                capture->path, g_strerror(errno));
        }
    }
    g_byte_array_set_size(capture->buffer, 0);
}

const GError *sp_capture_error(const SpCapture *capture)
{
    return capture->error;
}
