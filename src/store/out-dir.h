/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

#define SP_OUT_DEFAULT "out"

/**
 * Lock the directory @path, which is created if it does not exist, for this process: while the
 * returned descriptor is open, no other run writes there. -1 with SP_ERROR_USAGE, which names the
 * process that has locked it if that is known, or says why it can't be written to.
 */
int sp_out_dir_lock(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/**
 * Create the directory @path for a test's output, or empty it if an earlier run has left something
 * there. A directory that is not empty and that slotproof did not make is refused
 * (SP_ERROR_USAGE), as is one that is locked. @ret_lock is its lock, to be closed at the end; NULL
 * if a directory above it is locked.
 */
bool sp_out_dir_prepare(const char *path, int *ret_lock, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/** Whether @path is a directory of slotproof's own, which is created if it does not exist; its
 * contents stay. */
bool sp_out_dir_claim(const char *path);
