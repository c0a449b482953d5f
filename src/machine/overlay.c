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
    int layer_fd; /* -1: none */
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

static int open_base(const char *path, GError **error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        g_set_error(
            error, SP_ERROR, SP_ERROR_HOST, "'%s' can't be opened: %s", path, g_strerror(errno));
    return fd;
}

static bool open_all(SpOverlay *overlay, const char *base, const char *layer, GError **error)
{
    g_autofree char *self = NULL;

    overlay->base_fd = open_base(base, error);
    if (overlay->base_fd < 0)
        return false;
    if (layer && (overlay->layer_fd = open_base(layer, error)) < 0)
        return false;
    overlay->rw_fd = open_unnamed(error);
    if (overlay->rw_fd < 0)
        return false;
    self = g_strdup_printf("/proc/self/fd/%d", overlay->rw_fd);
    overlay->ro_fd = open(self, O_RDONLY | O_CLOEXEC);
    if (overlay->ro_fd < 0)
        g_set_error(error, SP_ERROR, SP_ERROR_HOST,
            "a machine's disk can't be opened again by '%s': %s", self, g_strerror(errno));
    return overlay->ro_fd >= 0;
}

SpOverlay *sp_overlay_new(
    const char *base, const char *base_format, const char *layer, GError **error)
{
    g_autoptr(SpOverlay) overlay = g_new0(SpOverlay, 1);
    g_autofree char *absolute = g_canonicalize_filename(base, NULL);
    g_autoptr(GError) local = NULL;
    const char *const argv[] = {"qemu-img", "create", "-q", "-f", "qcow2", "-F",
        layer ? "qcow2" : base_format, "-b", layer ? layer : absolute, "/proc/self/fd/3", NULL};
    SpProcessFd fd = {-1, CHILD_FD};

    overlay->rw_fd = overlay->ro_fd = overlay->base_fd = overlay->layer_fd = -1;
    if (!open_all(overlay, absolute, layer, error))
        return NULL;
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
    if (overlay->layer_fd >= 0)
        close(overlay->layer_fd);
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

int sp_overlay_layer_fd(SpOverlay *overlay)
{
    return overlay->layer_fd;
}
