/* SPDX-License-Identifier: MIT */
#include "cmd/cmd-options.h"
#include "cmd/commands.h"
#include "store/out-dir.h"
#include "worker/prompt.h"

int sp_cmd_debug(int argc, char **argv)
{
    g_autofree char *name = NULL;
    g_autofree char *tests = NULL;
    g_autofree char *images = NULL;
    g_autofree char *out = NULL;
    g_autofree char *disk = NULL;
    gboolean reuses_disks = FALSE;
    const GOptionEntry options[] = {
        {"test", 't', 0, G_OPTION_ARG_STRING, &name,
            "Test whose machines to create; its name may be shortened, as net-iso for "
            "network-isolation (default: the test with the tag 'debug', else the first)",
            "NAME"},
        {"keep", 'k', 0, G_OPTION_ARG_NONE, &reuses_disks,
            "Keep the machines' disks, and start from those kept before", NULL},
        {"disk", 0, 0, G_OPTION_ARG_FILENAME, &disk,
            "Raw disk for the first machine in place of its image's; it is not written to", "FILE"},
        SP_OPTION_TESTS(&tests),
        SP_OPTION_IMAGES(&images),
        SP_OPTION_OUT(&out),
        G_OPTION_ENTRY_NULL,
    };
    g_autoptr(GError) error = NULL;
    int status;

    if (!sp_parse_options(&argc, &argv, "slotproof debug", "",
            "Open a Python prompt with the machines of a test, which are off.", options))
        return 2;
    if (argc > 1)
        return sp_usage_error("'debug' takes no argument '%s': name a test with -t", argv[1]);
    if (disk && !g_file_test(disk, G_FILE_TEST_IS_REGULAR))
        return sp_usage_error("--disk: there is no file '%s'", disk);
    if (disk && reuses_disks)
        return sp_usage_error("--disk and --keep are not for the same machine");
    if (out && !*out)
        return sp_usage_error("--out is empty: name a directory");
    const SpPrompt prompt = {
        .tests = tests,
        .test = name,
        .images = images,
        .out = out,
        .disk = disk,
        .reuses_disks = reuses_disks,
    };
    status = sp_prompt_run(&prompt, &error);
    return status < 0 ? sp_usage_error("%s", error->message) : status;
}
