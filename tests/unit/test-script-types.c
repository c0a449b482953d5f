/* SPDX-License-Identifier: MIT */

/* Compares slotproof.pyi with what the module has at run time: by a script, since a script sees
 * that. */

#include "script-fixture.h"

#include <glib/gstdio.h>

#define SCRIPT SOURCE_ROOT "/tests/unit/check-types.py"

/* The script, for the stub at @path. */
static char *make_script(const char *path)
{
    g_autofree char *text = NULL;

    g_assert_true(g_file_get_contents(SCRIPT, &text, NULL, NULL));
    return g_strdup_printf("stub_path = '%s'\n%s", path, text);
}

static void test_same(ScriptFixture *f, gconstpointer data)
{
    g_autofree char *script = make_script(STUB);

    script_expect_passed(f, script);
}

/* The comparison sees what has drifted. */
static void test_drifted(ScriptFixture *f, gconstpointer data)
{
    static const struct {
        const char *from, *to, *seen;
    } drifts[] = {
        {"def crash(self)", "def crush(self)", "crush"},
        {"require_state: str = \"active\"", "require_state: str = \"failed\"",
            "require_unit_state"},
        {"self, filename: StrPath) -> None", "self, name: StrPath) -> None", "Machine.screenshot"},
        {"    @property\n    def name(", "    def name(", "Machine.name"},
        {"def start_all()", "def start_all(x: int)", "start_all"},
        {"class Log:", "class Logs:", "Logs"},
    };
    g_autofree char *text = NULL;
    g_autofree char *path = g_build_filename(f->dir, "drifted.pyi", NULL);
    g_autofree char *script = make_script(path);

    g_assert_true(g_file_get_contents(STUB, &text, NULL, NULL));
    for (gsize i = 0; i < G_N_ELEMENTS(drifts); i++) {
        g_autoptr(GString) drifted = g_string_new(text);

        g_assert_cmpuint(g_string_replace(drifted, drifts[i].from, drifts[i].to, 1), ==, 1);
        g_assert_true(g_file_set_contents(path, drifted->str, -1, NULL));
        SCRIPT_EXPECT_FAILED(f, script, "AssertionFailed", drifts[i].seen);
    }
    g_assert_cmpint(g_unlink(path), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/script-types/same", ScriptFixture, NULL, script_fixture_set_up, test_same,
        script_fixture_tear_down);
    g_test_add("/script-types/drifted", ScriptFixture, NULL, script_fixture_set_up, test_drifted,
        script_fixture_tear_down);
    return g_test_run();
}
