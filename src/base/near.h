/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/**
 * Those of @words (ended by NULL) that @given may be a misspelling of, as "a, b or c": the nearest
 * first, three at most. Near are words that begin and end as @given does for at least half of its
 * length. Returns NULL if none is near. Free with g_free().
 */
char *sp_near_words(const char *given, const char *const *words);
