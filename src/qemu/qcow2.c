/* SPDX-License-Identifier: MIT */
#include "qemu/qcow2.h"

#include "base/error.h"
#include "lib/byte-order.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MAGIC "QFI\xfb"
#define CHAIN_MAX 32u
#define NAME_MAX_BYTES 1023u
#define EXTENSIONS_MAX 64u
#define BACKING_FORMAT 0xe2792acau

/* Offsets in the header, big-endian, and its sizes. */
enum { VERSION = 4, BACKING_OFFSET = 8, BACKING_SIZE = 16, FEATURES = 72, HEADER_LENGTH = 100 };
/* Of the incompatible features: the data are in another file. */
#define EXTERNAL_DATA 4u
enum { HEADER_V2 = 72, HEADER_V3 = 104, EXTENSION = 8 };

void sp_backing_clear(SpBacking *backing)
{
    g_clear_pointer(&backing->name, g_free);
    g_clear_pointer(&backing->path, g_free);
    g_clear_pointer(&backing->format, g_free);
}

/* @length bytes from @offset on as text; NULL if the file is too short. */
static char *read_name(int fd, guint64 offset, guint64 length)
{
    g_autofree char *text = NULL;

    if (length > NAME_MAX_BYTES || offset > G_MAXINT64)
        return NULL;
    text = g_malloc0(length + 1);
    if (pread(fd, text, length, (off_t)offset) != (gssize)length || strlen(text) != length)
        return NULL;
    return g_steal_pointer(&text);
}

/* NULL if the header does not say it. */
static char *read_backing_format(int fd, const guint8 *header)
{
    guint64 at =
        sp_get_be32(header + VERSION) < 3 ? HEADER_V2 : sp_get_be32(header + HEADER_LENGTH);

    for (guint i = 0; i < EXTENSIONS_MAX; i++) {
        guint8 extension[EXTENSION];
        guint64 type, length;

        if (pread(fd, extension, sizeof extension, (off_t)at) != sizeof extension)
            return NULL;
        type = sp_get_be32(extension);
        length = sp_get_be32(extension + 4);
        if (type == BACKING_FORMAT)
            return read_name(fd, at + EXTENSION, length);
        if (type == 0)
            return NULL;
        at += EXTENSION + (length + 7) / 8 * 8;
    }
    return NULL;
}

static bool begins_as_qcow2(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char magic[4];
    bool is_it = fd >= 0 && pread(fd, magic, sizeof magic, 0) == sizeof magic &&
                 memcmp(magic, MAGIC, sizeof magic) == 0;

    if (fd >= 0)
        close(fd);
    return is_it;
}

/* As in QEMU, a name with a colon before the first slash is a protocol's. */
static char *resolve_name(const char *path, const char *name)
{
    g_autofree char *dir = g_path_get_dirname(path);

    if (g_str_has_prefix(name, "file:/"))
        return g_strdup(name + strlen("file:"));
    if (name[strcspn(name, ":/")] == ':')
        return NULL;
    return g_path_is_absolute(name) ? g_strdup(name) : g_build_filename(dir, name, NULL);
}

static bool read_qcow2_header(const char *path, int fd, SpBacking *backing, GError **error)
{
    guint8 header[HEADER_V3] = {0};
    guint64 offset;

    if (pread(fd, header, sizeof header, 0) < HEADER_V2 || memcmp(header, MAGIC, 4) != 0) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "'%s' is not a qcow2 image", path);
        return false;
    }
    if (sp_get_be32(header + VERSION) >= 3 && (sp_get_be64(header + FEATURES) & EXTERNAL_DATA)) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "'%s' keeps its data in another file: make one file of them with 'qemu-img convert -O "
            "qcow2'",
            path);
        return false;
    }
    offset = sp_get_be64(header + BACKING_OFFSET);
    if (offset == 0)
        return true;
    backing->name = read_name(fd, offset, sp_get_be32(header + BACKING_SIZE));
    if (!backing->name || !*backing->name) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "'%s' is broken: it does not contain the name of its backing file", path);
        return false;
    }
    backing->path = resolve_name(path, backing->name);
    backing->format = read_backing_format(fd, header);
    if (!backing->format && backing->path)
        backing->format = g_strdup(begins_as_qcow2(backing->path) ? "qcow2" : "raw");
    return true;
}

bool sp_qcow2_backing(const char *path, SpBacking *ret_backing, GError **error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    g_auto(SpBacking) backing = {0};
    bool is_good;

    if (fd < 0) {
        g_set_error(
            error, SP_ERROR, SP_ERROR_USAGE, "'%s' can't be opened: %s", path, g_strerror(errno));
        return false;
    }
    is_good = read_qcow2_header(path, fd, &backing, error);
    close(fd);
    if (is_good) {
        *ret_backing = backing;
        backing = (SpBacking){0};
    }
    return is_good;
}

GPtrArray *sp_qcow2_chain(const char *path, GError **error)
{
    g_autoptr(GPtrArray) chain = g_ptr_array_new_with_free_func(g_free);
    const char *at = path;

    while (chain->len < CHAIN_MAX) {
        g_auto(SpBacking) backing = {0};

        if (!sp_qcow2_backing(at, &backing, error))
            return NULL;
        if (!backing.path)
            return g_steal_pointer(&chain);
        if (access(backing.path, R_OK) < 0) {
            g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
                "'%s' lies on '%s' ('%s'), which can't be read: %s", at, backing.name, backing.path,
                g_strerror(errno));
            return NULL;
        }
        at = backing.path;
        g_ptr_array_add(chain, g_steal_pointer(&backing.path));
        if (!g_str_equal(backing.format, "qcow2"))
            return g_steal_pointer(&chain);
    }
    g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "'%s' lies on itself, or on more than %u files",
        path, CHAIN_MAX);
    return NULL;
}
