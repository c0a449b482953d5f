/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/*
 * The backing file of a qcow2 file (QEMU, docs/interop/qcow2.txt). QEMU itself resolves a relative
 * name by the name that it opened the file by, which it doesn't know of a descriptor.
 */

typedef struct {
    char *name;   /* as in the header; NULL: it has no backing file */
    char *path;   /* of the file, absolute; NULL if only QEMU understands the name: json:, nbd: and
                     other   protocols */
    char *format; /* "raw", "qcow2", ...; guessed from the file if the header does not say it */
} SpBacking;

void sp_backing_clear(SpBacking *backing);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(SpBacking, sp_backing_clear)

/** Read the header of the file @path, an absolute path. SP_ERROR_USAGE if it can't be read or is
 * not a qcow2 file. */
bool sp_qcow2_backing(
    const char *path, SpBacking *ret_backing, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/**
 * The paths of all files that the qcow2 file @path is based on, the nearest first, as far as they
 * are files. SP_ERROR_USAGE if one can't be read, or the chain does not end.
 */
GPtrArray *sp_qcow2_chain(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;
