/* SPDX-License-Identifier: MIT */
#include "cmd/cmd-options.h"
#include "cmd/commands.h"
#include "qemu/command.h"
#include "runner/out-dir.h"
#include "runner/runner.h"
#include "runner/simulate.h"
#include "suite/discover.h"
#include "suite/images.h"
#include "worker/worker.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What QEMU takes beside the guest's memory, translated code above all. */
#define QEMU_MIB 512
#define NOT_GIVEN G_MININT
#define PROCESSORS_MAX 1024u

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

static guint64 largest_memory(const GPtrArray *tests, GPtrArray *images)
{
    guint64 largest = 1;

    for (guint i = 0; i < tests->len; i++)
        largest = MAX(largest, memory_of(g_ptr_array_index(tests, i), images));
    return largest;
}

/* One a processor, as long as there is memory for as many of the largest. */
static int default_jobs(const GPtrArray *tests, GPtrArray *images)
{
    return (int)CLAMP(available_mib() / largest_memory(tests, images), 1, g_get_num_processors());
}

static void print_simulated(const SpTestConf *test, double begin_s, double end_s, void *data)
{
    printf("  %8.1f s to %8.1f s  %s\n", begin_s, end_s, test->name);
}

/* Of one that runs on so many processors and has memory for as many of the largest. */
static void simulate(const GPtrArray *tests, GPtrArray *images, const SpDurations *durations,
    guint processors, bool is_verbose)
{
    g_autoptr(GPtrArray) own = g_ptr_array_new();
    guint jobs = MIN(processors, tests->len);
    double seconds;

    g_ptr_array_extend(own, (GPtrArray *)(gpointer)tests, NULL, NULL);
    seconds = sp_simulate_run(own, durations, jobs, is_verbose ? print_simulated : NULL, NULL);
    printf("%5u processors: %8.1f s with %u tests at once, which need %.1f GiB of memory\n",
        processors, seconds, jobs, (double)(jobs * largest_memory(tests, images)) / 1024);
}

/* How long the tests would take, with each of the numbers of processors in @text. */
static int simulate_all(const GPtrArray *tests, GPtrArray *images, const SpDurations *durations,
    const char *text, bool is_verbose)
{
    g_auto(GStrv) words = g_strsplit(text, ",", -1);
    guint known = 0;
    double seconds, longest = 0, sum = 0;

    for (guint i = 0; i < tests->len; i++) {
        if (!sp_durations_get(durations, g_ptr_array_index(tests, i), &seconds))
            continue;
        longest = MAX(longest, seconds);
        sum += seconds;
        known++;
    }
    if (known == 0)
        return sp_usage_error("--simulate: how long these tests take is not known: run them first");
    printf("%u tests: %.1f s one by one, the longest %.1f s", known, sum, longest);
    if (known < tests->len)
        printf(
            "; %u more, which have not passed here yet, are taken for average", tests->len - known);
    printf("\n");
    for (char **word = words; *word; word++)
        simulate(tests, images, durations, (guint)g_ascii_strtoull(*word, NULL, 10), is_verbose);
    return 0;
}

/* Those that are named one by one are run in that order; otherwise the longest come first. */
static bool are_in_order(const char *const *names)
{
    bool is_named = *names;

    while (*names && !sp_test_name_is_pattern(*names))
        names++;
    return is_named && !*names;
}

typedef struct {
    char *tests, *images, *out;
    char *processors; /* to simulate; NULL: tests are run */
    char **tags;
    gboolean is_verbose, is_captured, is_cold, is_debugged, is_rerun, keeps_disks;
    int jobs;
} Options;

static void options_clear(Options *o)
{
    g_free(o->tests);
    g_free(o->images);
    g_free(o->out);
    g_free(o->processors);
    g_strfreev(o->tags);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Options, options_clear)

static bool parse(int *argc, char ***argv, Options *o)
{
    const GOptionEntry entries[] = {
        {"tag", 0, 0, G_OPTION_ARG_STRING_ARRAY, &o->tags,
            "Only tests with this tag; of several, with one of them", "TAG"},
        {"verbose", 'v', 0, G_OPTION_ARG_NONE, &o->is_verbose,
            "Show commands and consoles while they run", NULL},
        {"jobs", 'j', 0, G_OPTION_ARG_INT, &o->jobs,
            "How many tests run at once (one a processor, as far as there is memory)", "N"},
        {"rerun", 0, 0, G_OPTION_ARG_NONE, &o->is_rerun,
            "Run also tests that passed before and that nothing has changed since", NULL},
        {"capture", 0, 0, G_OPTION_ARG_NONE, &o->is_captured,
            "Write what each network carries to OUT/TEST/network-N.pcapng", NULL},
        {"cold", 0, 0, G_OPTION_ARG_NONE, &o->is_cold,
            "Use no checkpoints: let each test boot its machines by itself", NULL},
        {"keep-disks", 0, 0, G_OPTION_ARG_NONE, &o->keeps_disks,
            "Copy the disks of a test that fails to OUT/TEST/MACHINE.qcow2", NULL},
        {"debug-on-failure", 0, 0, G_OPTION_ARG_NONE, &o->is_debugged,
            "A Python prompt where a test fails, with its machines as they are; one test at a time",
            NULL},
        {"simulate", 0, 0, G_OPTION_ARG_STRING, &o->processors,
            "Run nothing: say how long it would take with so many processors, as 2,4,8", "N"},
        {"tests", 0, 0, G_OPTION_ARG_FILENAME, &o->tests, "The folder of tests (tests/e2e)", "DIR"},
        {"images", 'i', 0, G_OPTION_ARG_FILENAME, &o->images,
            "The folder of images ($SLOTPROOF_IMAGES, else build/images)", "DIR"},
        {"out", 'o', 0, G_OPTION_ARG_FILENAME, &o->out, "Where logs and files go (out)", "DIR"},
        G_OPTION_ENTRY_NULL,
    };

    return sp_parse_options(argc, argv, "slotproof run", "[TEST...]",
        "Run the tests named, or all; a TEST may be a shell pattern.", entries);
}

