/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/** $TMPDIR, or /var/tmp. */
const char *sp_temporary_directory(void);

/**
 * Open an empty file without a name in that directory: it is gone with its last descriptor, however
 * the program ends. Returns a negative number with SP_ERROR_HOST.
 */
int sp_unnamed_file_open(GError **error) G_GNUC_WARN_UNUSED_RESULT;
