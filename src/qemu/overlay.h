/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/**
 * What a machine writes: a qcow2 layer on a base that is only read.
 *
 * It is held only by descriptors, so that it is gone with the last process that has them. Its data
 * is in $TMPDIR, otherwise in /var/tmp. QEMU gets both descriptors as one fdset, since it needs one
 * for each way of opening.
 */
typedef struct SpOverlay SpOverlay;

/**
 * An empty overlay on the file @base, whose format is @base_format ("raw", "qcow2").
 *
 * @kept (NULL: none) is a file that keeps the overlay instead: its contents are used again, unless
 * @base is another file or has changed since. SP_ERROR_USAGE if another process has it open.
 */
SpOverlay *sp_overlay_new(const char *base, const char *base_format, const char *kept,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/**
 * An empty overlay on the file @layer, which is an earlier overlay on the same @base, and only
 * read.
 */
SpOverlay *sp_overlay_new_on_layer(
    const char *base, const char *layer, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Accepts NULL. */
void sp_overlay_free(SpOverlay *overlay);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpOverlay, sp_overlay_free)

/**
 * Revert to internal snapshot @name, taken by QEMU. No QEMU may have the file open. SP_ERROR_HOST
 * if there is no such snapshot.
 */
bool sp_overlay_revert(
    SpOverlay *overlay, const char *name, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/** Whether it continues from what was kept. */
bool sp_overlay_was_kept(SpOverlay *overlay);
/** For reading and writing; owned by the overlay. */
int sp_overlay_rw_fd(SpOverlay *overlay);
/** For reading only; owned by the overlay. */
int sp_overlay_ro_fd(SpOverlay *overlay);
/** The base, for reading only; owned by the overlay. It stays the same even if another file takes
 * its name meanwhile, as when an image is rebuilt. */
int sp_overlay_base_fd(SpOverlay *overlay);
/** The layer between overlay and base, for reading only; -1 if there is none. Owned by the overlay.
 */
int sp_overlay_layer_fd(SpOverlay *overlay);
