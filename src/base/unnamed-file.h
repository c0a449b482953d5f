/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/** $TMPDIR, or /var/tmp. */
const char *sp_temporary_folder(void);

/**
 * An empty file without a name in that folder: gone with its last descriptor, however the
 * program ends. Negative with SP_ERROR_HOST.
 */
int sp_unnamed_file_open(GError **error);
