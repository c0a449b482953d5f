/* SPDX-License-Identifier: MIT */

/* PUT and GET: files in both directions. */

#include "agent/channel.h"
#include "lib/write-all.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEMPORARY_NAME ".put-XXXXXX"

struct put {
    int fd;
    char *path;
    char *temporary; /* empty if there is none */
};

struct get {
    int fd;
    char *path;
    struct loop_source *source; /* a timer: reads on in turn with other channels */
};

/* Returns a template for a name in the directory of @path. It does not contain the last part of
 * @path, which may be of the greatest length already. */
static char *make_temporary_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t directory_length = slash ? (size_t)(slash - path) + 1 : 0;
    char *temporary = malloc(directory_length + sizeof TEMPORARY_NAME);

    if (temporary)
        memcpy((char *)mempcpy(temporary, path, directory_length), TEMPORARY_NAME,
            sizeof TEMPORARY_NAME);
    return temporary;
}

static int put_open(struct channel *channel, struct sp_payload *payload)
{
    struct put *put = calloc(1, sizeof *put);
    const char *path;
    uint32_t mode;

    if (!put)
        return -ENOMEM;
    put->fd = -1;
    channel->data = put;
    if (sp_payload_take_u32(payload, &mode) < 0 || sp_payload_take_string(payload, &path) < 0)
        return -EPROTO;
    if (!*path)
        return -ENOENT;
    if (strlen(path) >= PATH_MAX)
        return -ENAMETOOLONG;
    put->path = strdup(path);
    put->temporary = make_temporary_name(path);
    if (!put->path || !put->temporary)
        return -ENOMEM;
    channel->about = put->path;
    put->fd = mkostemp(put->temporary, O_CLOEXEC);
    if (put->fd < 0) {
        int r = -errno;
        put->temporary[0] = 0;
        return r;
    }
    return fchmod(put->fd, mode & 07777) < 0 ? -errno : 0;
}

static int put_data(struct channel *channel, const uint8_t *bytes, size_t length)
{
    struct put *put = channel->data;
    int r = sp_write_all(put->fd, bytes, length);

    if (r < 0)
        return r;
    channel_took(channel, length);
    return 0;
}

static int put_end(struct channel *channel)
{
    struct put *put = channel->data;
    int fd = put->fd;

    put->fd = -1;
    if (close(fd) < 0 || rename(put->temporary, put->path) < 0)
        return -errno;
    put->temporary[0] = 0;
    channel_exit(channel, false, 0, NULL);
    return 0;
}

static void put_free(struct channel *channel)
{
    struct put *put = channel->data;

    if (!put)
        return;
    if (put->fd >= 0)
        close(put->fd);
    if (put->temporary && put->temporary[0])
        unlink(put->temporary);
    free(put->temporary);
    free(put->path);
    free(put);
}

static void on_get(void *data, uint32_t events)
{
    struct channel *channel = data;
    struct get *get = channel->data;
    ssize_t n;

    if (!channel_may_send(channel))
        return; /* until resume is called */
    n = channel_read_from(channel, get->fd, SP_STREAM_STDOUT, SP_AGENT_FRAME_PAYLOAD_MAX);
    if (n == 0) {
        queue_frame(
            channel->all->queue, SP_AGENT_FRAME_END, SP_STREAM_STDOUT, channel->id, NULL, 0);
        channel_exit(channel, false, 0, NULL);
    } else if (n < 0) {
        channel_fail(channel, (int)n);
    } else {
        loop_source_start(get->source, 0);
    }
}

static int check_file_type(const struct stat *st)
{
    if (S_ISDIR(st->st_mode))
        return -EISDIR;
    /* as open() does for a file that can't be opened usefully */
    return S_ISREG(st->st_mode) ? 0 : -ENXIO;
}

static int get_open(struct channel *channel, struct sp_payload *payload)
{
    struct get *get = calloc(1, sizeof *get);
    const char *path;
    struct stat st;
    int r;

    if (!get)
        return -ENOMEM;
    get->fd = -1;
    channel->data = get;
    if (sp_payload_take_string(payload, &path) < 0)
        return -EPROTO;
    get->path = strdup(path);
    if (!get->path)
        return -ENOMEM;
    channel->about = get->path;
    /* Checked before it is opened, since opening a device may have effects. */
    if (stat(path, &st) < 0)
        return -errno;
    r = check_file_type(&st);
    if (r < 0)
        return r;
    get->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (get->fd < 0 || fstat(get->fd, &st) < 0)
        return -errno;
    r = check_file_type(&st);
    return r < 0 ? r : loop_add_timer(channel->all->loop, 0, on_get, channel, &get->source);
}

static void get_resume(struct channel *channel)
{
    struct get *get = channel->data;

    loop_source_start(get->source, 0);
}

static void get_free(struct channel *channel)
{
    struct get *get = channel->data;

    if (!get)
        return;
    loop_source_free(get->source);
    if (get->fd >= 0)
        close(get->fd);
    free(get->path);
    free(get);
}

const struct channel_ops put_ops = {
    .opened_by = SP_AGENT_FRAME_PUT,
    .open = put_open,
    .data = put_data,
    .end = put_end,
    .free = put_free,
};

const struct channel_ops get_ops = {
    .opened_by = SP_AGENT_FRAME_GET,
    .open = get_open,
    .resume = get_resume,
    .free = get_free,
};
