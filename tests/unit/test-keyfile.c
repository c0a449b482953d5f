/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/keyfile.h"

#include <string.h>

static const SpKey keys[] = {{"One", "A"}, {"One", "B"}, {"Two Words", "A"},
    {"Machine *", "Memory"}, {"Far Network *", "Delay"}, {NULL, NULL}};

static SpKeyFile *parse(const char *text, GError **error)
{
    return sp_key_file_parse(text, strlen(text), "x.conf", keys, error);
}

static void refuses(const char *text, const char *where, const char *what)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(parse(text, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
    if (!g_str_has_prefix(error->message, where) || !strstr(error->message, what))
        g_error("'%s' has not '%s' and '%s'", error->message, where, what);
}

static void test_refused(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *huge = g_strnfill(1024 * 1024 + 1, '#');

    refuses("[One]\nA=1\nC=2\n", "x.conf:3:", "unknown key 'C' in [One]: expected one of A B");
    refuses("# c\n\n[Two]\nA=1\n", "x.conf:3:",
        "unknown group [Two]: expected one of the groups [One] [Two Words] [Machine NAME] "
        "[Far Network NAME]");
    refuses("[One]\nA=1\nnonsense\n", "x.conf:3:", "expected '[Group]'");
    refuses("A=1\n", "x.conf:1:", "expected");
    refuses("[One]\nA=1\nB=2\nA=3\n", "x.conf:4:", "twice");
    refuses("[One]\nA=1\n[One]\nB=1\n", "x.conf:3:", "twice");
    refuses("[Machine ]\n", "x.conf:1:", "unknown group");
    refuses("[One]\nA=\xff\n", "x.conf:1:", "UTF-8");
    /* nothing is passed over, or guessed */
    refuses("[One]\nA=1\nA[de]=2\n", "x.conf:3:", "unknown key 'A[de]' in [One]");
    refuses("[One]\nA=1\nB=C:\\dir\n", "x.conf:3: B=C:\\dir: ", "a backslash only as");
    refuses("[One]\nA=1\\", "x.conf:2: A=1\\: ", "\\s, \\n, \\t, \\r or \\\\");
    refuses(huge, "x.conf:1:", "1 MiB");
    g_assert_null(sp_key_file_parse("[One]\0A=1", 9, "x.conf", keys, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
    g_clear_error(&error);
    g_assert_null(sp_key_file_load("/nowhere/x.conf", keys, &error));
    g_assert_nonnull(strstr(error->message, "/nowhere/x.conf"));
}

static void test_values(void)
{
    g_autoptr(SpKeyFile) file = parse(
        "[One]\nA = some words \nB=12\n\n[Machine a]\nMemory=2G\n[Machine b]\nMemory=5K\n", NULL);
    g_auto(GStrv) groups = sp_key_file_groups(file);
    g_autofree char *a = sp_key_file_string(file, "One", "A");
    g_autofree char *missing = sp_key_file_string(file, "Machine b", "Frob");
    g_autoptr(GError) error = NULL;
    guint value = 7;

    g_assert_cmpuint(g_strv_length(groups), ==, 3);
    g_assert_cmpstr(a, ==, "some words");
    g_assert_null(missing);
    g_assert_true(sp_key_file_uint(file, "One", "B", 1, 1, 12, &value, &error));
    g_assert_cmpuint(value, ==, 12);
    g_assert_false(sp_key_file_uint(file, "One", "B", 1, 1, 11, &value, &error));
    g_assert_cmpstr(error->message, ==, "x.conf:3: B=12: expected a whole number from 1 to 11");
    g_clear_error(&error);
    g_assert_true(sp_key_file_uint(file, "One", "C", 5, 1, 11, &value, &error));
    g_assert_cmpuint(value, ==, 5);
    g_assert_true(sp_key_file_size_mib(file, "Machine a", "Memory", 1, &value, &error));
    g_assert_cmpuint(value, ==, 2048);
    g_assert_false(sp_key_file_size_mib(file, "Machine b", "Memory", 1, &value, &error));
    g_assert_true(g_str_has_prefix(error->message, "x.conf:8: Memory=5K: expected a size"));
    /* an output is not touched by a failure */
    g_assert_cmpuint(value, ==, 2048);
}

/* As editors of Windows begin a file: lines are counted as ever. */
static void test_byte_order_mark(void)
{
    g_autoptr(SpKeyFile) file = parse("\xef\xbb\xbf[One]\nA=1\n", NULL);
    g_autoptr(SpKeyFile) comment = parse("\xef\xbb\xbf# c\n[One]\nA=1\n", NULL);
    g_autoptr(SpKeyFile) nothing = parse("\xef\xbb\xbf", NULL);
    g_autofree char *a = file ? sp_key_file_string(file, "One", "A") : NULL;

    g_assert_cmpstr(a, ==, "1");
    g_assert_nonnull(comment);
    g_assert_nonnull(nothing);
    refuses("\xef\xbb\xbf[One]\nC=2\n", "x.conf:2:", "unknown key 'C'");
    refuses("\xef\xbb\xbf\xef\xbb\xbf[One]\n", "x.conf:1:", "expected '[Group]'");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/keyfile/byte-order-mark", test_byte_order_mark);
    g_test_add_func("/keyfile/refused", test_refused);
    g_test_add_func("/keyfile/values", test_values);
    return g_test_run();
}
