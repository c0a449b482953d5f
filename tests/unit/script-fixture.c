/* SPDX-License-Identifier: MIT */
#include "script-fixture.h"

#include <glib/gstdio.h>
#include <string.h>

void script_fixture_set_up(ScriptFixture *f, gconstpointer data)
{
    static const char *const names[] = {"gateway", "client"};
    SpMachineConfig config = {.interrupt = sp_script_interrupt(), .out_dir = "/nowhere"};

    f->dir = g_dir_make_tmp("slotproof-test-XXXXXX", NULL);
    g_assert_nonnull(f->dir);
    f->path = g_build_filename(f->dir, "script.py", NULL);
    f->accel.time_factor = 2;
    f->n_machines = data ? 2 : 1;
    for (gsize i = 0; i < f->n_machines; i++) {
        config.name = names[i];
        config.accel = &f->accel;
        f->machines[i] = sp_machine_new(&config, NULL);
    }
    f->subtests = g_string_new(NULL);
}

void script_fixture_tear_down(ScriptFixture *f, gconstpointer data)
{
    for (gsize i = 0; i < f->n_machines; i++)
        sp_machine_free(f->machines[i]);
    g_unlink(f->path);
    g_rmdir(f->dir);
    g_free(f->dir);
    g_free(f->path);
    g_free(f->report);
    g_string_free(f->subtests, TRUE);
}

static void on_subtest(const SpSubtest *subtest, void *data)
{
    g_string_append_printf(data, "%c%s ", subtest->passed ? '+' : '-', subtest->name);
}

SpScriptOutcome script_run(ScriptFixture *f, const char *text)
{
    SpScriptConfig config = {
        .path = f->path,
        .tests_dir = f->tests_dir,
        .machines = f->machines,
        .n_machines = f->n_machines,
        .out_dir = "out/here",
        .subtest_func = on_subtest,
        .subtest_data = f->subtests,
        .log = f->log,
        .create_func = f->create_func,
        .create_data = f,
        .begin_func = f->begin_func,
        .begin_data = f,
    };
    g_autoptr(GError) error = NULL;
    SpScriptOutcome outcome;

    g_assert_true(g_file_set_contents(f->path, text, -1, NULL));
    g_clear_pointer(&f->report, g_free);
    g_assert_true(sp_script_run(&config, &outcome, &f->report, &error));
    g_assert_no_error(error);
    return outcome;
}

void script_expect_passed(ScriptFixture *f, const char *text)
{
    SpScriptOutcome outcome = script_run(f, text);

    g_assert_cmpstr(f->report, ==, NULL);
    g_assert_cmpint(outcome, ==, SP_SCRIPT_PASSED);
}

void script_expect_failed(ScriptFixture *f, const char *text, const char *const *parts)
{
    SpScriptOutcome outcome = script_run(f, text);
    const char *at = f->report;

    g_assert_cmpint(outcome, ==, SP_SCRIPT_FAILED);
    for (; *parts; parts++) {
        const char *found = strstr(at, *parts);
        if (!found)
            g_error("'%s' is missing in: %s", *parts, f->report);
        at = found + strlen(*parts);
    }
}
void script_expect_commands(ScriptFixture *f, const char *expected)
{
    g_autofree char *all = g_strjoinv("\n", fake_machine_commands(f->machines[0]));

    g_assert_cmpstr(all, ==, expected);
}
