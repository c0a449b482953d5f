/* SPDX-License-Identifier: MIT */
#include "machine/overlay.h"

#include "base/error.h"
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define CREATE_TIMEOUT_MS 60000
#define CHILD_FD 3

struct SpOverlay {
    int rw_fd;
    int ro_fd;
    int base_fd;
};

static const char *temporary_folder(void)
{
    const char *folder = g_getenv("TMPDIR");

    return folder && *folder ? folder : "/var/tmp";
}

/* A file without a name; some file systems can only make one and take the name away. */
static int open_unnamed(GError **error)
{
    const char *folder = temporary_folder();
    g_autofree char *name = g_build_filename(folder, "slotproof-XXXXXX", NULL);
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
        fd = mkostemp(name, O_CLOEXEC);
        if (fd >= 0)
            unlink(name);
    }
    if (fd < 0)
        g_set_error(error, SP_ERROR, SP_ERROR_HOST,
            "no temporary file for a machine's disk in '%s': %s (set TMPDIR to a folder with room)",
            folder, g_strerror(errno));
    return fd;
}

SpOverlay *sp_overlay_new(const char *base, const char *base_format, GError **error)
{
    g_autoptr(SpOverlay) overlay = g_new0(SpOverlay, 1);
    g_autofree char *absolute = g_canonicalize_filename(base, NULL);
    g_autofree char *self = NULL;
    g_autoptr(GError) local = NULL;
    const char *const argv[] = {"qemu-img", "create", "-q", "-f", "qcow2", "-F", base_format, "-b",
        absolute, "/proc/self/fd/3", NULL};
    SpProcessFd fd = {-1, CHILD_FD};

    overlay->ro_fd = -1;
    overlay->base_fd = open(absolute, O_RDONLY | O_CLOEXEC);
    if (overlay->base_fd < 0)
        g_set_error(error, SP_ERROR, SP_ERROR_HOST, "'%s' can't be opened: %s", absolute,
            g_strerror(errno));
    overlay->rw_fd = overlay->base_fd < 0 ? -1 : open_unnamed(error);
    if (overlay->rw_fd < 0)
        return NULL;
    self = g_strdup_printf("/proc/self/fd/%d", overlay->rw_fd);
    overlay->ro_fd = open(self, O_RDONLY | O_CLOEXEC);
    if (overlay->ro_fd < 0) {
        g_set_error(error, SP_ERROR, SP_ERROR_HOST,
            "a machine's disk can't be opened again by '%s': %s", self, g_strerror(errno));
        return NULL;
    }
    fd.from = overlay->rw_fd;
    if (!sp_process_run(argv, &fd, 1, CREATE_TIMEOUT_MS, &local)) {
        if (g_error_matches(local, SP_ERROR, SP_ERROR_USAGE))
            g_prefix_error(&local, "qemu-img is needed (apt-get install qemu-utils): ");
        else
            g_prefix_error(&local, "no overlay on '%s' in '%s': ", base, temporary_folder());
        g_propagate_error(error, g_steal_pointer(&local));
        return NULL;
    }
    return g_steal_pointer(&overlay);
}

void sp_overlay_free(SpOverlay *overlay)
{
    if (!overlay)
        return;
    if (overlay->rw_fd >= 0)
        close(overlay->rw_fd);
    if (overlay->ro_fd >= 0)
        close(overlay->ro_fd);
    if (overlay->base_fd >= 0)
        close(overlay->base_fd);
    g_free(overlay);
}

int sp_overlay_rw_fd(SpOverlay *overlay)
{
    return overlay->rw_fd;
}

int sp_overlay_ro_fd(SpOverlay *overlay)
{
    return overlay->ro_fd;
}

int sp_overlay_base_fd(SpOverlay *overlay)
{
    return overlay->base_fd;
}
