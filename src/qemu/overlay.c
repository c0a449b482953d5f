/* SPDX-License-Identifier: MIT */
#include "qemu/overlay.h"

#include "base/error.h"
#include "base/process.h"
#include "base/unnamed-file.h"
#include "qemu/qcow2-create.h"
#include "qemu/qcow2.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define QEMU_IMG_TIMEOUT_MS 60000
#define CHILD_FD 3

struct SpOverlay {
    int rw_fd;
    int ro_fd;
    int base_fd;
    int layer_fd; /* -1: none */
    bool was_kept;
};

static void append_file(GString *text, const char *path, const struct stat *st)
{
    g_string_append_printf(text,
        "%s\n%" G_GINT64_FORMAT " bytes, inode %" G_GUINT64_FORMAT ", changed %" G_GINT64_FORMAT
        ".%09ld\n",
        path, (gint64)st->st_size, (guint64)st->st_ino, (gint64)st->st_mtim.tv_sec,
        st->st_mtim.tv_nsec);
}

/* What identifies a base and all files that it is based on, as text; NULL with @error. */
static char *describe_base(const char *base, const char *base_format, int fd, GError **error)
{
    g_autoptr(GPtrArray) chain = NULL;
    struct stat st;
    GString *text;

    if (fstat(fd, &st) < 0) {
        g_set_error(
            error, SP_ERROR, SP_ERROR_HOST, "'%s' can't be looked at: %s", base, g_strerror(errno));
        return NULL;
    }
    if (g_str_equal(base_format, "qcow2") && !(chain = sp_qcow2_chain(base, error)))
        return NULL;
    text = g_string_new(NULL);
    append_file(text, base, &st);
    for (guint i = 0; chain && i < chain->len; i++) {
        if (stat(chain->pdata[i], &st) == 0)
            append_file(text, chain->pdata[i], &st);
    }
    return g_string_free(text, FALSE);
}

static bool refuse_kept(const char *kept, GError **error)
{
    g_set_error(error, SP_ERROR, SP_ERROR_HOST, "a disk can't be kept in '%s': %s", kept,
        g_strerror(errno));
    return false;
}

/* The file @kept, locked for as long as it is open; negative with @error. */
static int open_kept(const char *kept, GError **error)
{
    g_autofree char *dir = g_path_get_dirname(kept);
    int fd = -1;

    if (g_mkdir_with_parents(dir, 0700) == 0)
        fd = open(kept, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        refuse_kept(kept, error);
    } else if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "the disk kept in '%s' is in use: end the other slotproof, or run without --keep",
            kept);
        close(fd);
        return -1;
    }
    return fd;
}

static char *make_note_path(const char *kept)
{
    return g_strconcat(kept, ".base", NULL);
}

/* Whether the note beside @kept says that it is based on this very file. */
static bool has_base_note(const char *kept, const char *description)
{
    g_autofree char *note = make_note_path(kept);
    g_autofree char *text = NULL;

    return g_file_get_contents(note, &text, NULL, NULL) && g_str_equal(text, description);
}

static bool write_base_note(const char *kept, const char *description, GError **error)
{
    g_autofree char *note = make_note_path(kept);

    return g_file_set_contents_full(note, description, -1,
        G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE, 0600, error);
}

static bool remove_base_note(const char *kept)
{
    g_autofree char *note = make_note_path(kept);

    return g_unlink(note) == 0 || errno == ENOENT;
}

static bool create_layer(
    SpOverlay *overlay, const char *below, const char *format, int below_fd, GError **error)
{
    g_autoptr(GError) local = NULL;

    if (sp_qcow2_create(overlay->rw_fd, below, format, below_fd, &local))
        return true;
    g_prefix_error(&local, "no overlay on '%s' in '%s': ", below, sp_temporary_directory());
    g_propagate_error(error, g_steal_pointer(&local));
    return false;
}

/* Fill the file: with what was kept, or anew. */
static bool fill_overlay(
    SpOverlay *overlay, const char *base, const char *base_format, const char *kept, GError **error)
{
    g_autofree char *description = NULL;

    if (!kept)
        return create_layer(overlay, base, base_format, overlay->base_fd, error);
    description = describe_base(base, base_format, overlay->base_fd, error);
    if (!description)
        return false;
    overlay->was_kept = has_base_note(kept, description);
    if (overlay->was_kept)
        return true;
    /* a note exists only beside a complete overlay */
    if (!remove_base_note(kept) || ftruncate(overlay->rw_fd, 0) < 0)
        return refuse_kept(kept, error);
    return create_layer(overlay, base, base_format, overlay->base_fd, error) &&
           write_base_note(kept, description, error);
}

static int open_read_only(const char *path, GError **error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        g_set_error(
            error, SP_ERROR, SP_ERROR_HOST, "'%s' can't be opened: %s", path, g_strerror(errno));
    return fd;
}

/* All descriptors; @layer and @kept may be NULL. */
static bool open_all(
    SpOverlay *overlay, const char *base, const char *layer, const char *kept, GError **error)
{
    g_autofree char *self = NULL;

    overlay->ro_fd = overlay->rw_fd = overlay->layer_fd = -1;
    overlay->base_fd = open_read_only(base, error);
    if (overlay->base_fd < 0 || (layer && (overlay->layer_fd = open_read_only(layer, error)) < 0))
        return false;
    overlay->rw_fd = kept ? open_kept(kept, error) : sp_unnamed_file_open(error);
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
    const char *base, const char *base_format, const char *kept, GError **error)
{
    g_autoptr(SpOverlay) overlay = g_new0(SpOverlay, 1);
    g_autofree char *absolute = g_canonicalize_filename(base, NULL);

    return open_all(overlay, absolute, NULL, kept, error) &&
                   fill_overlay(overlay, absolute, base_format, kept, error)
               ? g_steal_pointer(&overlay)
               : NULL;
}

SpOverlay *sp_overlay_new_on_layer(const char *base, const char *layer, GError **error)
{
    g_autoptr(SpOverlay) overlay = g_new0(SpOverlay, 1);
    g_autofree char *absolute = g_canonicalize_filename(base, NULL);

    if (open_all(overlay, absolute, layer, NULL, error) &&
        create_layer(overlay, layer, "qcow2", overlay->layer_fd, error))
        return g_steal_pointer(&overlay);
    return NULL;
}

bool sp_overlay_revert(SpOverlay *overlay, const char *name, GError **error)
{
    /* Without its base, which does not matter here, and whose name may be another file's by now.
     * The lock of the QEMU that had it lasts as long as the descriptor that it was given. */
    const char *const argv[] = {"qemu-img", "snapshot", "-q", "-a", name,
        "json:{\"driver\": \"qcow2\", \"backing\": null, \"file\": {\"driver\": \"file\", "
        "\"filename\": \"/proc/self/fd/3\", \"locking\": \"off\"}}",
        NULL};
    const SpProcessFd fd = {overlay->rw_fd, CHILD_FD};

    return sp_process_run(argv, &fd, 1, QEMU_IMG_TIMEOUT_MS, error);
}

bool sp_overlay_was_kept(SpOverlay *overlay)
{
    return overlay->was_kept;
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
