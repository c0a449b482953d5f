/* SPDX-License-Identifier: MIT */
#include "powercut/crash-name.h"
#include "powercut/crash-states.h"
#include "written-log.h"

#include <string.h>

#define DISK_SIZE (64u * WRITTEN_SECTOR)

/* Two epochs: entries 0 and 1, a flush, and entries 3 to 5. */
static SpWriteLog *make_log(void)
{
    GByteArray *array = written_log_new();

    written_log_write(array, 0, 4, 1);
    written_log_write(array, 4, 1, 2);
    written_log_flush(array);
    written_log_write(array, 8, 2, 3);
    written_log_write(array, 9, 2, 4);
    written_log_write(array, 20, 1, 5);
    return written_log_parse(array, DISK_SIZE);
}

static void test_names(void)
{
    static const struct {
        const char *text;
        bool is_name, is_of_log;
    } cases[] = {
        {"p0", true, true},
        {"p6", true, true},
        {"p7", true, false},
        {"d6.3", true, true},
        {"d6.5", true, true},
        {"d6.1", true, false}, /* of another epoch */
        {"d6.6", true, false},
        {"d7.3", true, false},
        {"o3", true, true},
        {"o6", true, false},
        {"t0.4", true, true},
        {"t0.5", true, false}, /* more sectors than it has */
        {"x3.1", true, true},
        {"u4.2", true, true},
        {"y4.3", true, false},
        {"h0.4294967295", true, true},
        {"h0.4294967296", true, false},
        {"v4.3", true, true},
        {"v4.1", true, false},
        {"v4.4", true, false},
        {"s0.3", true, true},
        {"s0.4", true, false}, /* two writes */
        {"s1.1", true, false}, /* not where an epoch begins */
        {"s3.f", true, false},
        {"s3.7", true, true},
        {"r3.255", true, true},
        {"r4.0", true, false},
        {"", false, false},
        {"p", false, false},
        {"p-1", false, false},
        {"p1.2", false, false},
        {"q1", false, false},
        {"d1", false, false},
        {"d1.", false, false},
        {"d1.f", false, false},
        {"s0.g", false, false},
        {"p1 ", false, false},
    };
    g_autoptr(SpWriteLog) log = make_log();
    SpEpochs epochs = sp_epochs(log, &sp_crash_options);

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        char text[SP_CRASH_NAME_SIZE];
        SpCrashName name;

        g_test_message("%s", cases[i].text);
        g_assert_cmpint(sp_crash_name_parse(cases[i].text, &name), ==, cases[i].is_name);
        if (!cases[i].is_name)
            continue;
        g_assert_cmpint(sp_crash_name_is_of(&name, &epochs), ==, cases[i].is_of_log);
        sp_crash_name_format(&name, text);
        g_assert_cmpstr(text, ==, cases[i].text);
    }
}

/* Each letter is one kind's. */
static void test_letters(void)
{
    g_autofree char *letters = g_strdup("");

    for (guint kind = 0; kind < SP_CRASH_KINDS; kind++) {
        SpCrashName name = {(SpCrashKind)kind, 0, 0};
        char text[SP_CRASH_NAME_SIZE], *more;

        sp_crash_name_format(&name, text);
        g_assert_null(strchr(letters, *text));
        more = g_strdup_printf("%s%c", letters, *text);
        g_free(letters);
        letters = more;
    }
    g_assert_cmpstr(letters, ==, "pdotxhuyvsr");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/crash-name/names", test_names);
    g_test_add_func("/crash-name/letters", test_letters);
    return g_test_run();
}
