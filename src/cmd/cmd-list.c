/* SPDX-License-Identifier: MIT */
#include "cmd/cmd-options.h"
#include "cmd/commands.h"
#include "suite/test-conf.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Of the column of names. */
#define NAME_WIDTH_MAX 32u

/* Tests without a tag come last. */
static int compare_groups(const void *a, const void *b)
{
    const SpTestConf *one = *(SpTestConf *const *)a, *other = *(SpTestConf *const *)b;

    if (!one->tags[0] || !other->tags[0])
        return !one->tags[0] - !other->tags[0];
    return strcmp(one->tags[0], other->tags[0]);
}

static guint name_width(const GPtrArray *list)
{
    guint width = 0;

    for (guint i = 0; i < list->len; i++)
        width = MAX(width, (guint)strlen(((const SpTestConf *)list->pdata[i])->name));
    return MIN(width, NAME_WIDTH_MAX);
}

/* For people: each test under its first tag, followed by its other tags. */
static void print_groups(const GPtrArray *list)
{
    const char *heading = "";
    int width = (int)name_width(list);

    for (guint i = 0; i < list->len; i++) {
        const SpTestConf *test = g_ptr_array_index(list, i);
        const char *group = test->tags[0] ? test->tags[0] : "no tag";
        g_autofree char *others = test->tags[0] ? g_strjoinv(" ", test->tags + 1) : g_strdup("");

        if (!g_str_equal(group, heading))
            printf("%s%s:\n", i > 0 ? "\n" : "", group);
        heading = group;
        printf("  %-*s  %s%s%s%s\n", width, test->name, test->description, *others ? " [" : "",
            others, *others ? "]" : "");
    }
}

/* For programs: one line per test; the first two words are always there. */
static void print_lines(const GPtrArray *list)
{
    int width = (int)name_width(list);

    for (guint i = 0; i < list->len; i++) {
        const SpTestConf *test = g_ptr_array_index(list, i);
        g_autofree char *tags = test->tags[0] ? g_strjoinv(",", test->tags) : g_strdup("-");

        printf("%-*s  %s  %s\n", width, test->name, tags, test->description);
    }
}

int sp_cmd_list(int argc, char **argv)
{
    g_autofree char *tests = NULL;
    g_auto(GStrv) tags = NULL;
    const GOptionEntry options[] = {
        SP_OPTION_TAG(&tags),
        SP_OPTION_TESTS(&tests),
        G_OPTION_ENTRY_NULL,
    };
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) list = NULL;

    if (!sp_parse_options(&argc, &argv, "slotproof list", "[TEST...]",
            "List the named tests, or all. A TEST may be a shell pattern.", options))
        return 2;
    list = sp_tests_load(sp_tests_dir(tests), (const char *const *)argv + (argc > 0),
        (const char *const *)tags, &error);
    if (!list)
        return sp_usage_error("%s", error->message);
    /* a stable sort: within a group by name */
    g_ptr_array_sort(list, compare_groups);
    if (isatty(STDOUT_FILENO))
        print_groups(list);
    else
        print_lines(list);
    return 0;
}
