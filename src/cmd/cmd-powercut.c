/* SPDX-License-Identifier: MIT */
#include "base/unnamed-file.h"
#include "cmd/cmd-options.h"
#include "cmd/commands.h"
#include "powercut/campaign.h"
#include "runner/runner.h"
#include "worker/prompt.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

/* The test that records an installation on the gateway, has all states checked, and boots some. */
#define GATEWAY_TEST "power-cut-states"
/* What it finds its options in, and where it writes what was found. */
#define GATEWAY_VARIABLE "SLOTPROOF_POWERCUT"
#define FAILURES_SHOWN 10
#define GATEWAY_REPORT "powercut.txt"

/* What takes long is told of after so long, and then again and again. */
#define FIRST_WORD_US (2 * G_USEC_PER_SEC)
#define NEXT_WORD_US (10 * G_USEC_PER_SEC)

typedef struct {
    char *image, *log, *check, *boot, *rootfs, *report, *state, *write, *partition;
    char *tests, *images, *out;
    int installed, started, seed, samples, states_max, shown, examples, boots;
    int jobs, check_timeout, data_samples;
    gboolean is_debugged, is_verbose;
} Options;

static void options_clear(Options *options)
{
    char *const strings[] = {options->image, options->log, options->check, options->boot,
        options->rootfs, options->report, options->state, options->write, options->tests,
        options->images, options->out, options->partition};

    for (gsize i = 0; i < G_N_ELEMENTS(strings); i++)
        g_free(strings[i]);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Options, options_clear)

static bool parse(int *argc, char ***argv, Options *o)
{
    const GOptionEntry options[] = {
        {"boots", 0, 0, G_OPTION_ARG_INT, &o->boots,
            "Of the gateway: start so many states (one of each kind), others by chance", "N"},
        {"verbose", 'v', 0, G_OPTION_ARG_NONE, &o->is_verbose,
            "Of the gateway: show commands and consoles while they run", NULL},
        {"image", 0, 0, G_OPTION_ARG_FILENAME, &o->image,
            "The disk as it was when the recording began, raw", "DISK"},
        {"log", 0, 0, G_OPTION_ARG_FILENAME, &o->log,
            "What was written since: a log of QEMU's blklogwrites, or dm-log-writes", "LOG"},
        {"check", 0, 0, G_OPTION_ARG_STRING, &o->check,
            "A shell command that fails where the disk $SLOTPROOF_DISK is not well; else what must "
            "hold of the gateway's slots",
            "CMD"},
        {"partition", 0, 0, G_OPTION_ARG_STRING, &o->partition,
            "With --check or --write: not the disk, but this partition of its GPT", "NAME"},
        {"jobs", 'j', 0, G_OPTION_ARG_INT, &o->jobs,
            "So many programs side by side (as many as there are processors)", "N"},
        {"check-timeout", 0, 0, G_OPTION_ARG_INT, &o->check_timeout,
            "A command of --check that takes longer than so many seconds fails (60)", "N"},
        {"data-samples", 0, 0, G_OPTION_ARG_INT, &o->data_samples,
            "Of the gateway: look into so many contents of the data partition (128)", "N"},
        {"boot", 0, 0, G_OPTION_ARG_FILENAME, &o->boot, "The boot image that was installed",
            "FILE"},
        {"rootfs", 0, 0, G_OPTION_ARG_FILENAME, &o->rootfs, "The root image that was installed",
            "FILE"},
        {"installed-from", 0, 0, G_OPTION_ARG_INT, &o->installed,
            "The entry of the log at which the installation had ended", "N"},
        {"started-from", 0, 0, G_OPTION_ARG_INT, &o->started,
            "The entry of the log at which the new release was started", "N"},
        {"seed", 0, 0, G_OPTION_ARG_INT, &o->seed, "Of the choices by chance (0)", "N"},
        {"samples", 0, 0, G_OPTION_ARG_INT, &o->samples,
            "Such choices between two flushes with many writes (256)", "N"},
        {"max-states", 0, 0, G_OPTION_ARG_INT, &o->states_max, "Check so many, by chance (0: all)",
            "N"},
        {"max-failures", 0, 0, G_OPTION_ARG_INT, &o->shown, "Tell of so many kinds of failure (10)",
            "N"},
        {"report", 0, 0, G_OPTION_ARG_FILENAME, &o->report, "Write all that was found as JSON",
            "FILE"},
        {"examples", 0, 0, G_OPTION_ARG_INT, &o->examples,
            "With --report: name so many states of each kind (1)", "N"},
        {"state", 0, 0, G_OPTION_ARG_STRING, &o->state,
            "With --write or --debug: the state to make", "NAME"},
        {"write", 0, 0, G_OPTION_ARG_FILENAME, &o->write,
            "Write the disk of --state as a raw file, and check nothing", "FILE"},
        {"debug", 0, 0, G_OPTION_ARG_NONE, &o->is_debugged,
            "A prompt with a gateway on the disk of --state (debug --disk)", NULL},
        SP_OPTION_TESTS(&o->tests),
        SP_OPTION_IMAGES(&o->images),
        SP_OPTION_OUT(&o->out),
        G_OPTION_ENTRY_NULL,
    };

    return sp_parse_options(argc, argv, "slotproof powercut", NULL,
        "Check a disk in every state that a power cut can leave it in, between any two of the "
        "writes that were recorded. Without --image an installation on the gateway is recorded.",
        options);
}

