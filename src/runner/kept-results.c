/* SPDX-License-Identifier: MIT */
#include "runner/kept-results.h"

#include "store/out-dir.h"
#include "store/result-key.h"
#include "store/result-store.h"

#include <string.h>

/* Results are small: they may take this fraction of what checkpoints may. */
#define SIZE_DIVISOR 16u
/* What no key covers, above all the date, changes meanwhile. */
#define AGE_MAX_S (30 * 24 * 3600)

struct SpKeptResults {
    SpKeptResultsConfig config;
    char *out;
    char *dir;
    char *cache_dir;
    SpResultKeys *before; /* of the state before the first test ran */
    GHashTable *keys;     /* by the test's name, of those that have one */
    GHashTable *warnings; /* that have been given */
    bool has_added;
};

SpKeptResults *sp_kept_results_new(const SpKeptResultsConfig *config)
{
    SpKeptResults *kept = g_new0(SpKeptResults, 1);

    kept->config = *config;
    kept->out = g_strdup(config->out);
    kept->dir = sp_cache_dir(&sp_result_kind);
    kept->cache_dir = g_path_get_dirname(kept->dir);
    kept->before = sp_result_keys_new(config->images, config->is_cold, kept->cache_dir);
    kept->keys = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    kept->warnings = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return kept;
}

void sp_kept_results_free(SpKeptResults *kept)
{
    if (!kept)
        return;
    if (kept->has_added)
        sp_cache_limit(&sp_result_kind, kept->dir, sp_cache_size_max() / SIZE_DIVISOR);
    sp_result_keys_free(kept->before);
    g_hash_table_unref(kept->keys);
    g_hash_table_unref(kept->warnings);
    g_free(kept->out);
    g_free(kept->dir);
    g_free(kept->cache_dir);
    g_free(kept);
}

static char *build_record_path(const SpKeptResults *kept, const SpTestConf *test)
{
    return g_build_filename(kept->out, test->name, "events.jsonl", NULL);
}

/* NULL if it has been given before. */
static char *format_warning(SpKeptResults *kept, const GError *error, const char *consequence)
{
    char *warning = g_strdup_printf("%s: %s", error->message, consequence);

    if (g_hash_table_add(kept->warnings, g_strdup(warning)))
        return warning;
    g_free(warning);
    return NULL;
}

/* The record that is kept; it is in @dir if that has the same bytes. */
static SpRecord *read_record(const char *dir, const char *name, const char *text, gsize length)
{
    g_autofree char *path = g_build_filename(dir, "events.jsonl", NULL);
    g_autofree char *there = NULL;
    SpRecord *record = sp_record_parse(name, text, length);
    gsize there_length;

    record->is_kept = true;
    if (g_file_get_contents(path, &there, &there_length, NULL) && there_length == length &&
        memcmp(there, text, length) == 0)
        record->dir = g_strdup(dir);
    return record;
}

SpRecord *sp_kept_record_load(const char *dir, GError **error)
{
    g_autofree char *path = g_build_filename(dir, SP_KEPT_RECORD, NULL);
    g_autofree char *name = g_path_get_basename(dir);
    g_autofree char *text = NULL;
    gsize length;

    if (g_file_get_contents(path, &text, &length, NULL))
        return read_record(dir, name, text, length);
    return sp_record_load(dir, error);
}

/* Leave @text for later reports, which would otherwise show the run before. */
static void leave_record(const char *dir, const char *text, gsize length)
{
    g_autofree char *path = g_build_filename(dir, SP_KEPT_RECORD, NULL);

    if (sp_out_dir_claim(dir))
        (void)g_file_set_contents(path, text, (gssize)length, NULL);
}

/* A record from the future is from a clock that was wrong. */
static bool is_fresh(const SpRecord *record)
{
    gint64 age_s = g_get_real_time() / G_USEC_PER_SEC - record->began_s;

    return age_s >= 0 && age_s <= AGE_MAX_S;
}

SpRecord *sp_kept_results_take(SpKeptResults *kept, const SpTestConf *test, char **ret_warning)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *key = sp_result_keys_get(kept->before, test, &error);
    g_autofree char *dir = g_build_filename(kept->out, test->name, NULL);
    g_autofree char *text = NULL;
    SpRecord *record;
    gsize length;

    *ret_warning = NULL;
    if (!key) {
        if (!kept->config.only_forgets)
            *ret_warning = format_warning(kept, error, "no result that depends on it is kept");
        return NULL;
    }
    g_hash_table_insert(kept->keys, g_strdup(test->name), g_strdup(key));
    if (kept->config.is_rerun || kept->config.only_forgets)
        return NULL;
    text = sp_result_read(kept->dir, key, &length, &error);
    record = text ? read_record(dir, test->name, text, length) : NULL;
    if (record && is_fresh(record)) {
        sp_result_note_use(kept->dir, key);
        leave_record(dir, text, length);
        return record;
    }
    sp_record_free(record);
    if (error) {
        *ret_warning = format_warning(kept, error, "the test is run again");
        sp_result_remove(kept->dir, key);
    }
    return NULL;
}

bool sp_kept_results_add(SpKeptResults *kept, const SpTestConf *test, GError **error)
{
    const char *key = g_hash_table_lookup(kept->keys, test->name);
    g_autoptr(SpResultKeys) now =
        sp_result_keys_new(kept->config.images, kept->config.is_cold, kept->cache_dir);
    g_autofree char *path = build_record_path(kept, test);
    g_autofree char *key_now = NULL;
    g_autofree char *text = NULL;
    gsize length;

    if (!key || kept->config.only_forgets)
        return true;
    key_now = sp_result_keys_get(now, test, NULL);
    if (g_strcmp0(key, key_now) != 0)
        return true;
    kept->has_added = true;
    return g_file_get_contents(path, &text, &length, error) &&
           sp_result_write(kept->dir, key, text, length, error);
}

void sp_kept_results_forget(SpKeptResults *kept, const SpTestConf *test)
{
    const char *key = g_hash_table_lookup(kept->keys, test->name);

    if (key)
        sp_result_remove(kept->dir, key);
}
