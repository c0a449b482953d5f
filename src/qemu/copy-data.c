/* SPDX-License-Identifier: MIT */
#include "qemu/copy-data.h"

#include <errno.h>
#include <glib.h>
#include <sys/sendfile.h>
#include <unistd.h>

#define COPY_BYTES ((size_t)1 << 30)

/* The data from *@at on, which moves: as much as is done at once. Zero at @from's end. */
static ssize_t copy_some(int from, int to, off_t *at, size_t length)
{
    off_t target = *at;
    ssize_t n = copy_file_range(from, at, to, &target, length, 0);

    /* that is for one file system, and not for each */
    if (n >= 0 || (errno != EXDEV && errno != EOPNOTSUPP && errno != EINVAL && errno != ENOSYS))
        return n;
    if (lseek(to, *at, SEEK_SET) < 0)
        return -1;
    return sendfile(to, from, at, length);
}

static bool copy_range(int from, int to, off_t at, off_t end)
{
    while (at < end) {
        ssize_t n = copy_some(from, to, &at, MIN((size_t)(end - at), COPY_BYTES));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            errno = n == 0 ? EIO : errno; /* cut while it was read */
            return false;
        }
    }
    return true;
}

bool sp_copy_data(int from, int to)
{
    off_t length = lseek(from, 0, SEEK_END), at = 0, end;

    if (length < 0 || ftruncate(to, length) < 0)
        return false;
    while ((at = lseek(from, at, SEEK_DATA)) >= 0) {
        end = lseek(from, at, SEEK_HOLE);
        if (end < 0 || !copy_range(from, to, at, end))
            return false;
        at = end;
    }
    return errno == ENXIO; /* no data behind there */
}
