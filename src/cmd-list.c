/* SPDX-License-Identifier: MIT */
#include "cmd-options.h"
#include "commands.h"
#include "runner/discover.h"
#include "runner/test-conf.h"

#include <stdio.h>

int sp_cmd_list(int argc, char **argv)
{
    g_autofree char *tests = NULL;
    const GOptionEntry options[] = {
        {"tests", 0, 0, G_OPTION_ARG_FILENAME, &tests, "The folder of tests (tests/e2e)", "DIR"},
        G_OPTION_ENTRY_NULL,
    };
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) list = NULL;

    if (!sp_parse_options(&argc, &argv, "slotproof list", "", "List the tests there are.", options))
        return 2;
    if (argc > 1)
        return sp_usage_error(
            "'list' takes no argument '%s'; see 'slotproof list --help'", argv[1]);
    list = sp_tests_load(tests ? tests : "tests/e2e", NULL, &error);
    if (!list)
        return sp_usage_error("%s", error->message);
    for (guint i = 0; i < list->len; i++) {
        const SpTestConf *test = g_ptr_array_index(list, i);
        printf("%-20s %s\n", test->name, test->description);
    }
    return 0;
}
