/* SPDX-License-Identifier: MIT */
#include "base/near.h"
#include "base/text.h"

#include <string.h>

static void test_excerpt(void)
{
    g_autofree char *whole = sp_text_excerpt("abcdef", 6, 6);
    g_autofree char *cut = sp_text_excerpt("abcdefg", 7, 6);
    g_autofree char *broken = sp_text_excerpt("a\xc3", 2, 6);

    g_assert_cmpstr(whole, ==, "abcdef");
    g_assert_cmpstr(cut, ==, "abc\n[... 1 bytes left out ...]\nefg");
    g_assert_cmpstr(broken, ==, "a\xef\xbf\xbd");
    /* cut within characters at both places */
    for (gsize max = 0; max < 12; max++) {
        g_autofree char *text = sp_text_excerpt("éééééé", 12, max);
        g_assert_true(g_utf8_validate(text, -1, NULL));
    }
}

static void test_printable(void)
{
    g_autofree char *text = sp_text_printable("tab\t\x1b[2J\r\x7f\xc2\x9b \xff");

    g_assert_cmpstr(text, ==, "tab\t\\x1b[2J\\x0d\\x7f\\x9b \xef\xbf\xbd");
}

/* Wide characters take two columns, those that go on another one none. */
static void test_fit(void)
{
    static const struct {
        const char *text;
        guint columns;
        const char *fitted;
    } cases[] = {
        {"", 0, ""},
        {"abc", 0, ""},
        {"abc", 3, "abc"},
        {"abc", 2, "a…"},
        {"abc", 1, "…"},
        {"日本語", 6, "日本語"},
        {"日本語", 5, "日本…"},
        {"日本語", 4, "日…"},
        {"日本語", 3, "日…"},
        {"日本語", 2, "…"},
        {"e\xcc\x81xy", 3, "e\xcc\x81xy"},
        {"e\xcc\x81xy", 2, "e\xcc\x81…"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *fitted = sp_text_fit(cases[i].text, cases[i].columns);
        g_assert_cmpstr(fitted, ==, cases[i].fitted);
        g_assert_cmpuint(sp_text_width(fitted), <=, cases[i].columns);
    }
}

static void test_near(void)
{
    static const char *const words[] = {
        "rauc-rollback", "rauc-slots", "rauc-update", "nine", "a", "aa", "aaa", "aaaa", NULL};
    static const struct {
        const char *given, *near;
    } cases[] = {
        {"rauc-rolback", "rauc-rollback"},
        {"rollback", "rauc-rollback"},
        {"nine2", "nine"},
        {"mine", "nine"},
        {"a", "a, aa or aaa"},
        {"zzz", NULL},
        {"", NULL},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *near = sp_near_words(cases[i].given, words);
        g_assert_cmpstr(near, ==, cases[i].near);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/text/excerpt", test_excerpt);
    g_test_add_func("/text/printable", test_printable);
    g_test_add_func("/text/fit", test_fit);
    g_test_add_func("/text/near", test_near);
    return g_test_run();
}
