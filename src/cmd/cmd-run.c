/* SPDX-License-Identifier: MIT */
#include "cmd/cmd-options.h"
#include "cmd/commands.h"
#include "qemu/command.h"
#include "runner/runner.h"
#include "runner/simulate.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What QEMU needs besides the guest's memory, mostly for translated code. */
#define QEMU_MIB 512
#define PROCESSORS_MAX 1024u

/* Whatever can be known to be wrong is reported before the first machine starts. */
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

/* Of the host's memory, what is free. */
static guint64 read_available_mib(void)
{
    g_autofree char *text = NULL;
    const char *line;

    if (!g_file_get_contents("/proc/meminfo", &text, NULL, NULL) ||
        !(line = strstr(text, "MemAvailable:")))
        return G_MAXUINT64;
    return g_ascii_strtoull(line + strlen("MemAvailable:"), NULL, 10) / 1024;
}

static guint64 sum_memory_mib(const SpTestConf *test, GPtrArray *images)
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

static guint64 find_largest_mib(const GPtrArray *tests, GPtrArray *images)
{
    guint64 largest = 1;

    for (guint i = 0; i < tests->len; i++)
        largest = MAX(largest, sum_memory_mib(g_ptr_array_index(tests, i), images));
    return largest;
}

/* One per processor, as far as there is memory for as many of the largest test. */
static guint choose_jobs(const GPtrArray *tests, GPtrArray *images)
{
    return (guint)CLAMP(
        read_available_mib() / find_largest_mib(tests, images), 1, g_get_num_processors());
}

static void print_simulated(const SpTestConf *test, double begin_s, double end_s, void *data)
{
    printf("  %8.1f s to %8.1f s  %s\n", begin_s, end_s, test->name);
}

/* With memory for as many of the largest test as there are processors. */
static void simulate_run(const GPtrArray *tests, GPtrArray *images, const SpDurations *durations,
    guint processors, bool is_verbose)
{
    g_autoptr(GPtrArray) own = g_ptr_array_new();
    guint jobs = MIN(processors, tests->len);
    double seconds;

    g_ptr_array_extend(own, (GPtrArray *)(gpointer)tests, NULL, NULL);
    seconds = sp_simulate_run(own, durations, jobs, is_verbose ? print_simulated : NULL, NULL);
    printf("%5u processors: %8.1f s with %u tests at once, which need %.1f GiB of memory\n",
        processors, seconds, jobs, (double)(jobs * find_largest_mib(tests, images)) / 1024);
}

/* How long the tests would take with each of the numbers of processors in @text. */
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
        printf("; %u more, which have not passed here yet, are assumed to take the average time",
            tests->len - known);
    printf("\n");
    for (char **word = words; *word; word++)
        simulate_run(
            tests, images, durations, (guint)g_ascii_strtoull(*word, NULL, 10), is_verbose);
    return 0;
}

/* Tests that are named one by one run in that order; otherwise the longest come first. */
static bool are_in_order(const char *const *names)
{
    bool is_named = *names;

    while (*names && !sp_test_name_is_pattern(*names))
        names++;
    return is_named && !*names;
}

typedef struct {
    char *tests, *images, *out, *engine;
    char *processors; /* to simulate; NULL: tests are run */
    char **tags;
    SpWorkerOptions worker; /* what the user wants of each worker */
    gboolean is_rerun;
    int jobs;
} Options;

static void run_options_clear(Options *o)
{
    g_free(o->tests);
    g_free(o->images);
    g_free(o->out);
    g_free(o->engine);
    g_free(o->processors);
    g_strfreev(o->tags);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Options, run_options_clear)

static bool parse_run_options(int *argc, char ***argv, Options *o)
{
    const GOptionEntry entries[] = {
        SP_OPTION_TAG(&o->tags),
        {"verbose", 'v', 0, G_OPTION_ARG_NONE, &o->worker.shows_consoles,
            "Show commands and consoles while they run", NULL},
        {"jobs", 'j', 0, G_OPTION_ARG_INT, &o->jobs,
            "Run up to N tests at once (default: number of CPUs, or fewer if memory is short)",
            "N"},
        {"rerun", 0, 0, G_OPTION_ARG_NONE, &o->is_rerun,
            "Also run tests that passed before and that nothing has changed since", NULL},
        {"capture", 0, 0, G_OPTION_ARG_NONE, &o->worker.is_captured,
            "Write what each network carries to OUT/TEST/network-N.pcapng", NULL},
        {"cold", 0, 0, G_OPTION_ARG_NONE, &o->worker.is_cold,
            "Use no checkpoints: each test boots its machines itself", NULL},
        {"keep-disks", 0, 0, G_OPTION_ARG_NONE, &o->worker.keeps_disks,
            "Copy the disks of a failed test to OUT/TEST/MACHINE.qcow2", NULL},
        {"debug-on-failure", 0, 0, G_OPTION_ARG_NONE, &o->worker.prompts_on_failure,
            "Open a Python prompt if a test fails, with its machines as they are; one test at a "
            "time",
            NULL},
        {"simulate", 0, 0, G_OPTION_ARG_STRING, &o->processors,
            "Run nothing: print how long it would take with N processors; several as in 2,4,8",
            "N"},
        {"engine", 0, 0, G_OPTION_ARG_STRING, &o->engine,
            "Where tests run (default: local, which is processes on this host)", "NAME"},
        SP_OPTION_TESTS(&o->tests),
        SP_OPTION_IMAGES(&o->images),
        SP_OPTION_OUT(&o->out),
        G_OPTION_ENTRY_NULL,
    };

    return sp_parse_options(argc, argv, "slotproof run", "[TEST...]",
        "Run the named tests, or all. A TEST may be a shell pattern.", entries);
}

