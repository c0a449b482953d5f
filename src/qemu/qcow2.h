/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/*
 * What a qcow2 file lies on (QEMU's docs/interop/qcow2.txt). QEMU itself resolves a relative name
 * by the name that it opened the file by, which is none where it was given a descriptor.
 */

typedef struct {
    char *name;   /* as it stands in the header; NULL: it lies on nothing */
    char *path;   /* of the file, absolute; NULL where QEMU has to know what the name means: json:,
                     nbd: and other protocols */
    char *format; /* "raw", "qcow2", ...; where the header does not say it, as the file begins */
} SpBacking;

void sp_backing_clear(SpBacking *backing);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(SpBacking, sp_backing_clear)

/** Read the header of the file @path, an absolute one. SP_ERROR_USAGE where it can't be read or is
 * none of a qcow2 file. */
bool sp_qcow2_backing(const char *path, SpBacking *ret_backing, GError **error);

/**
 * The paths of all files that the qcow2 file @path lies on, the nearest first, as far as they are
 * files. SP_ERROR_USAGE where one can't be read, or there is no end to them.
 */
GPtrArray *sp_qcow2_chain(const char *path, GError **error);
