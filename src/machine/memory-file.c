/* SPDX-License-Identifier: MIT */
#include "machine/memory-file.h"

#include "base/error.h"
#include "machine/copy-data.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROBE_BYTES 4096u

static int host_error(GError **error, const char *path, const char *what)
{
    g_set_error(
        error, SP_ERROR, SP_ERROR_HOST, "'%s' can't be %s: %s", path, what, g_strerror(errno));
    return -1;
}

static bool can_be_mapped(int fd, int flags)
{
    void *mapping = mmap(NULL, PROBE_BYTES, PROT_READ | PROT_WRITE, flags, fd, 0);

    if (mapping == MAP_FAILED)
        return false;
    munmap(mapping, PROBE_BYTES);
    return true;
}

int sp_memory_file_create(const char *path, guint64 size, GError **error)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        return host_error(error, path, "made");
    if (ftruncate(fd, (off_t)size) == 0 && can_be_mapped(fd, MAP_SHARED) &&
        can_be_mapped(fd, MAP_PRIVATE))
        return fd;
    host_error(error, path, "mapped as memory");
    close(fd);
    g_unlink(path);
    return -1;
}

int sp_memory_file_open(const char *path, guint64 size, GError **error)
{
    /* QEMU opens it for writing, whatever it maps it for */
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return host_error(error, path, "opened");
    if ((guint64)st.st_size == size)
        return fd;
    g_set_error(error, SP_ERROR, SP_ERROR_HOST,
        "'%s' has %" G_GINT64_FORMAT " bytes, and the machine's memory %" G_GUINT64_FORMAT, path,
        (gint64)st.st_size, size);
    close(fd);
    return -1;
}

bool sp_memory_file_clear(int fd, GError **error)
{
    struct stat st;

    if (fstat(fd, &st) == 0 && ftruncate(fd, 0) == 0 && ftruncate(fd, st.st_size) == 0)
        return true;
    g_set_error(error, SP_ERROR, SP_ERROR_HOST, "the file of a machine's memory can't be cleared: %s",
        g_strerror(errno));
    return false;
}

bool sp_memory_file_copy(int from, int to, GError **error)
{
    if (sp_copy_data(from, to))
        return true;
    g_set_error(error, SP_ERROR, SP_ERROR_HOST, "the file of a machine's memory can't be copied: %s",
        g_strerror(errno));
    return false;
}
