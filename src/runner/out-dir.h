/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/**
 * Make the folder @path for a test's output, empty: what an earlier run left there is removed. A
 * folder that holds something and that slotproof did not make is refused (SP_ERROR_USAGE).
 */
bool sp_out_dir_prepare(const char *path, GError **error);
