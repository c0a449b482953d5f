/* SPDX-License-Identifier: MIT */
#include "lib/write-all.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <unistd.h>

/* How long the part is that was written; 0 to try again. */
static ssize_t check_part(int fd, ssize_t n)
{
    struct pollfd writable = {.fd = fd, .events = POLLOUT};

    if (n > 0)
        return n;
    if (n == 0)
        return -EIO;
    if (errno == EAGAIN) {
        (void)poll(&writable, 1, -1);
        return 0;
    }
    return errno == EINTR ? 0 : -errno;
}

int sp_write_all(int fd, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;

    while (length > 0) {
        ssize_t n = check_part(fd, write(fd, at, length));

        if (n < 0)
            return (int)n;
        at += n;
        length -= (size_t)n;
    }
    return 0;
}

int sp_pwrite_all(int fd, const void *bytes, size_t length, off_t offset)
{
    const uint8_t *at = bytes;

    while (length > 0) {
        ssize_t n = check_part(fd, pwrite(fd, at, length, offset));

        if (n < 0)
            return (int)n;
        at += n;
        length -= (size_t)n;
        offset += n;
    }
    return 0;
}
