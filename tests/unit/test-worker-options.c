/* SPDX-License-Identifier: MIT */

/* What is formatted for a worker is what the worker parses. */

#include "base/error.h"
#include "worker/options.h"

#include <string.h>

static void expect_same(const SpWorkerOptions *options)
{
    g_auto(GStrv) words = sp_worker_options_format(options);
    g_autoptr(GError) error = NULL;
    SpWorkerOptions parsed;
    g_auto(GStrv) again = NULL;

    g_assert_true(sp_worker_options_parse((const char *const *)words, &parsed, &error));
    g_assert_no_error(error);
    again = sp_worker_options_format(&parsed);
    g_assert_true(g_strv_equal((const char *const *)words, (const char *const *)again));
    g_assert_cmpstr(parsed.out, ==, options->out);
    g_assert_cmpstr(parsed.save_dir, ==, options->save_dir);
    g_assert_cmpstr(parsed.disk, ==, options->disk);
    g_assert_cmpint(parsed.begin, ==, options->begin);
    g_assert_cmpint(parsed.is_cold, ==, options->is_cold);
    g_assert_cmpint(parsed.is_prompt, ==, options->is_prompt);
}

/* Every member has a row in the table: one that had none would be lost. */
static void test_round_trip(void)
{
    static const SpWorkerOptions none = {.test_dir = "/t", .images = "/i", .out = "/o"};
    SpWorkerOptions all = {.test_dir = "/a b", .images = "=", .out = "\xff", .save_dir = "s"};
    SpWorkerOptions parsed;
    g_auto(GStrv) words = NULL;
    const gsize flags = offsetof(SpWorkerOptions, has_programs_pipe);
    const gsize n_flags = (sizeof all - flags) / sizeof(gboolean);

    expect_same(&none);
    all.disk = "";
    all.begin = G_MAXINT64;
    memset((char *)&all + flags, 0, sizeof all - flags);
    for (gboolean *flag = &all.has_programs_pipe; flag <= &all.is_prompt; flag++)
        *flag = TRUE;
    expect_same(&all);
    words = sp_worker_options_format(&all);
    g_assert_cmpuint(g_strv_length(words), ==, 6 + n_flags);
    g_assert_true(sp_worker_options_parse((const char *const *)words, &parsed, NULL));
    for (const gboolean *flag = &parsed.has_programs_pipe; flag <= &parsed.is_prompt; flag++)
        g_assert_true(*flag);
}

static void test_refused(void)
{
    static const struct {
        const char *word, *expected;
    } cases[] = {
        {"--colder", "'--colder' is not an option"},
        {"--col", "'--col' is not an option"},
        {"--cold=yes", "'--cold=yes' is not an option"},
        {"--save", "'--save' is not an option"},
        {"--begin=", "'--begin=' is not an option"},
        {"--begin=-1", "'--begin=-1' is not an option"},
        {"--begin=1x", "'--begin=1x' is not an option"},
        {"cold", "'cold' is not an option"},
        {"--", "'--' is not an option"},
        {"", "'' is not an option"},
        {NULL, "needs the option --out"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        const char *const words[] = {
            "--test=t", "--images=i", cases[i].word, cases[i].word ? "--out=o" : NULL, NULL};
        g_autoptr(GError) error = NULL;
        SpWorkerOptions options;

        g_assert_false(sp_worker_options_parse(words, &options, &error));
        g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
        if (!strstr(error->message, cases[i].expected))
            g_error("'%s' is missing in: %s", cases[i].expected, error->message);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/worker-options/round-trip", test_round_trip);
    g_test_add_func("/worker-options/refused", test_refused);
    return g_test_run();
}
