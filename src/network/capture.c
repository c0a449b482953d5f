/* SPDX-License-Identifier: MIT */
#include "network/capture.h"

#include "base/error.h"
#include "lib/byte-order.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum {
    BLOCK_SECTION = 0x0a0d0d0a,
    BLOCK_INTERFACE = 1,
    BLOCK_PACKET = 6,
};
#define BYTE_ORDER_MAGIC 0x1a2b3c4du /* tells that all numbers are little endian */
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

static void write_u16(GByteArray *buffer, guint16 value)
{
    guint8 bytes[sizeof value];

    sp_put_le16(bytes, value);
    g_byte_array_append(buffer, bytes, sizeof bytes);
}

static void write_u32(GByteArray *buffer, guint32 value)
{
    guint8 bytes[sizeof value];

    sp_put_le32(bytes, value);
    g_byte_array_append(buffer, bytes, sizeof bytes);
}

static void write_padded(GByteArray *buffer, const void *data, gsize length)
{
    static const guint8 zeros[4];

    g_byte_array_append(buffer, data, (guint)length);
    g_byte_array_append(buffer, zeros, (guint)(-length & 3));
}

static guint begin_block(SpCapture *capture, guint32 type)
{
    guint begin = capture->buffer->len;

    write_u32(capture->buffer, type);
    write_u32(capture->buffer, 0); /* the length, known at the end */
    return begin;
}

static void end_block(SpCapture *capture, guint begin)
{
    guint32 length = capture->buffer->len - begin + 4;

    write_u32(capture->buffer, length);
    sp_put_le32(capture->buffer->data + begin + 4, length);
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
    write_u32(capture->buffer, BYTE_ORDER_MAGIC);
    write_u16(capture->buffer, 1); /* version 1.0 */
    write_u16(capture->buffer, 0);
    write_u32(capture->buffer, G_MAXUINT32); /* all ones: the section's length is not given */
    write_u32(capture->buffer, G_MAXUINT32);
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

    write_u16(capture->buffer, LINK_TYPE_ETHERNET);
    write_u16(capture->buffer, 0);
    write_u32(capture->buffer, 0); /* no limit on a packet's length */
    write_u16(capture->buffer, OPTION_IF_NAME);
    write_u16(capture->buffer, (guint16)length);
    write_padded(capture->buffer, name, length);
    write_u16(capture->buffer, OPTION_END);
    write_u16(capture->buffer, 0);
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
    write_u32(capture->buffer, interface);
    write_u32(capture->buffer, (guint32)(time >> 32));
    write_u32(capture->buffer, (guint32)time);
    write_u32(capture->buffer, (guint32)length); /* captured */
    write_u32(capture->buffer, (guint32)length); /* original */
    write_padded(capture->buffer, frame, length);
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
