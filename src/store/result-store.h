/* SPDX-License-Identifier: MIT */
#pragma once

#include "report/record.h"
#include "store/cache.h"

#include <glib.h>
#include <stdbool.h>

/**
 * Where the results of tests that passed are kept: a file each, named by its key (result-key.h).
 * Its first line is
 *
 *   slotproof result 1 SHA256
 *
 * with the digest of what follows, which is the record of the run (report/record.h), byte for byte
 * as in events.jsonl of the test's output. A file is seen only when it is complete.
 */
extern const SpCacheKind sp_result_kind;

/**
 * Returns what is kept under @key; free with g_free(). NULL without an error if there is nothing;
 * SP_ERROR_PROTOCOL says what is wrong with a file that is truncated, of another version, or not
 * slotproof's.
 */
char *sp_result_read(
    const char *dir, const char *key, gsize *ret_length, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** What is kept under @key stood for a run. */
void sp_result_note_use(const char *dir, const char *key);
/** Keep @text under @key, replacing what is there. SP_ERROR_HOST. */
bool sp_result_write(const char *dir, const char *key, const char *text, gsize length,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** Forget @key. Does nothing if it is not there. */
void sp_result_remove(const char *dir, const char *key);
