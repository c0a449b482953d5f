/* SPDX-License-Identifier: MIT */
#include "cmd-options.h"
#include "commands.h"
#include "machine/qemu-command.h"
#include "runner/discover.h"
#include "runner/images.h"
#include "runner/out-dir.h"
#include "runner/runner.h"
#include "runner/worker.h"

#include <string.h>
#include <unistd.h>

/* What QEMU takes beside the guest's memory, translated code above all. */
#define QEMU_MIB 512
#define NOT_GIVEN G_MININT

/* What can be known to be wrong is said before the first machine starts. */
static bool check_test(const SpTestConf *test, GPtrArray *images, GError **error)
{
    const GPtrArray *machines = sp_test_conf_machines(test);

    for (guint i = 0; i < machines->len; i++) {
        const SpTestMachine *machine = g_ptr_array_index(machines, i);
        SpImage *image = sp_images_find(images, machine->image, error);
        g_autofree char *qemu = NULL;

        if (!image || !sp_image_check(image, error)) {
            g_prefix_error(error, "test '%s', machine '%s': ", test->name, machine->name);
            return false;
        }
        qemu = sp_qemu_program(image->architecture, error);
        if (!qemu)
            return false;
    }
    return true;
}

/* Of this host, that nobody uses. */
static guint64 available_mib(void)
{
    g_autofree char *text = NULL;
    const char *line;

    if (!g_file_get_contents("/proc/meminfo", &text, NULL, NULL) ||
        !(line = strstr(text, "MemAvailable:")))
        return G_MAXUINT64;
    return g_ascii_strtoull(line + strlen("MemAvailable:"), NULL, 10) / 1024;
}

static guint64 memory_of(const SpTestConf *test, GPtrArray *images)
{
    const GPtrArray *machines = sp_test_conf_machines(test);
    guint64 mib = 0;

    for (guint i = 0; i < machines->len; i++) {
        const SpTestMachine *machine = g_ptr_array_index(machines, i);
        const SpImage *image = sp_images_find(images, machine->image, NULL);

        mib += QEMU_MIB + (machine->memory_mib ? machine->memory_mib
                              : image          ? image->memory_mib
                                               : 0);
    }
    return mib;
}

/* One a processor, as long as there is memory for as many of the largest. */
static int default_jobs(const GPtrArray *tests, GPtrArray *images)
{
    guint64 largest = 1;

    for (guint i = 0; i < tests->len; i++)
        largest = MAX(largest, memory_of(g_ptr_array_index(tests, i), images));
    return (int)CLAMP(available_mib() / largest, 1, g_get_num_processors());
}

/* Those that are named one by one are run in that order; otherwise the longest come first. */
static bool are_in_order(const char *const *names)
{
    bool is_named = *names;

    while (*names && !sp_test_name_is_pattern(*names))
        names++;
    return is_named && !*names;
}

