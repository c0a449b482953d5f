/* SPDX-License-Identifier: MIT */
#include "store/cache.h"

#include <string.h>

#define SIZE_DEFAULT_MIB 3072u
#define MIB (1024u * 1024)

void sp_cache_entry_free(SpCacheEntry *entry)
{
    g_free(entry->key);
    g_free(entry->name);
    g_free(entry);
}

char *sp_cache_dir(const SpCacheKind *kind)
{
    return g_build_filename(g_get_user_cache_dir(), "slotproof", kind->name, NULL);
}

guint64 sp_cache_size_max(void)
{
    const char *text = g_getenv("SLOTPROOF_CACHE_MIB");
    guint64 mib = SIZE_DEFAULT_MIB;

    if (text && *text)
        g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT32, &mib, NULL);
    return mib * MIB;
}

bool sp_cache_has_key(const char *name)
{
    return strspn(name, "0123456789abcdef") == SP_CACHE_KEY_LENGTH;
}

static int compare_use(const void *a, const void *b)
{
    const SpCacheEntry *one = *(SpCacheEntry *const *)a, *other = *(SpCacheEntry *const *)b;

    if (one->used_s != other->used_s)
        return one->used_s < other->used_s ? 1 : -1;
    return strcmp(one->key, other->key);
}

GPtrArray *sp_cache_list(const SpCacheKind *kind, const char *dir)
{
    GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)sp_cache_entry_free);
    g_autoptr(GDir) entries = g_dir_open(dir, 0, NULL);
    const char *name;

    while (entries && (name = g_dir_read_name(entries))) {
        SpCacheEntry *entry;

        if (!sp_cache_has_key(name) || name[SP_CACHE_KEY_LENGTH])
            continue;
        entry = g_new0(SpCacheEntry, 1);
        entry->key = g_strdup(name);
        if (kind->describe(dir, entry))
            g_ptr_array_add(list, entry);
        else
            sp_cache_entry_free(entry);
    }
    g_ptr_array_sort(list, compare_use);
    return list;
}

/* Remove entries from the end of @list until they took @bytes. */
static void evict_last(
    const SpCacheKind *kind, const char *dir, const GPtrArray *list, guint64 bytes)
{
    guint64 gone = 0;

    for (guint i = list->len; i > 0 && gone < bytes; i--) {
        const SpCacheEntry *entry = list->pdata[i - 1];
        if (kind->remove(dir, entry->key) == 0)
            gone += entry->size;
    }
}

void sp_cache_evict(const SpCacheKind *kind, const char *dir, guint64 bytes)
{
    g_autoptr(GPtrArray) list = sp_cache_list(kind, dir);

    evict_last(kind, dir, list, bytes);
}

void sp_cache_limit(const SpCacheKind *kind, const char *dir, guint64 size_max)
{
    g_autoptr(GPtrArray) list = sp_cache_list(kind, dir);
    guint64 size = 0;

    kind->remove_leftovers(dir);
    for (guint i = 0; i < list->len; i++)
        size += ((const SpCacheEntry *)list->pdata[i])->size;
    if (size > size_max)
        evict_last(kind, dir, list, size - size_max);
}
