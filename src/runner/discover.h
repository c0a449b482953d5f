/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/**
 * The tests below the folder @tests: those of @names in that order, or all by name if @names is
 * NULL or empty; each once. An unknown name is SP_ERROR_USAGE, with the names there are.
 */
GPtrArray *sp_tests_load(const char *tests, const char *const *names, GError **error);