static bool is_range(int value, int low, int high, const char *option)
{
    if (value >= low && value <= high)
        return true;
    sp_usage_error("--%s=%d: expected a number from %d to %d", option, value, low, high);
    return false;
}

/* False, after saying so, for options that do not go together. */
static bool is_consistent(const Options *o)
{
    bool is_one_state = o->write || o->is_debugged;

    if (!o->image != !o->log)
        sp_usage_error("--image and --log go together");
    else if (!o->image && (o->check || o->boot || o->rootfs || o->report || o->state || o->write ||
                              o->is_debugged || o->installed >= 0 || o->started >= 0 ||
                              o->states_max != 0 || o->shown != FAILURES_SHOWN || o->examples != 1))
        sp_usage_error("without --image and --log an installation on the gateway is recorded, for "
                       "which there are --boots, --seed, --samples, --tests, --images, --out");
    else if (o->image && o->boots >= 0)
        sp_usage_error("--boots is for the gateway, without --image");
    else if (o->partition && !o->check && !o->write)
        sp_usage_error("--partition goes with --check or --write");
    else if (!o->state != !is_one_state || (o->write && o->is_debugged))
        sp_usage_error("--state goes with one of --write and --debug");
    else
        return is_range(o->seed, 0, G_MAXINT, "seed") &&
               is_range(o->samples, 0, 100000, "samples") &&
               is_range(o->states_max, 0, G_MAXINT, "max-states") &&
               is_range(o->jobs, 1, 1000, "jobs") &&
               is_range(o->check_timeout, 1, 86400, "check-timeout") &&
               is_range(o->data_samples, 0, 1000000, "data-samples") &&
               is_range(o->examples, 1, 10000, "examples") &&
               is_range(o->boots, -1, 10000, "boots") &&
               is_range(o->shown, 0, G_MAXINT, "max-failures");
    return false;
}

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
    interrupted = signal_number;
}

static bool is_interrupted(void *data)
{
    return interrupted != 0;
}

static void set_handlers(void (*handler)(int))
{
    const struct sigaction action = {.sa_handler = handler};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    sigaction(SIGQUIT, &action, NULL);
}

/* @data is the time of the next word. */
static void on_progress(const char *doing, guint64 done, guint64 all, void *data)
{
    gint64 *next = data, now = g_get_monotonic_time();

    if (now < *next)
        return;
    *next = now + NEXT_WORD_US;
    if (all > 0)
        fprintf(stderr, "slotproof: %s: %.0f %%\n", doing, (double)done * 100 / (double)all);
    else
        fprintf(stderr, "slotproof: %s: %" G_GUINT64_FORMAT "\n", doing, done);
}

/* False, after saying so, where what is to be written is one of the files that are read: a
 * recording can't be made again. */
static bool is_output_safe(const Options *o)
{
    const struct {
        const char *option, *path;
    } outputs[] = {{"write", o->write}, {"report", o->report}},
      inputs[] = {{"image", o->image}, {"log", o->log}, {"boot", o->boot}, {"rootfs", o->rootfs}};

    for (gsize i = 0; i < G_N_ELEMENTS(outputs); i++) {
        for (gsize j = 0; j < G_N_ELEMENTS(inputs); j++) {
            if (!sp_is_same_file(outputs[i].path, inputs[j].path))
                continue;
            sp_usage_error("--%s '%s' is the very file of --%s, which would be lost: name another "
                           "file",
                outputs[i].option, outputs[i].path, inputs[j].option);
            return false;
        }
    }
    return true;
}

/* On an unnamed disk of the state, so that nothing is left however it ends. */
static int debug(const SpCampaign *campaign, const Options *o)
{
    g_autoptr(GError) error = NULL;
    int fd = sp_unnamed_file_open(&error);
    g_autofree char *path = g_strdup_printf("/proc/%d/fd/%d", (int)getpid(), fd);
    const SpPrompt wanted = {
        .test = GATEWAY_TEST,
        .tests = o->tests,
        .images = o->images,
        .out = o->out,
        .disk = path,
    };
    int status;

    if (fd >= 0 &&
        (!sp_prompt_spares(o->image, o->out, &error) || !sp_prompt_spares(o->log, o->out, &error)))
        status = sp_usage_error("%s", error->message);
    else if (fd < 0 || !sp_campaign_write_state(campaign, o->state, path, &error)) {
        status = interrupted ? 128 + interrupted : sp_usage_error("%s", error->message);
    } else {
        set_handlers(SIG_DFL);
        status = sp_prompt_run(&wanted, &error);
        if (status < 0)
            status = sp_usage_error("%s", error->message);
    }
    if (fd >= 0)
        (void)close(fd);
    return status;
}

