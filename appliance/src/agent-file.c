/* SPDX-License-Identifier: MIT */

/* PUT and GET: files in both directions. */

#include "agent.h"

#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#define CREDIT_STEP (SP_INITIAL_CREDIT / 4)

struct put {
    int fd;
    uint32_t owed;
    char *path;
    char *temporary;
};

struct get {
    int fd;
    sd_event_source *source; /* reads on in turn with other channels */
    uint8_t *buffer;
};

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
    if (strlen(path) > PATH_MAX - 16)
        return -ENAMETOOLONG;
    put->path = strdup(path);
    put->temporary = malloc(strlen(path) + 16);
    if (!put->path || !put->temporary)
        return -ENOMEM;
    stpcpy(stpcpy(put->temporary, path), ".new-XXXXXX");
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
    size_t done = 0;

    while (done < length) {
        ssize_t n = write(put->fd, bytes + done, length - done);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0)
            done += (size_t)n;
    }
    put->owed += (uint32_t)length;
    if (put->owed >= CREDIT_STEP) {
        channel_send_credit(channel, put->owed);
        put->owed = 0;
    }
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
    channel_exit(channel, false, 0);
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

static int on_get(sd_event_source *source, void *data)
{
    struct channel *channel = data;
    struct get *get = channel->data;
    ssize_t n;

    if (agent_is_congested(channel->agent))
        return sd_event_source_set_enabled(source, SD_EVENT_OFF);
    n = read(get->fd, get->buffer, SP_FRAME_PAYLOAD_MAX);
    if (n > 0) {
        channel_send(channel, SP_FRAME_DATA, SP_STREAM_STDOUT, get->buffer, (size_t)n);
    } else if (n == 0) {
        channel_send(channel, SP_FRAME_END, SP_STREAM_STDOUT, NULL, 0);
        channel_exit(channel, false, 0);
    } else if (errno != EINTR) {
        channel_fail(channel, -errno, NULL);
    }
    return 0;
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
    get->buffer = malloc(SP_FRAME_PAYLOAD_MAX);
    if (!get->buffer)
        return -ENOMEM;
    get->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (get->fd < 0 || fstat(get->fd, &st) < 0)
        return -errno;
    if (S_ISDIR(st.st_mode))
        return -EISDIR;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    r = sd_event_add_defer(agent_event(channel->agent), &get->source, on_get, channel);
    if (r >= 0)
        r = sd_event_source_set_enabled(get->source, SD_EVENT_ON);
    return r;
}

static void get_resume(struct channel *channel)
{
    struct get *get = channel->data;

    sd_event_source_set_enabled(get->source, SD_EVENT_ON);
}

static void get_free(struct channel *channel)
{
    struct get *get = channel->data;

    if (!get)
        return;
    sd_event_source_disable_unref(get->source);
    if (get->fd >= 0)
        close(get->fd);
    free(get->buffer);
    free(get);
}

const struct channel_ops put_ops = {
    .opened_by = SP_FRAME_PUT,
    .open = put_open,
    .data = put_data,
    .end = put_end,
    .free = put_free,
};

const struct channel_ops get_ops = {
    .opened_by = SP_FRAME_GET,
    .open = get_open,
    .resume = get_resume,
    .free = get_free,
};
