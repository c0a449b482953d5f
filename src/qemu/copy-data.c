/* SPDX-License-Identifier: MIT */
#include "qemu/copy-data.h"

#include "base/file-data.h"

#include <errno.h>
#include <glib.h>
#include <sys/sendfile.h>
#include <unistd.h>

#define COPY_BYTES ((size_t)1 << 30)

/* Copy up to @length bytes from *@at on, and advance it. Returns 0 at the end of @from. */
static ssize_t copy_some(int from, int to, off_t *at, size_t length)
{
    off_t target = *at;
    ssize_t n = copy_file_range(from, at, to, &target, length, 0);

    /* it works within one file system, and not on every kind */
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
            errno = n == 0 ? EIO : errno; /* truncated while it was being read */
            return false;
        }
    }
    return true;
}

bool sp_copy_data(int from, int to)
{
    off_t length = lseek(from, 0, SEEK_END), end;
    int found;

    if (length < 0 || ftruncate(to, length) < 0)
        return false;
    for (off_t at = 0; (found = sp_file_next_data(from, &at, &end)) > 0; at = end) {
        if (!copy_range(from, to, at, end))
            return false;
    }
    return found == 0;
}
