/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/**
 * What a machine writes: a qcow2 layer on a base that is only read.
 *
 * It is held by descriptors alone, so that it is gone with the last process that has them. Data
 * lies in $TMPDIR, else in /var/tmp. A QEMU is given both descriptors as one fdset, since it wants
 * one for each way of opening.
 */
typedef struct SpOverlay SpOverlay;

/**
 * An empty overlay on the file @base, whose format is @base_format ("raw", "qcow2").
 *
 * @kept (NULL: none) is a file in which the overlay lies instead and stays: what it holds already
 * is gone on with, unless @base is another file or was changed since. SP_ERROR_USAGE where another
 * process has it.
 */
SpOverlay *sp_overlay_new(
    const char *base, const char *base_format, const char *kept, GError **error);
/**
 * An empty overlay on the file @layer, which is an overlay itself, made earlier on the same @base,
 * and only read.
 */
SpOverlay *sp_overlay_new_on_layer(const char *base, const char *layer, GError **error);
/** NULL is fine. */
void sp_overlay_free(SpOverlay *overlay);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpOverlay, sp_overlay_free)

/**
 * Have it hold again what it did at its internal snapshot @name, which a QEMU has made. None must
 * have it open. SP_ERROR_HOST where there is no such snapshot.
 */
bool sp_overlay_revert(SpOverlay *overlay, const char *name, GError **error);

/** Whether it goes on with what was kept. */
bool sp_overlay_was_kept(SpOverlay *overlay);
/** For reading and writing; owned by the overlay. */
int sp_overlay_rw_fd(SpOverlay *overlay);
/** For reading only; owned by the overlay. */
int sp_overlay_ro_fd(SpOverlay *overlay);
/** The base, for reading only; owned by the overlay. Who has it sees the same base even where
 * another file has taken its name meanwhile, as when an image is built anew. */
int sp_overlay_base_fd(SpOverlay *overlay);
/** The layer between overlay and base, for reading only; -1 where there is none. Owned by the
 * overlay. */
int sp_overlay_layer_fd(SpOverlay *overlay);
