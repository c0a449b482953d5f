/* SPDX-License-Identifier: MIT */
#include "base/file-data.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int sp_file_next_data(int fd, off_t *at, off_t *ret_end)
{
    off_t begin = lseek(fd, *at, SEEK_DATA), end;

    if (begin < 0)
        return errno == ENXIO ? 0 : -1;
    end = lseek(fd, begin, SEEK_HOLE);
    if (end < 0)
        return -1;
    *at = begin;
    *ret_end = end;
    return 1;
}

bool sp_is_zero(const void *bytes, size_t length)
{
    const unsigned char *at = bytes;

    return length == 0 || (at[0] == 0 && memcmp(at, at + 1, length - 1) == 0);
}
