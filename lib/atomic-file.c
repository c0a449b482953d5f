/* SPDX-License-Identifier: MIT */
#include "lib/atomic-file.h"

#include "lib/cleanup.h"
#include "lib/write-all.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int sync_fd(int fd)
{
    while (fsync(fd) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    return 0;
}

static int open_retry(int dirfd, const char *name, int flags, mode_t mode)
{
    int fd;

    do {
        fd = openat(dirfd, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, mode);
    } while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

/* The data must be on the disk before the name refers to it: some file systems write the rename
 * first. */
static int write_temporary(
    int dirfd, const char *name, const void *data, size_t length, mode_t mode)
{
    sp_auto_close int fd = -1;
    int r;

    /* left by a power cut, or a link that somebody planted */
    if (unlinkat(dirfd, name, 0) < 0 && errno != ENOENT)
        return -errno;
    fd = open_retry(dirfd, name, O_WRONLY | O_CREAT | O_EXCL, mode);
    if (fd < 0)
        return fd;
    r = sp_write_all(fd, data, length);
    if (r < 0)
        return r;
    return sync_fd(fd);
}

int sp_atomic_write_at(int dirfd, const char *name, const void *data, size_t length, mode_t mode)
{
    char temporary[NAME_MAX + 1];
    int n, r;

    if (!*name || strchr(name, '/'))
        return -EINVAL;
    n = snprintf(temporary, sizeof temporary, ".%s.new", name);
    if (n < 0 || (size_t)n >= sizeof temporary)
        return -ENAMETOOLONG;

    r = write_temporary(dirfd, temporary, data, length, mode);
    if (r == 0 && renameat(dirfd, temporary, dirfd, name) < 0)
        r = -errno;
    if (r < 0) {
        (void)unlinkat(dirfd, temporary, 0);
        return r;
    }
    return sync_fd(dirfd);
}

ssize_t sp_read_file_at(int dirfd, const char *name, void *buffer, size_t size)
{
    sp_auto_close int fd = open_retry(dirfd, name, O_RDONLY | O_NONBLOCK, 0);
    uint8_t *out = buffer;
    size_t length = 0;
    char extra;

    if (fd < 0)
        return fd;
    for (;;) {
        /* reading one more byte distinguishes a file that just fits from a longer one */
        bool is_full = length == size;
        ssize_t n = is_full ? read(fd, &extra, 1) : read(fd, out + length, size - length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return (ssize_t)length;
        if (is_full)
            return -EFBIG;
        length += (size_t)n;
    }
}
