/* SPDX-License-Identifier: MIT */

/* The command line of a worker: words that are divided by NUL. */

#include "worker/options.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_right)
{
    if (!is_right)
        abort();
}

static char **split_words(const uint8_t *data, size_t size)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();

    for (size_t at = 0; at < size;) {
        g_autofree char *word = g_strndup((const char *)data + at, size - at);
        g_strv_builder_add(builder, word);
        at += strlen(word) + 1;
    }
    return g_strv_builder_end(builder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_auto(GStrv) words = split_words(data, size);
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) formatted = NULL, again = NULL;
    SpWorkerOptions options = {.out = "untouched"}, parsed;

    if (!sp_worker_options_parse((const char *const *)words, &options, &error)) {
        check(error && g_str_equal(options.out, "untouched"));
        return 0;
    }
    check(!error && options.test_dir && options.images && options.out);
    /* in one order, and each option once, it is the same */
    formatted = sp_worker_options_format(&options);
    check(sp_worker_options_parse((const char *const *)formatted, &parsed, NULL));
    again = sp_worker_options_format(&parsed);
    check(g_strv_equal((const char *const *)formatted, (const char *const *)again));
    return 0;
}
