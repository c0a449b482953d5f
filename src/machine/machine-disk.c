/* SPDX-License-Identifier: MIT */

/* What lies on a running machine's disk, past the guest: QEMU serves its disk node by NBD
 * (QEMU, QMP reference, "nbd-server-start" and "block-export-add") on a socket that nobody else
 * can have connected to, and libnbd reads it. */

#include "machine/machine-disk.h"
#include "base/error.h"
#include "lib/write-all.h"
#include "machine/machine-private.h"
#include "qemu/command.h"

#include <errno.h>
#include <libnbd.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define NAME "slotproof-disk"
/* QEMU serves no more at once. */
#define READ_MAX (16u * 1024 * 1024)
/* What a copy has no hole in. */
#define BLOCK (64u * 1024)

static bool disk_error(GError **error, const char *what)
{
    int number = errno;

    g_set_error(error, SP_ERROR, SP_ERROR_HOST, "%s: %s", what, g_strerror(number));
    return false;
}

/* A socket that listens, under a name that the kernel chose, with one connection to it waiting. */
static bool connect_in_advance(int *ret_listening, int *ret_connected, GError **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t length = sizeof address;
    int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int connected = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (listening < 0 || connected < 0 ||
        bind(listening, (struct sockaddr *)&address, sizeof(sa_family_t)) < 0 ||
        listen(listening, 1) < 0 ||
        getsockname(listening, (struct sockaddr *)&address, &length) < 0 ||
        connect(connected, (struct sockaddr *)&address, length) < 0) {
        disk_error(error, "a socket for the disk");
        if (listening >= 0)
            (void)close(listening);
        if (connected >= 0)
            (void)close(connected);
        return false;
    }
    *ret_listening = listening;
    *ret_connected = connected;
    return true;
}

/* With our connection as the only one, which exists already. */
static bool start_server(SpMachine *machine, GError **error)
{
    if (!sp_machine_command(machine, error, "nbd-server-start", "{s:{s:s, s:{s:s}}, s:i}", "addr",
            "type", "fd", "data", "str", NAME, "max-connections", 1))
        return false;
    if (sp_machine_command(machine, error, "block-export-add", "{s:s, s:s, s:s, s:s, s:b}", "type",
            "nbd", "id", NAME, "name", NAME, "node-name", SP_QEMU_DISK_NODE, "writable", 0))
        return true;
    sp_machine_try_command(machine, "nbd-server-stop", NULL);
    return false;
}

static bool serve_disk(SpMachine *machine, int *ret_fd, GError **error)
{
    int listening, connected;
    bool is_good;

    if (!connect_in_advance(&listening, &connected, error))
        return false;
    is_good = sp_qmp_give_fd(machine->qmp, listening, NAME, SP_COMMAND_TIMEOUT_MS,
                  &machine->config.interrupt, error) &&
              start_server(machine, error);
    (void)close(listening);
    if (is_good)
        *ret_fd = connected;
    else
        (void)close(connected);
    return is_good;
}

static bool read_all(
    struct nbd_handle *nbd, guint64 offset, guint8 *data, gsize size, GError **error)
{
    for (gsize done = 0; done < size;) {
        gsize n = MIN(size - done, READ_MAX);

        if (nbd_pread(nbd, data + done, n, offset + done, 0) < 0) {
            g_set_error(error, SP_ERROR, SP_ERROR_MACHINE, "its disk: %s", nbd_get_error());
            return false;
        }
        done += n;
    }
    return true;
}

/* Something to do with the disk while it is served. */
typedef bool (*DiskFunc)(struct nbd_handle *nbd, guint64 length, void *data, GError **error);

/* Takes @fd. */
static bool use_disk(int fd, DiskFunc func, void *data, GError **error)
{
    struct nbd_handle *nbd = nbd_create();
    bool is_good = false;
    gint64 length = -1;

    if (!nbd)
        (void)close(fd);
    else if (nbd_set_export_name(nbd, NAME) == 0 && nbd_connect_socket(nbd, fd) == 0)
        length = nbd_get_size(nbd);
    if (length < 0)
        g_set_error(error, SP_ERROR, SP_ERROR_MACHINE, "its disk: %s", nbd_get_error());
    else
        is_good = func(nbd, (guint64)length, data, error);
    if (length >= 0)
        (void)nbd_shutdown(nbd, 0);
    nbd_close(nbd);
    return is_good;
}

static bool with_disk(SpMachine *machine, DiskFunc func, void *data, GError **error)
{
    bool is_good = false;
    int fd;

    if (!sp_machine_is_up(machine)) {
        g_set_error(error, SP_ERROR, SP_ERROR_MACHINE, "is not running");
    } else if (serve_disk(machine, &fd, error)) {
        is_good = use_disk(fd, func, data, error);
        /* with all its exports */
        is_good =
            sp_machine_command(machine, is_good ? error : NULL, "nbd-server-stop", NULL) && is_good;
    }
    return is_good;
}

typedef struct {
    guint64 offset;
    gsize size;
    guint8 *data;
} Range;

static bool read_range(struct nbd_handle *nbd, guint64 length, void *data, GError **error)
{
    Range *range = data;

    if (range->offset > length || range->size > length - range->offset) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "%" G_GSIZE_FORMAT " bytes from %" G_GUINT64_FORMAT " on are not on its disk of "
            "%" G_GUINT64_FORMAT,
            range->size, range->offset, length);
        return false;
    }
    range->data = g_try_malloc(MAX(range->size, 1));
    if (!range->data) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "%" G_GSIZE_FORMAT " bytes are too many to be read at once", range->size);
        return false;
    }
    return read_all(nbd, range->offset, range->data, range->size, error);
}

GBytes *sp_machine_read_disk(SpMachine *machine, guint64 offset, gsize size, GError **error)
{
    Range range = {.offset = offset, .size = size};
    GError *local = NULL;

    if (with_disk(machine, read_range, &range, &local))
        return g_bytes_new_take(range.data, size);
    g_free(range.data);
    (void)!sp_machine_report(machine, local, error);
    return NULL;
}

/* Only what is not zero. */
static bool write_sparse(int fd, guint64 offset, const guint8 *data, gsize size, GError **error)
{
    static const guint8 zeros[BLOCK];

    for (gsize at = 0; at < size; at += BLOCK) {
        gsize n = MIN(BLOCK, size - at);
        int r;

        if (memcmp(data + at, zeros, n) == 0)
            continue;
        r = sp_pwrite_all(fd, data + at, n, (off_t)(offset + at));
        if (r < 0) {
            errno = -r;
            return disk_error(error, "a copy of its disk");
        }
    }
    return true;
}

static bool copy_all(struct nbd_handle *nbd, guint64 length, void *data, GError **error)
{
    g_autofree guint8 *buffer = g_malloc(READ_MAX);
    int fd = *(int *)data;

    if (ftruncate(fd, (off_t)length) < 0)
        return disk_error(error, "a copy of its disk");
    for (guint64 at = 0; at < length; at += READ_MAX) {
        gsize n = (gsize)MIN(READ_MAX, length - at);

        if (!read_all(nbd, at, buffer, n, error) || !write_sparse(fd, at, buffer, n, error))
            return false;
    }
    return true;
}

bool sp_machine_save_disk(SpMachine *machine, int fd, GError **error)
{
    return with_disk(machine, copy_all, &fd, error);
}
