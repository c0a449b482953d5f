/* SPDX-License-Identifier: MIT */
#include "cmd/cmd-options.h"
#include "cmd/commands.h"
#include "store/checkpoint-store.h"
#include "store/result-store.h"

#include <errno.h>
#include <stdio.h>

#define KEY_SHOWN 12
#define MIB (1024.0 * 1024.0)

static const SpCacheKind *const kinds[] = {&sp_checkpoint_kind, &sp_result_kind};

static char *format_time(gint64 seconds)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(seconds);

    return time ? g_date_time_format(time, "%Y-%m-%d %H:%M:%S") : g_strdup("?");
}

static bool list_entries(const SpCacheKind *kind, const char *dir, const GPtrArray *entries)
{
    guint64 size = 0;

    for (guint i = 0; i < entries->len; i++) {
        const SpCacheEntry *entry = g_ptr_array_index(entries, i);
        g_autofree char *time = format_time(entry->time_s);
        printf("%.*s  %-20s %8.1f MiB  %s %s\n", KEY_SHOWN, entry->key, entry->name,
            (double)entry->size / MIB, kind->time_word, time);
        size += entry->size;
    }
    printf("%u %s, %.1f MiB in %s\n", entries->len, kind->name, (double)size / MIB, dir);
    return true;
}

static bool verify_entries(const SpCacheKind *kind, const char *dir, const GPtrArray *entries)
{
    bool is_good = true;

    for (guint i = 0; i < entries->len; i++) {
        const SpCacheEntry *entry = g_ptr_array_index(entries, i);
        g_autoptr(GError) error = NULL;

        if (!kind->verify(dir, entry->key, &error))
            is_good = false;
        printf(
            "%.*s  %-20s %s\n", KEY_SHOWN, entry->key, entry->name, error ? error->message : "ok");
    }
    if (!is_good)
        fputs(
            "slotproof: 'slotproof cache clear' removes all of it; it is made again when needed\n",
            stderr);
    return is_good;
}

static bool clear_entries(const SpCacheKind *kind, const char *dir, const GPtrArray *entries)
{
    bool is_clear = true;

    for (guint i = 0; i < entries->len; i++) {
        const SpCacheEntry *entry = g_ptr_array_index(entries, i);
        int r = kind->remove(dir, entry->key);

        if (r == 0)
            continue;
        printf("%.*s  %-20s ", KEY_SHOWN, entry->key, entry->name);
        if (r == -EWOULDBLOCK)
            puts("is in use and stays");
        else
            printf("can't be removed: %s\n", g_strerror(-r));
        is_clear = false;
    }
    kind->remove_leftovers(dir);
    return is_clear;
}

int sp_cmd_cache(int argc, char **argv)
{
    static const struct {
        const char *name;
        bool (*func)(const SpCacheKind *kind, const char *dir, const GPtrArray *entries);
    } actions[] = {{"list", list_entries}, {"verify", verify_entries}, {"clear", clear_entries}};
    const GOptionEntry options[] = {G_OPTION_ENTRY_NULL};
    const char *name;
    gsize i = 0;
    int status = 0;

    if (!sp_parse_options(&argc, &argv, "slotproof cache", "[list|verify|clear]",
            "List the checkpoints and results that are kept, compare them with what was saved, or "
            "remove them.",
            options))
        return 2;
    if (argc > 2)
        return sp_usage_error("'cache' takes one word, not '%s' as well", argv[2]);
    name = argc > 1 ? argv[1] : actions[0].name;
    while (i < G_N_ELEMENTS(actions) && !g_str_equal(name, actions[i].name))
        i++;
    if (i == G_N_ELEMENTS(actions))
        return sp_usage_error("there is no 'cache %s': expected 'list', 'verify' or 'clear'", name);
    for (gsize j = 0; j < G_N_ELEMENTS(kinds); j++) {
        g_autofree char *dir = sp_cache_dir(kinds[j]);
        g_autoptr(GPtrArray) entries = sp_cache_list(kinds[j], dir);
        if (!actions[i].func(kinds[j], dir, entries))
            status = 1;
    }
    return status;
}
