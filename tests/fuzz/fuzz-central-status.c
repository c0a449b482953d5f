/* SPDX-License-Identifier: MIT */

/* The input is the status file and, after the first byte 0xff, its copy. */

#include "appliance/update/central-status.h"

#include "lib/atomic-file.h"
#include "lib/cleanup.h"

#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>

#define SEPARATOR 0xff

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_right)
{
    if (!is_right)
        abort();
}

static void put(int dirfd, const char *name, const uint8_t *data, size_t length)
{
    sp_auto_close int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    check(fd >= 0 && write(fd, data, length) == (ssize_t)length);
}

static ssize_t get(int dirfd, const char *name, char text[static 2 * CENTRAL_STATUS_MAX])
{
    return sp_read_file_at(dirfd, name, text, 2 * CENTRAL_STATUS_MAX);
}

/* Whatever the files contain, afterwards there is an intact one, and then a copy of it. */
static void check_keep(int dirfd)
{
    static char text[2 * CENTRAL_STATUS_MAX], copy[2 * CENTRAL_STATUS_MAX];
    enum central_status_found found;
    enum central_status_done done;
    ssize_t length, copy_length;

    check(central_status_keep(dirfd, &found, &done) == 0);
    check((found == CENTRAL_STATUS_WHOLE) == (done == CENTRAL_STATUS_LEFT));
    length = get(dirfd, CENTRAL_STATUS_FILE, text);
    check(length > 0 && central_status_is_whole(text, (size_t)length));
    check(central_status_keep(dirfd, &found, &done) == 0);
    check(found == CENTRAL_STATUS_WHOLE && done == CENTRAL_STATUS_LEFT);
    copy_length = get(dirfd, CENTRAL_STATUS_COPY, copy);
    check(copy_length == length + 15 && memcmp(copy + 15, text, (size_t)length) == 0);
    check(get(dirfd, CENTRAL_STATUS_FILE, copy) == length);
    check(memcmp(copy, text, (size_t)length) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *separator = size > 0 ? memchr(data, SEPARATOR, size) : NULL;
    size_t length = separator ? (size_t)(separator - data) : size;
    const char *parent = getenv("TMPDIR");
    sp_auto_close int dirfd = -1;
    char folder[PATH_MAX];

    (void)central_status_is_whole((const char *)data, size);
    snprintf(folder, sizeof folder, "%s/fuzz-central-status-XXXXXX", parent ? parent : P_tmpdir);
    check(mkdtemp(folder));
    dirfd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    check(dirfd >= 0);
    put(dirfd, CENTRAL_STATUS_FILE, data, length);
    if (separator)
        put(dirfd, CENTRAL_STATUS_COPY, separator + 1, size - length - 1);
    check_keep(dirfd);
    check(unlinkat(dirfd, CENTRAL_STATUS_FILE, 0) == 0);
    check(unlinkat(dirfd, CENTRAL_STATUS_COPY, 0) == 0);
    check(rmdir(folder) == 0);
    return 0;
}