/* Numbers of processors with commas between. */
static bool are_processors(const char *text)
{
    g_auto(GStrv) words = g_strsplit(text, ",", -1);

    for (char **word = words; *word; word++) {
        if (!g_ascii_string_to_unsigned(*word, 10, 1, PROCESSORS_MAX, NULL, NULL))
            return false;
    }
    return *words != NULL;
}

/* 0 where they make sense. */
static int check_options(const Options *o)
{
    if (o->jobs < 1 && o->jobs != NOT_GIVEN)
        return sp_usage_error("--jobs %d: expected a number from 1 on", o->jobs);
    if (o->processors && !are_processors(o->processors))
        return sp_usage_error(
            "--simulate=%s: expected numbers of processors from 1 to %u, with commas between",
            o->processors, PROCESSORS_MAX);
    if (o->processors && (o->is_cold || o->jobs != NOT_GIVEN))
        return sp_usage_error(
            "--simulate is of a run with checkpoints, and says itself how many run "
            "at once: give it without --cold and --jobs");
    if (o->out && !*o->out)
        return sp_usage_error("--out is empty: name a directory");
    if (o->is_debugged && !(isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)))
        return sp_usage_error("--debug-on-failure: there is no terminal for the prompt");
    return 0;
}

static int run_tests(const Options *o, GPtrArray *list, GPtrArray *images, const char *images_dir,
    SpDurations *durations)
{
    g_autofree char *out = g_canonicalize_filename(o->out ? o->out : "out", NULL);
    int jobs = o->jobs == NOT_GIVEN ? default_jobs(list, images) : o->jobs;
    g_autoptr(SpKeptResults) kept = NULL;
    g_autoptr(GError) error = NULL;
    const SpKeptResultsConfig kept_config = {.images = images,
        .out = out,
        .is_cold = o->is_cold,
        .is_rerun = o->is_rerun,
        /* who wants a recording or a prompt wants a run, and one that somebody typed at proves
         * nothing */
        .only_forgets = o->is_captured || o->is_debugged};

    /* this process's to its end */
    if (sp_out_dir_lock(out, &error) < 0)
        return sp_usage_error("%s", error->message);
    kept = sp_kept_results_new(&kept_config);
    const SpRunOptions options = {.images = images_dir,
        .out = out,
        .is_verbose = o->is_verbose,
        .is_captured = o->is_captured,
        .is_cold = o->is_cold,
        .keeps_disks = o->keeps_disks,
        .is_debugged = o->is_debugged,
        .kept = kept,
        .durations = durations,
        .jobs = o->is_debugged ? 1 : MIN((guint)jobs, list->len)};
    return sp_run_tests(list, &sp_local_engine, &options);
}

int sp_cmd_run(int argc, char **argv)
{
    g_auto(Options) o = {.jobs = NOT_GIVEN};
    const char *const *names;
    g_autofree char *path =
        g_build_filename(g_get_user_cache_dir(), "slotproof", "durations", NULL);
    g_autoptr(SpDurations) durations = sp_durations_load(path);
    g_autofree char *images_dir = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) list = NULL;
    g_autoptr(GPtrArray) images = NULL;

    if (!parse(&argc, &argv, &o) || check_options(&o) != 0)
        return 2;
    names = (const char *const *)argv + (argc > 0);
    list =
        sp_tests_load(o.tests ? o.tests : "tests/e2e", names, (const char *const *)o.tags, &error);
    images_dir = sp_images_folder(o.images);
    images = list ? sp_images_load(images_dir, &error) : NULL;
    if (!images)
        return sp_usage_error("%s", error->message);
    for (guint i = 0; i < list->len; i++) {
        if (!check_test(g_ptr_array_index(list, i), images, &error))
            return sp_usage_error("%s", error->message);
    }
    if (!are_in_order(names))
        sp_durations_sort(durations, list);
    if (o.processors)
        return simulate_all(list, images, durations, o.processors, o.is_verbose);
    return run_tests(&o, list, images, images_dir, durations);
}

int sp_cmd_worker(int argc, char **argv)
{
    if (argc < 4)
        return sp_usage_error("'_worker' is for slotproof itself; see 'slotproof run --help'");
    return sp_worker_main(argv[1], argv[2], argv[3], (const char *const *)argv + 4);
}
