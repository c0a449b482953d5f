/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/**
 * The words of which @given may be a misspelling, as "a, b or c": at most three of @words (ended by
 * NULL), the most similar first. A word is similar if its beginning and end together match @given
 * for at least half of its length. Returns NULL if there are none. Free with g_free().
 */
char *sp_near_words(const char *given, const char *const *words);