/* Numbers of processors, separated by commas. */
static bool are_processors(const char *text)
{
    g_auto(GStrv) words = g_strsplit(text, ",", -1);

    for (char **word = words; *word; word++) {
        if (!g_ascii_string_to_unsigned(*word, 10, 1, PROCESSORS_MAX, NULL, NULL))
            return false;
    }
    return *words != NULL;
}

/* 0 if they make sense. */
static int check_options(const Options *o)
{
    bool has_jobs = o->jobs != SP_NOT_GIVEN;

    if (has_jobs && o->jobs < 1)
        return sp_usage_error("--jobs %d: expected a number from 1 on", o->jobs);
    if (o->processors && !are_processors(o->processors))
        return sp_usage_error(
            "--simulate=%s: expected numbers of processors from 1 to %u, separated by commas",
            o->processors, PROCESSORS_MAX);
    if (o->processors && (o->worker.is_cold || has_jobs))
        return sp_usage_error("--simulate is about a run with checkpoints, and determines itself "
                              "how many tests run at once: give it without --cold and --jobs");
    if (o->out && !*o->out)
        return sp_usage_error("--out is empty: name a directory");
    if (o->worker.prompts_on_failure && !(isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)))
        return sp_usage_error("--debug-on-failure: there is no terminal for the prompt");
    return 0;
}

/* What a run starts with. */
typedef struct {
    GPtrArray *tests;
    GPtrArray *images;
    char *images_dir;
    SpDurations *durations;
    const SpEngine *engine;
} Inputs;

static void inputs_clear(Inputs *inputs)
{
    g_clear_pointer(&inputs->tests, g_ptr_array_unref);
    g_clear_pointer(&inputs->images, g_ptr_array_unref);
    g_clear_pointer(&inputs->images_dir, g_free);
    g_clear_pointer(&inputs->durations, sp_durations_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Inputs, inputs_clear)

static bool load_inputs(const Options *o, const char *const *names, Inputs *inputs, GError **error)
{
    g_autofree char *path =
        g_build_filename(g_get_user_cache_dir(), "slotproof", "durations", NULL);

    inputs->engine = sp_engine_find(o->engine, error);
    if (!inputs->engine)
        return false;
    inputs->images_dir = sp_images_dir(o->images);
    inputs->tests =
        sp_tests_load(sp_tests_dir(o->tests), names, (const char *const *)o->tags, error);
    inputs->images = inputs->tests ? sp_images_load(inputs->images_dir, error) : NULL;
    if (!inputs->images)
        return false;
    for (guint i = 0; i < inputs->tests->len; i++) {
        if (!check_test(g_ptr_array_index(inputs->tests, i), inputs->images, error))
            return false;
    }
    inputs->durations = sp_durations_load(path);
    if (!are_in_order(names))
        sp_durations_sort(inputs->durations, inputs->tests);
    return true;
}

static int run_tests(const Options *o, const Inputs *inputs)
{
    g_autofree char *out = g_canonicalize_filename(o->out ? o->out : SP_OUT_DEFAULT, NULL);
    guint jobs =
        o->jobs != SP_NOT_GIVEN ? (guint)o->jobs : choose_jobs(inputs->tests, inputs->images);
    const SpKeptResultsConfig kept_config = {
        .images = inputs->images,
        .out = out,
        .is_cold = o->worker.is_cold,
        .is_rerun = o->is_rerun,
        /* a user who wants a recording or a prompt wants a run, and one that somebody typed at
         * proves nothing */
        .only_forgets = o->worker.is_captured || o->worker.prompts_on_failure,
    };
    SpRunOptions options = {
        .worker = o->worker,
        .out = out,
        .jobs = o->worker.prompts_on_failure ? 1 : MIN(jobs, inputs->tests->len),
    };
    g_autoptr(SpKeptResults) kept = NULL;
    g_autoptr(SpProgress) progress = NULL;
    g_autoptr(GError) error = NULL;

    options.worker.images = inputs->images_dir;
    /* held until this process ends */
    if (sp_out_dir_lock(out, &error) < 0)
        return sp_usage_error("%s", error->message);
    kept = sp_kept_results_new(&kept_config);
    (void)fflush(stdout);
    progress = sp_progress_new(STDOUT_FILENO, STDERR_FILENO, o->worker.prompts_on_failure);
    const SpRunContext context = {
        .engine = inputs->engine,
        .progress = progress,
        .kept = kept,
        .durations = inputs->durations,
    };
    return sp_run_tests(inputs->tests, &options, &context);
}

int sp_cmd_run(int argc, char **argv)
{
    g_auto(Options) o = {.jobs = SP_NOT_GIVEN};
    g_auto(Inputs) inputs = {0};
    g_autoptr(GError) error = NULL;

    if (!parse_run_options(&argc, &argv, &o) || check_options(&o) != 0)
        return 2;
    if (!load_inputs(&o, (const char *const *)argv + (argc > 0), &inputs, &error))
        return sp_usage_error("%s", error->message);
    if (o.processors)
        return simulate_all(
            inputs.tests, inputs.images, inputs.durations, o.processors, o.worker.shows_consoles);
    return run_tests(&o, &inputs);
}
