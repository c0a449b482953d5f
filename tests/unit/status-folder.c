/* SPDX-License-Identifier: MIT */
#include "status-folder.h"

#include "lib/atomic-file.h"
#include "lib/crc32.h"

#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

void status_up(StatusFolder *f, gconstpointer data)
{
    f->path = g_dir_make_tmp("central-status-XXXXXX", NULL);
    g_assert_nonnull(f->path);
    f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    g_assert_cmpint(f->fd, >=, 0);
}

void status_drop(const StatusFolder *f, const char *name)
{
    if (unlinkat(f->fd, name, 0) < 0)
        (void)unlinkat(f->fd, name, AT_REMOVEDIR);
}

void status_down(StatusFolder *f, gconstpointer data)
{
    status_drop(f, CENTRAL_STATUS_FILE);
    status_drop(f, CENTRAL_STATUS_COPY);
    close(f->fd);
    g_assert_cmpint(g_rmdir(f->path), ==, 0); /* nothing else was left there */
    g_free(f->path);
}

void status_put_at(int dirfd, const char *name, const void *data, size_t length)
{
    int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(write(fd, data, length), ==, length);
    close(fd);
}

void status_put(const StatusFolder *f, const void *data, size_t length)
{
    status_put_at(f->fd, CENTRAL_STATUS_FILE, data, length);
}

char *status_make_copy(const char *text, size_t *ret_length)
{
    *ret_length = STATUS_COPY_HEADER + strlen(text);
    return g_strdup_printf("CRC32=%08x\n%s", sp_crc32(text, strlen(text)), text);
}

void status_put_copy(const StatusFolder *f, const char *text)
{
    size_t length;
    g_autofree char *copy = status_make_copy(text, &length);

    status_put_at(f->fd, CENTRAL_STATUS_COPY, copy, length);
}

bool status_holds(int dirfd, const char *name, const char *text, size_t length)
{
    char buffer[4096];
    ssize_t n = sp_read_file_at(dirfd, name, buffer, sizeof buffer);

    return n >= 0 && (size_t)n == length && memcmp(buffer, text, length) == 0;
}

void status_assert_files(const StatusFolder *f, const char *text, const char *copy)
{
    g_assert_true(status_holds(f->fd, CENTRAL_STATUS_FILE, text, strlen(text)));
    if (copy) {
        size_t length;
        g_autofree char *expected = status_make_copy(copy, &length);

        g_assert_true(status_holds(f->fd, CENTRAL_STATUS_COPY, expected, length));
    } else {
        g_assert_cmpint(faccessat(f->fd, CENTRAL_STATUS_COPY, F_OK, AT_SYMLINK_NOFOLLOW), <, 0);
    }
}

void status_assert_kept(
    const StatusFolder *f, enum central_status_found found, enum central_status_done done)
{
    enum central_status_found was = 99;
    enum central_status_done did = 99;

    g_assert_cmpint(central_status_keep(f->fd, &was, &did), ==, 0);
    g_assert_cmpint(was, ==, found);
    g_assert_cmpint(did, ==, done);
}