static int write_state(const SpCampaign *campaign, const Options *o)
{
    g_autoptr(GError) error = NULL;

    if (sp_campaign_write_state(campaign, o->state, o->write, &error))
        return 0;
    return interrupted ? 128 + interrupted : sp_usage_error("%s", error->message);
}

static int check(const Options *o)
{
    gint64 next_word = g_get_monotonic_time() + FIRST_WORD_US;
    SpCampaign campaign = {
        .image = o->image,
        .log = o->log,
        .check = o->check,
        .boot = o->boot,
        .rootfs = o->rootfs,
        .report = o->report,
        .installed_from = o->installed < 0 ? G_MAXUINT : (guint)o->installed,
        .started_from = o->started < 0 ? G_MAXUINT : (guint)o->started,
        .failures_shown = (guint)o->shown,
        .examples = (guint)o->examples,
        .states_max = (guint)o->states_max,
        .partition = o->partition,
        .jobs = (guint)o->jobs,
        .check_timeout_ms = (gint64)o->check_timeout * 1000,
        .data_samples = (guint)o->data_samples,
        .states = sp_crash_options,
        .task = {.interrupt = {.func = is_interrupted}, .func = on_progress, .data = &next_word},
    };
    g_autoptr(GError) error = NULL;
    int status;

    campaign.states.samples = (guint)o->samples;
    campaign.states.seed = (guint32)o->seed;
    if (!is_output_safe(o))
        return 2;
    set_handlers(on_interrupt);
    if (o->is_debugged)
        return debug(&campaign, o);
    if (o->write)
        return write_state(&campaign, o);
    status = sp_campaign_run(&campaign, &error);
    if (status == SP_CAMPAIGN_INTERRUPTED)
        return 128 + interrupted;
    return error ? sp_usage_error("%s", error->message) : status;
}

/* What the test has written, if it came so far. */
static void print_report(const char *out)
{
    g_autofree char *path = g_build_filename(out, GATEWAY_TEST, GATEWAY_REPORT, NULL);
    g_autofree char *text = NULL;

    if (g_file_get_contents(path, &text, NULL, NULL))
        fputs(text, stdout);
}

/* Told of what a plain run would take as kept, to forget it where it fails here. */
static SpKeptResults *find_kept(GPtrArray *tests, GPtrArray *images, const char *out)
{
    const SpKeptResultsConfig config = {.images = images, .out = out, .only_forgets = true};
    SpKeptResults *kept = sp_kept_results_new(&config);

    for (guint i = 0; i < tests->len; i++) {
        g_autofree char *warning = NULL;
        sp_record_free(sp_kept_results_take(kept, tests->pdata[i], &warning));
    }
    return kept;
}

static int check_gateway(const Options *o)
{
    const char *const names[] = {GATEWAY_TEST, NULL};
    g_autofree char *out = g_canonicalize_filename(o->out ? o->out : SP_OUT_DEFAULT, NULL);
    g_autofree char *images = sp_images_folder(o->images);
    g_autofree char *words =
        g_strdup_printf("seed=%d samples=%d boots=%d", o->seed, o->samples, o->boots);
    const SpRunOptions options = {
        .worker = {.images = images, .shows_consoles = o->is_verbose}, .out = out, .jobs = 1};
    SpRunContext context = {.engine = &sp_local_engine};
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) tests = sp_tests_load(sp_tests_dir(o->tests), names, NULL, &error);
    g_autoptr(GPtrArray) list = tests ? sp_images_load(images, NULL) : NULL;
    g_autoptr(SpKeptResults) kept = NULL;
    int status;

    if (!tests)
        return sp_usage_error("%s", error->message);
    if (o->out && !*o->out)
        return sp_usage_error("--out is empty: name a directory");
    /* this process's to its end */
    if (sp_out_dir_lock(out, &error) < 0)
        return sp_usage_error("%s", error->message);
    /* before the variable is set, which decides a result too */
    context.kept = kept = list ? find_kept(tests, list, out) : NULL;
    g_setenv(GATEWAY_VARIABLE, words, TRUE);
    (void)fflush(stdout);
    context.progress = sp_progress_new(STDOUT_FILENO, STDERR_FILENO, false);
    status = sp_run_tests(tests, &options, &context);
    sp_progress_free(context.progress);
    if (status == 0 || status == 1)
        print_report(out);
    return status;
}

int sp_cmd_powercut(int argc, char **argv)
{
    g_auto(Options) options = {
        .samples = (int)sp_crash_options.samples,
        .installed = -1,
        .started = -1,
        .shown = FAILURES_SHOWN,
        .examples = 1,
        .boots = -1,
        .jobs = (int)g_get_num_processors(),
        .check_timeout = 60,
        .data_samples = 128,
    };

    if (!parse(&argc, &argv, &options))
        return 2;
    if (argc > 1)
        return sp_usage_error("powercut takes no '%s'", argv[1]);
    if (!is_consistent(&options))
        return 2;
    return options.image ? check(&options) : check_gateway(&options);
}
