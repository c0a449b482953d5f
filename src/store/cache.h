/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/**
 * What is kept in the user's cache: entries of several kinds (checkpoints, results), each kind in a
 * directory of its own, each entry in there under its key, which is a SHA-256 in hexadecimal. An
 * entry gets this name when it is complete. Beyond a size the least recently used are evicted.
 */
typedef struct {
    char *key;
    char *name;    /* of the checkpoint or the test; "?" if the entry can't be used */
    guint64 size;  /* bytes that it takes on the disk */
    gint64 used_s; /* when it was last used, seconds since 1970 */
    gint64 time_s; /* what its kind's time_word says */
} SpCacheEntry;
void sp_cache_entry_free(SpCacheEntry *entry);

/** A kind of entries. Errors are SP_ERROR_HOST or SP_ERROR_PROTOCOL and say what is wrong. */
typedef struct {
    const char *name;      /* "checkpoints": the directory's name too */
    const char *time_word; /* "used" */
    /** Fill in the rest of @entry, which has its key; false if there is no such entry. */
    bool (*describe)(const char *dir, SpCacheEntry *entry);
    bool (*verify)(const char *dir, const char *key, GError **error);
    /** Remove it, unless it is gone already. Returns 0 or a negative errno: -EWOULDBLOCK if it is
     * in use. */
    int (*remove)(const char *dir, const char *key);
    /** Remove what processes that died have left half made. */
    void (*remove_leftovers)(const char *dir);
} SpCacheKind;

/** The directory of a kind. Free with g_free(). */
char *sp_cache_dir(const SpCacheKind *kind);
/** How many bytes checkpoints may take: $SLOTPROOF_CACHE_MIB if that is a number. Other kinds take
 * a part of as much. */
guint64 sp_cache_size_max(void);

#define SP_CACHE_KEY_LENGTH 64u
/** Whether @name begins with a key; what follows is another matter. */
bool sp_cache_has_key(const char *name);

/** Of SpCacheEntry, the most recently used first; empty if there is no directory. */
GPtrArray *sp_cache_list(const SpCacheKind *kind, const char *dir);
/** Evict the least recently used entries until they took @bytes, or all that are left are in use.
 */
void sp_cache_evict(const SpCacheKind *kind, const char *dir, guint64 bytes);
/** Remove leftovers, and evict until all entries take @size_max bytes at most. */
void sp_cache_limit(const SpCacheKind *kind, const char *dir, guint64 size_max);
