/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/** Whether @name is one of Python's builtins, which a script would lose to a machine of that name:
 * known without an interpreter. */
bool sp_is_builtin_name(const char *name);
