/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/**
 * The manifest in a checkpoint's directory: the checkpoint's name, and of each file its digest and
 * what identified it (inode, size, times) when it was last read. A checkpoint without a manifest is
 * not one.
 *
 * Files are read, and compared with their digests, when they are first checked after the host was
 * booted, and whenever their identity has changed.
 */
#define SP_MANIFEST_FILE "manifest"

/** Describe the files in @dir, the checkpoint @name. */
bool sp_manifest_write(const char *dir, const char *name, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Whether all files are what was saved, by what identifies them if that is enough. Returns false
 * without an error if there is no manifest. */
bool sp_manifest_check(const char *dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** The same, reading all files. */
bool sp_manifest_verify(const char *dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** The checkpoint's name; NULL if it is not known. Free with g_free(). */
char *sp_manifest_get_name(const char *dir);
