/* SPDX-License-Identifier: MIT */
#include "machine/keys.h"

/* As a US keyboard has them: the characters, each with the key it is on, with shift or without. */
static const struct {
    const char *name;
    char plain, shifted;
} keys[] = {
    {"1", '1', '!'},
    {"2", '2', '@'},
    {"3", '3', '#'},
    {"4", '4', '$'},
    {"5", '5', '%'},
    {"6", '6', '^'},
    {"7", '7', '&'},
    {"8", '8', '*'},
    {"9", '9', '('},
    {"0", '0', ')'},
    {"minus", '-', '_'},
    {"equal", '=', '+'},
    {"bracket_left", '[', '{'},
    {"bracket_right", ']', '}'},
    {"backslash", '\\', '|'},
    {"semicolon", ';', ':'},
    {"apostrophe", '\'', '"'},
    {"grave_accent", '`', '~'},
    {"comma", ',', '<'},
    {"dot", '.', '>'},
    {"slash", '/', '?'},
};

static void check(guint *seen, char character, const char *expected)
{
    g_assert_cmpstr(sp_key_of((gunichar)character), ==, expected);
    (*seen)++;
}

static void test_characters(void)
{
    guint seen = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(keys); i++) {
        g_autofree char *shifted = g_strconcat("shift-", keys[i].name, NULL);
        check(&seen, keys[i].plain, keys[i].name);
        check(&seen, keys[i].shifted, shifted);
    }
    for (char c = 'a'; c <= 'z'; c++) {
        const char name[] = {c, 0};
        g_autofree char *shifted = g_strconcat("shift-", name, NULL);
        check(&seen, c, name);
        check(&seen, g_ascii_toupper(c), shifted);
    }
    check(&seen, ' ', "spc");
    g_assert_cmpuint(seen, ==, 0x7f - ' ');
}

static void test_others(void)
{
    const gunichar none[] = {0, 1, 0x1f, 0x80, 0xe9, 0x10ffff, G_MAXUINT32};

    g_assert_cmpstr(sp_key_of('\n'), ==, "ret");
    g_assert_cmpstr(sp_key_of('\t'), ==, "tab");
    g_assert_cmpstr(sp_key_of('\b'), ==, "backspace");
    g_assert_cmpstr(sp_key_of(0x1b), ==, "esc");
    for (gsize i = 0; i < G_N_ELEMENTS(none); i++)
        g_assert_null(sp_key_of(none[i]));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/keys/characters", test_characters);
    g_test_add_func("/keys/others", test_others);
    return g_test_run();
}
