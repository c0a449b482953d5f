/* SPDX-License-Identifier: MIT */
#include "runner/runner.h"

#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>

typedef struct {
    bool is_stopped;
    int signal_number;
} Stop;

void sp_result_clear(SpResult *result)
{
    g_clear_pointer(&result->report, g_free);
}

static gboolean on_sigint(void *data)
{
    *(Stop *)data = (Stop){true, SIGINT};
    return G_SOURCE_CONTINUE;
}

static gboolean on_sigterm(void *data)
{
    *(Stop *)data = (Stop){true, SIGTERM};
    return G_SOURCE_CONTINUE;
}

static void print_result(const SpTestConf *test, const SpResult *result)
{
    static const char *const words[] = {
        [SP_RESULT_PASSED] = "passed",
        [SP_RESULT_FAILED] = "FAILED",
        [SP_RESULT_INVALID] = "NOT IN ORDER",
        [SP_RESULT_STOPPED] = "stopped",
    };

    printf("%s: %s (%.1f s)\n", test->name, words[result->kind], result->seconds);
    if (result->report) {
        g_auto(GStrv) lines = g_strsplit(g_strchomp(result->report), "\n", -1);
        for (char **line = lines; *line; line++)
            printf("  %s\n", *line);
    }
    fflush(stdout);
}

int sp_run_tests(GPtrArray *tests, const SpEngine *engine, const SpRunOptions *options)
{
    guint counts[SP_RESULT_STOPPED + 1] = {0};
    Stop stop = {0};
    guint sources[] = {
        g_unix_signal_add(SIGINT, on_sigint, &stop), g_unix_signal_add(SIGTERM, on_sigterm, &stop)};

    for (guint i = 0; i < tests->len && !stop.is_stopped; i++) {
        const SpTestConf *test = g_ptr_array_index(tests, i);
        SpResult result = {0};
        engine->run(test, options, &stop.is_stopped, &result);
        if (stop.is_stopped)
            result.kind = SP_RESULT_STOPPED;
        counts[result.kind]++;
        print_result(test, &result);
        sp_result_clear(&result);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(sources); i++)
        g_source_remove(sources[i]);
    printf("%u passed, %u failed, %u skipped\n", counts[SP_RESULT_PASSED],
        counts[SP_RESULT_FAILED] + counts[SP_RESULT_INVALID],
        tests->len - counts[SP_RESULT_PASSED] - counts[SP_RESULT_FAILED] -
            counts[SP_RESULT_INVALID]);
    fflush(stdout);
    if (stop.is_stopped)
        return 128 + stop.signal_number;
    return counts[SP_RESULT_INVALID] > 0 ? 2 : counts[SP_RESULT_FAILED] > 0 ? 1 : 0;
}
