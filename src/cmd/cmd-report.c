/* SPDX-License-Identifier: MIT */
#include "cmd/cmd-options.h"
#include "cmd/commands.h"
#include "report/summary.h"
#include "runner/kept-results.h"

#include <stdio.h>
#include <string.h>

static void free_loaded_record(void *data)
{
    sp_record_free(data);
}

static int compare_output_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of the directories in @out in which tests have left their events, sorted and ended by
 * NULL. */
static GPtrArray *list_outputs(const char *out)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GDir) entries = g_dir_open(out, 0, NULL);
    const char *name;

    while (entries && (name = g_dir_read_name(entries))) {
        g_autofree char *path = g_build_filename(out, name, "events.jsonl", NULL);
        g_autofree char *kept = g_build_filename(out, name, SP_KEPT_RECORD, NULL);
        if (g_file_test(path, G_FILE_TEST_IS_REGULAR) || g_file_test(kept, G_FILE_TEST_IS_REGULAR))
            g_ptr_array_add(names, g_strdup(name));
    }
    g_ptr_array_sort(names, compare_output_names);
    g_ptr_array_add(names, NULL);
    return names;
}

/* When the first test began, and how long it was until the last ended. */
static void find_times(SpSummary *summary)
{
    double end_s = 0;

    for (guint i = 0; i < summary->records->len; i++) {
        const SpRecord *record = g_ptr_array_index(summary->records, i);

        if (record->began_s == 0)
            continue;
        if (summary->began_s == 0 || record->began_s < summary->began_s)
            summary->began_s = record->began_s;
        end_s = MAX(end_s, (double)record->began_s + record->seconds);
    }
    summary->seconds = MAX(0, end_s - (double)summary->began_s);
}

static bool write_reports_of(const char *out, const char *const *names, GError **error)
{
    g_autoptr(GPtrArray) records = g_ptr_array_new_with_free_func(free_loaded_record);
    SpSummary summary = {.records = records};

    for (; *names; names++) {
        g_autofree char *dir = g_build_filename(out, *names, NULL);
        SpRecord *record = sp_kept_record_load(dir, error);

        if (!record)
            return false;
        g_ptr_array_add(records, record);
    }
    find_times(&summary);
    return sp_summary_write(&summary, out, error);
}

int sp_cmd_report(int argc, char **argv)
{
    g_autofree char *out = NULL;
    const GOptionEntry options[] = {
        {"out", 'o', 0, G_OPTION_ARG_FILENAME, &out,
            "Directory of the run's output (default: " SP_OUT_DEFAULT ")", "DIR"},
        G_OPTION_ENTRY_NULL,
    };
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) all = NULL;
    const char *dir;

    if (!sp_parse_options(&argc, &argv, "slotproof report", "[TEST...]",
            "Write junit.xml and report.html again: for the named tests, or for all in the "
            "directory.",
            options))
        return 2;
    dir = out ? out : SP_OUT_DEFAULT;
    all = list_outputs(dir);
    if (argc < 2 && all->len < 2)
        return sp_usage_error(
            "no test has left anything in '%s': run one, or name another directory with --out",
            dir);
    if (!write_reports_of(dir,
            argc > 1 ? (const char *const *)argv + 1 : (const char *const *)all->pdata, &error))
        return sp_usage_error("%s", error->message);
    printf("The report is %s/report.html\n", dir);
    return 0;
}
