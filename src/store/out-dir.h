/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

#define SP_OUT_DEFAULT "out"

/**
 * Take the directory @path for this process, making it if there is none: as long as the descriptor
 * that this returns is open, no other run writes there. -1 with SP_ERROR_USAGE, which names the
 * process that has it if that is known, or says why it can't be written to.
 */
int sp_out_dir_lock(const char *path, GError **error);

/**
 * Make the folder @path for a test's output, empty: what an earlier run left there is removed. A
 * folder that holds something and that slotproof did not make is refused (SP_ERROR_USAGE), as is
 * one that is locked. @ret_lock is its lock, to be closed at the end; NULL: it lies in one that is
 * locked.
 */
bool sp_out_dir_prepare(const char *path, int *ret_lock, GError **error);

/** Whether @path is slotproof's own, made where there is none; what is in it stays. */
bool sp_out_dir_claim(const char *path);
