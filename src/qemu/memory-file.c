/* SPDX-License-Identifier: MIT */
#include "qemu/memory-file.h"

#include "base/error.h"
#include "base/file-data.h"
#include "qemu/copy-data.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE_BYTES ((gsize)4096)

static int refuse_file(GError **error, const char *path, const char *what)
{
    g_set_error(error, SP_ERROR, sp_error_code_of_errno(errno), "'%s' can't be %s: %s", path, what,
        g_strerror(errno));
    return -1;
}

static bool can_be_mapped(int fd, int flags)
{
    void *mapping = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, flags, fd, 0);

    if (mapping == MAP_FAILED)
        return false;
    munmap(mapping, PAGE_BYTES);
    return true;
}

int sp_memory_file_create(const char *path, guint64 size, GError **error)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        return refuse_file(error, path, "made");
    if (ftruncate(fd, (off_t)size) == 0 && can_be_mapped(fd, MAP_SHARED) &&
        can_be_mapped(fd, MAP_PRIVATE))
        return fd;
    refuse_file(error, path, "mapped as memory");
    close(fd);
    g_unlink(path);
    return -1;
}

int sp_memory_file_open(const char *path, guint64 size, GError **error)
{
    /* QEMU opens it for writing, even to map it privately */
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct stat st;

    if (fd < 0)
        return refuse_file(error, path, "opened");
    if (fstat(fd, &st) < 0) {
        refuse_file(error, path, "opened");
        close(fd);
        return -1;
    }
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
    g_set_error(error, SP_ERROR, SP_ERROR_HOST,
        "the file of a machine's memory can't be cleared: %s", g_strerror(errno));
    return false;
}

/* Make holes of the zero pages among @bytes, which are the file's from @offset on. Returns false if
 * the file system can't. */
static bool punch_zeros(int fd, const guint8 *bytes, gsize length, off_t offset)
{
    for (gsize at = 0, begin = 0; at < length; at += PAGE_BYTES) {
        bool is_run = sp_is_zero(bytes + at, PAGE_BYTES), is_last = at + PAGE_BYTES >= length;
        gsize end = is_run ? at + PAGE_BYTES : at;

        if (begin < end && (!is_run || is_last) &&
            fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset + (off_t)begin,
                (off_t)(end - begin)) < 0)
            return false;
        if (!is_run)
            begin = at + PAGE_BYTES;
    }
    return true;
}

void sp_memory_file_drop_zeros(int fd)
{
    bool has_holes = true;
    off_t end;

    for (off_t at = 0; has_holes && sp_file_next_data(fd, &at, &end) > 0; at = end) {
        gsize length;
        void *bytes;

        if (at % (off_t)PAGE_BYTES != 0)
            return;
        length = (gsize)(end - at) / PAGE_BYTES * PAGE_BYTES;
        bytes = mmap(NULL, length, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, at);
        if (bytes == MAP_FAILED)
            return;
        has_holes = punch_zeros(fd, bytes, length, at);
        munmap(bytes, length);
    }
}

bool sp_memory_file_copy(int from, int to, GError **error)
{
    if (sp_copy_data(from, to))
        return true;
    g_set_error(error, SP_ERROR, sp_error_code_of_errno(errno),
        "the file of a machine's memory can't be copied: %s", g_strerror(errno));
    return false;
}