int sp_cmd_run(int argc, char **argv)
{
    g_autofree char *tests = NULL;
    g_autofree char *images_option = NULL;
    g_autofree char *out = NULL;
    g_auto(GStrv) tags = NULL;
    gboolean is_verbose = FALSE, is_captured = FALSE, is_cold = FALSE, is_debugged = FALSE;
    gboolean keeps_disks = FALSE, is_rerun = FALSE;
    int jobs = NOT_GIVEN;
    const GOptionEntry options[] = {
        {"tag", 0, 0, G_OPTION_ARG_STRING_ARRAY, &tags,
            "Only tests with this tag; of several, with one of them", "TAG"},
        {"verbose", 'v', 0, G_OPTION_ARG_NONE, &is_verbose,
            "Show commands and consoles while they run", NULL},
        {"jobs", 'j', 0, G_OPTION_ARG_INT, &jobs,
            "How many tests run at once (one a processor, as far as there is memory)", "N"},
        {"capture", 0, 0, G_OPTION_ARG_NONE, &is_captured,
            "Write what each network carries to OUT/TEST/network-N.pcapng", NULL},
        {"rerun", 0, 0, G_OPTION_ARG_NONE, &is_rerun,
            "Run also tests that passed before and that nothing has changed since", NULL},
        {"cold", 0, 0, G_OPTION_ARG_NONE, &is_cold,
            "Use no checkpoints: let each test boot its machines by itself", NULL},
        {"keep-disks", 0, 0, G_OPTION_ARG_NONE, &keeps_disks,
            "Copy the disks of a test that fails to OUT/TEST/MACHINE.qcow2", NULL},
        {"debug-on-failure", 0, 0, G_OPTION_ARG_NONE, &is_debugged,
            "A Python prompt where a test fails, with its machines as they are; one test at a time",
            NULL},
        {"tests", 0, 0, G_OPTION_ARG_FILENAME, &tests, "The folder of tests (tests/e2e)", "DIR"},
        {"images", 'i', 0, G_OPTION_ARG_FILENAME, &images_option,
            "The folder of images ($SLOTPROOF_IMAGES, else build/images)", "DIR"},
        {"out", 'o', 0, G_OPTION_ARG_FILENAME, &out, "Where logs and files go (out)", "DIR"},
        G_OPTION_ENTRY_NULL,
    };
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) list = NULL;
    g_autoptr(GPtrArray) images = NULL;
    g_autofree char *durations_path =
        g_build_filename(g_get_user_cache_dir(), "slotproof", "durations", NULL);
    g_autoptr(SpDurations) durations = sp_durations_load(durations_path);
    g_autofree char *folder = NULL;
    g_autofree char *out_absolute = NULL;
    g_autoptr(SpKeptResults) kept = NULL;

    if (!sp_parse_options(&argc, &argv, "slotproof run", "[TEST...]",
            "Run the tests named, or all; a TEST may be a shell pattern.", options))
        return 2;
    if (jobs < 1 && jobs != NOT_GIVEN)
        return sp_usage_error("--jobs %d: expected a number from 1 on", jobs);
    if (out && !*out)
        return sp_usage_error("--out is empty: name a directory");
    if (is_debugged && !(isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)))
        return sp_usage_error("--debug-on-failure: there is no terminal for the prompt");
    list = sp_tests_load(tests ? tests : "tests/e2e", (const char *const *)argv + (argc > 0),
        (const char *const *)tags, &error);
    folder = sp_images_folder(images_option);
    images = list ? sp_images_load(folder, &error) : NULL;
    if (!images)
        return sp_usage_error("%s", error->message);
    for (guint i = 0; i < list->len; i++) {
        if (!check_test(g_ptr_array_index(list, i), images, &error))
            return sp_usage_error("%s", error->message);
    }
    if (jobs == NOT_GIVEN)
        jobs = default_jobs(list, images);
    if (!are_in_order((const char *const *)argv + (argc > 0)))
        sp_durations_sort(durations, list);
    out_absolute = g_canonicalize_filename(out ? out : "out", NULL);
    /* this process's to its end */
    if (sp_out_dir_lock(out_absolute, &error) < 0)
        return sp_usage_error("%s", error->message);
    const SpKeptResultsConfig kept_config = {
        .images = images, .out = out_absolute, .is_cold = is_cold, .is_rerun = is_rerun};
    /* who wants a recording or a prompt wants a run, and one that somebody typed at proves nothing
     */
    if (!is_captured && !is_debugged)
        kept = sp_kept_results_new(&kept_config);
    const SpRunOptions run_options = {.images = folder,
        .out = out_absolute,
        .is_verbose = is_verbose,
        .is_captured = is_captured,
        .is_cold = is_cold,
        .keeps_disks = keeps_disks,
        .is_debugged = is_debugged,
        .kept = kept,
        .durations = durations,
        .jobs = is_debugged ? 1 : MIN((guint)jobs, list->len)};
    return sp_run_tests(list, &sp_local_engine, &run_options);
}

int sp_cmd_worker(int argc, char **argv)
{
    if (argc < 4)
        return sp_usage_error("'_worker' is for slotproof itself; see 'slotproof run --help'");
    return sp_worker_main(argv[1], argv[2], argv[3], (const char *const *)argv + 4);
}
