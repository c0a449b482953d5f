/* SPDX-License-Identifier: MIT */
#pragma once

#include "report/record.h"

#include <glib.h>
#include <stdbool.h>

/**
 * Where the results of tests that passed are kept: a file each in
 * $XDG_CACHE_HOME/slotproof/results, named by its key (result-key.h). The first line of it is
 *
 *   slotproof result 1 SHA256
 *
 * with the digest of what follows, which is the record of the run (report/record.h), to the byte
 * what is in events.jsonl of the test's output. A file is seen when it is whole.
 */

/** Free with g_free(). */
char *sp_results_dir(void);

/**
 * What is kept under @key; free with g_free(). NULL where there is nothing, and then without an
 * error; SP_ERROR_PROTOCOL says what is wrong with a file that is cut off, of another version or
 * none of ours.
 */
char *sp_result_read(
    const char *dir, const char *key, gsize *ret_length, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/** What is kept under @key stood for a run. */
void sp_result_note_use(const char *dir, const char *key);
/** Keep @text under @key, in place of what is there. SP_ERROR_HOST. */
bool sp_result_write(const char *dir, const char *key, const char *text, gsize length,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;

/** What is known of one that is kept. */
typedef struct {
    char *key;
    char *name; /* the test's; "?" for one that can't be used */
    guint64 size;
    gint64 used_s; /* since 1970 */
    gint64 ran_s;
} SpResultInfo;
void sp_result_info_free(SpResultInfo *info);

/** Of SpResultInfo, the one that was used last first; empty where there is no directory. */
GPtrArray *sp_results_list(const char *dir);
/** Forget @key. */
void sp_result_remove(const char *dir, const char *key);
/** Evict those that were not used for longest until all take @size_max bytes at most, and what
 * those left who died while they wrote one. */
void sp_results_limit(const char *dir, guint64 size_max);
