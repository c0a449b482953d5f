/* SPDX-License-Identifier: MIT */
#include "cmd/cmd-options.h"
#include "cmd/commands.h"
#include "store/checkpoint-store.h"
#include "store/result-store.h"

#include <stdio.h>
#include <string.h>

#define KEY_SHOWN 12
#define MIB (1024.0 * 1024.0)

static char *format_time(gint64 seconds)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(seconds);

    return time ? g_date_time_format(time, "%Y-%m-%d %H:%M:%S") : g_strdup("?");
}

static void list_results(const char *dir)
{
    g_autoptr(GPtrArray) results = sp_results_list(dir);
    guint64 size = 0;

    for (guint i = 0; i < results->len; i++) {
        const SpResultInfo *info = g_ptr_array_index(results, i);
        g_autofree char *ran = format_time(info->ran_s);
        printf("%.*s  %-20s %8.1f MiB  run %s\n", KEY_SHOWN, info->key, info->name,
            (double)info->size / MIB, ran);
        size += info->size;
    }
    printf("%u results, %.1f MiB in %s\n", results->len, (double)size / MIB, dir);
}

/* False where one can't be used. */
static bool verify_results(const char *dir)
{
    g_autoptr(GPtrArray) results = sp_results_list(dir);
    bool is_good = true;

    for (guint i = 0; i < results->len; i++) {
        const SpResultInfo *info = g_ptr_array_index(results, i);
        g_autoptr(GError) error = NULL;
        gsize length;
        g_autofree char *text = sp_result_read(dir, info->key, &length, &error);

        printf("%.*s  %-20s %s\n", KEY_SHOWN, info->key, info->name, error ? error->message : "ok");
        is_good = is_good && !error;
    }
    return is_good;
}

static void clear_results(const char *dir)
{
    g_autoptr(GPtrArray) results = sp_results_list(dir);

    for (guint i = 0; i < results->len; i++)
        sp_result_remove(dir, ((const SpResultInfo *)results->pdata[i])->key);
}

static int list(const char *folder, const char *results)
{
    g_autoptr(GPtrArray) checkpoints = sp_checkpoints_list(folder);
    guint64 size = 0;

    for (guint i = 0; i < checkpoints->len; i++) {
        const SpCheckpointInfo *info = g_ptr_array_index(checkpoints, i);
        g_autofree char *used = format_time(info->used_s);
        printf("%.*s  %-20s %8.1f MiB  used %s\n", KEY_SHOWN, info->key, info->name,
            (double)info->size / MIB, used);
        size += info->size;
    }
    printf("%u checkpoints, %.1f MiB in %s\n", checkpoints->len, (double)size / MIB, folder);
    list_results(results);
    return 0;
}

static int verify(const char *folder, const char *results)
{
    g_autoptr(GPtrArray) checkpoints = sp_checkpoints_list(folder);
    int status = 0;

    for (guint i = 0; i < checkpoints->len; i++) {
        const SpCheckpointInfo *info = g_ptr_array_index(checkpoints, i);
        g_autoptr(GError) error = NULL;
        bool is_good = sp_checkpoint_verify(folder, info->key, &error);
        printf(
            "%.*s  %-20s %s\n", KEY_SHOWN, info->key, info->name, is_good ? "ok" : error->message);
        if (!is_good)
            status = 1;
    }
    if (!verify_results(results))
        status = 1;
    if (status != 0)
        fputs("slotproof: 'slotproof cache clear' throws all away; they are made again\n", stderr);
    return status;
}

static int clear(const char *folder, const char *results)
{
    g_autoptr(GPtrArray) checkpoints = sp_checkpoints_list(folder);
    guint used = 0;

    clear_results(results);
    for (guint i = 0; i < checkpoints->len; i++) {
        const SpCheckpointInfo *info = g_ptr_array_index(checkpoints, i);
        if (sp_checkpoint_remove(folder, info->key))
            continue;
        printf("%.*s  %-20s is in use, and stays\n", KEY_SHOWN, info->key, info->name);
        used++;
    }
    sp_checkpoints_limit(folder, G_MAXUINT64);
    return used > 0 ? 1 : 0;
}

int sp_cmd_cache(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*func)(const char *folder, const char *results);
    } actions[] = {{"list", list}, {"verify", verify}, {"clear", clear}};
    const GOptionEntry options[] = {G_OPTION_ENTRY_NULL};
    g_autofree char *folder = sp_checkpoints_folder();
    g_autofree char *results = sp_results_dir();
    const char *name;

    if (!sp_parse_options(&argc, &argv, "slotproof cache", "[list|verify|clear]",
            "List the checkpoints and results that are kept, compare them with what was saved, or "
            "throw them away.",
            options))
        return 2;
    if (argc > 2)
        return sp_usage_error("'cache' takes one word, not '%s' too", argv[2]);
    name = argc > 1 ? argv[1] : "list";
    for (gsize i = 0; i < G_N_ELEMENTS(actions); i++) {
        if (g_str_equal(name, actions[i].name))
            return actions[i].func(folder, results);
    }
    return sp_usage_error("'cache %s' is not known: expected 'list', 'verify' or 'clear'", name);
}
