/* SPDX-License-Identifier: MIT */

/* 'slotproof powercut': checks the crash states of a recording, or runs the test that makes one. */

#include "base/unnamed-file.h"
#include "cmd/cmd-options.h"
#include "cmd/commands.h"
#include "powercut/campaign.h"
#include "powercut/findings-file.h"
#include "runner/runner.h"
#include "worker/prompt.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Tests with this tag record a device, have all states checked, and boot some. */
#define TEST_TAG "powercut"
/* Where such a test finds its options. */
#define TEST_VARIABLE "SLOTPROOF_POWERCUT"
#define FAILURES_SHOWN 10

/* Progress is reported after this time, and then again and again. */
#define FIRST_PROGRESS_US (2 * G_USEC_PER_SEC)
#define NEXT_PROGRESS_US (10 * G_USEC_PER_SEC)

typedef struct {
    char *image, *log, *check, *policy, *report, *state, *write, *partition;
    char **contents;
    char *tests, *images, *out;
    int installed, started, seed, samples, states_max, shown, examples, boots;
    int jobs, check_timeout, fsck_samples;
    gboolean is_debugged, is_verbose;
} Options;

static void clear_options(Options *options)
{
    char *const strings[] = {options->image, options->log, options->check, options->policy,
        options->report, options->state, options->write, options->tests, options->images,
        options->out, options->partition};

    for (gsize i = 0; i < G_N_ELEMENTS(strings); i++)
        g_free(strings[i]);
    g_strfreev(options->contents);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Options, clear_options)

static bool parse_powercut_options(int *argc, char ***argv, Options *o)
{
    const GOptionEntry options[] = {
        {"image", 0, 0, G_OPTION_ARG_FILENAME, &o->image,
            "The raw disk as it was when the recording began", "DISK"},
        {"log", 0, 0, G_OPTION_ARG_FILENAME, &o->log,
            "What was written since: a log of QEMU's blklogwrites, or of dm-log-writes", "LOG"},
        {"check", 0, 0, G_OPTION_ARG_STRING, &o->check,
            "A shell command that fails if the disk $SLOTPROOF_DISK is not in order", "CMD"},
        {"policy", 0, 0, G_OPTION_ARG_FILENAME, &o->policy,
            "What must hold of the disk: the powercut.conf of its image", "FILE"},
        {"content", 0, 0, G_OPTION_ARG_STRING_ARRAY, &o->contents,
            "With --policy: at the log's end this partition must begin with FILE",
            "PARTITION=FILE"},
        {"installed-from", 0, 0, G_OPTION_ARG_INT, &o->installed,
            "With --policy: the entry of the log at which the installation had ended", "N"},
        {"started-from", 0, 0, G_OPTION_ARG_INT, &o->started,
            "With --policy: the entry of the log at which the installed group was started", "N"},
        {"fsck-samples", 0, 0, G_OPTION_ARG_INT, &o->fsck_samples,
            "With --policy: contents to check of each partition that the decider is not given "
            "(default 128)",
            "N"},
        {"partition", 0, 0, G_OPTION_ARG_STRING, &o->partition,
            "With --check or --write: only this partition of the disk's GPT", "NAME"},
        {"jobs", 'j', 0, G_OPTION_ARG_INT, &o->jobs,
            "Run up to N programs in parallel (default: number of CPUs)", "N"},
        {"check-timeout", 0, 0, G_OPTION_ARG_INT, &o->check_timeout,
            "Fail a command of --check that takes longer than N seconds (default 60)", "N"},
        {"seed", 0, 0, G_OPTION_ARG_INT, &o->seed, "Seed for random choices (default 0)", "N"},
        {"samples", 0, 0, G_OPTION_ARG_INT, &o->samples,
            "Random subsets to try of each large epoch (default 256)", "N"},
        {"max-states", 0, 0, G_OPTION_ARG_INT, &o->states_max,
            "Check a random choice of N states (default 0: all)", "N"},
        {"max-failures", 0, 0, G_OPTION_ARG_INT, &o->shown,
            "Report at most N distinct failures (default 10)", "N"},
        {"report", 0, 0, G_OPTION_ARG_FILENAME, &o->report, "Write all findings as JSON", "FILE"},
        {"examples", 0, 0, G_OPTION_ARG_INT, &o->examples,
            "With --report: name N states of each class (default 1)", "N"},
        {"state", 0, 0, G_OPTION_ARG_STRING, &o->state,
            "With --write or --debug: the state to make", "NAME"},
        {"write", 0, 0, G_OPTION_ARG_FILENAME, &o->write,
            "Write the disk of --state as a raw file, and check nothing", "FILE"},
        {"debug", 0, 0, G_OPTION_ARG_NONE, &o->is_debugged,
            "Start a prompt with a machine on the disk of --state (debug --disk)", NULL},
        {"boots", 0, 0, G_OPTION_ARG_INT, &o->boots,
            "Without --image: boot N states: one of each class first, then random others", "N"},
        {"verbose", 'v', 0, G_OPTION_ARG_NONE, &o->is_verbose,
            "Without --image: show commands and consoles as they run", NULL},
        SP_OPTION_TESTS(&o->tests),
        SP_OPTION_IMAGES(&o->images),
        SP_OPTION_OUT(&o->out),
        G_OPTION_ENTRY_NULL,
    };

    return sp_parse_options(argc, argv, "slotproof powercut", NULL,
        "Check a disk in every state that a power cut can leave it in, between any two of the "
        "writes that were recorded. Without --image, run the tests with the tag '" TEST_TAG
        "', which record a device and check it.",
        options);
}

static bool is_range(int value, int low, int high, const char *option)
{
    if (value >= low && value <= high)
        return true;
    sp_usage_error("--%s=%d: expected a number from %d to %d", option, value, low, high);
    return false;
}

/* Without --image: whether there is an option that is for a recording. */
static bool has_recording_option(const Options *o)
{
    return o->check || o->policy || o->contents || o->report || o->state || o->write ||
           o->is_debugged || o->installed >= 0 || o->started >= 0 || o->states_max != 0 ||
           o->shown != FAILURES_SHOWN || o->examples != 1;
}

static bool has_policy_option(const Options *o)
{
    return o->contents || o->installed >= 0 || o->started >= 0;
}

/* Returns false, after saying so, if options do not go together. */
static bool is_consistent(const Options *o)
{
    bool is_one_state = o->write || o->is_debugged;

    if (!o->image != !o->log)
        sp_usage_error("--image and --log go together");
    else if (!o->image && has_recording_option(o))
        sp_usage_error("without --image and --log a test records a device, for which there are "
                       "--boots, --seed, --samples, --tests, --images, --out");
    else if (o->image && o->boots >= 0)
        sp_usage_error("--boots is for a test, without --image");
    else if (!o->state != !is_one_state || (o->write && o->is_debugged))
        sp_usage_error("--state goes with one of --write and --debug");
    else if (o->image && !is_one_state && !o->check == !o->policy)
        sp_usage_error("give one of --check CMD, which says whether a disk is in order, and "
                       "--policy FILE, an image's " SP_POLICY_FILE);
    else if (o->image && !is_one_state && !o->policy && has_policy_option(o))
        sp_usage_error("--content, --installed-from and --started-from go with --policy");
    else if (o->partition && !o->check && !o->write)
        sp_usage_error("--partition goes with --check or --write");
    else
        return is_range(o->seed, 0, G_MAXINT, "seed") &&
               is_range(o->samples, 0, 100000, "samples") &&
               is_range(o->states_max, 0, G_MAXINT, "max-states") &&
               is_range(o->jobs, 1, 1000, "jobs") &&
               is_range(o->check_timeout, 1, 86400, "check-timeout") &&
               is_range(o->fsck_samples, 0, 1000000, "fsck-samples") &&
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

static bool was_signalled(void *data)
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

/* @data is the time of the next report. */
static void on_progress(const char *doing, guint64 done, guint64 all, void *data)
{
    gint64 *next = data, now = g_get_monotonic_time();

    if (now < *next)
        return;
    *next = now + NEXT_PROGRESS_US;
    if (all > 0)
        fprintf(stderr, "slotproof: %s: %.0f %%\n", doing, (double)done * 100 / (double)all);
    else
        fprintf(stderr, "slotproof: %s: %" G_GUINT64_FORMAT "\n", doing, done);
}

/* Returns false, after saying so, if a file to be written is one of those that are read: a
 * recording can't be made again. */
static bool is_other_file(const char *option, const char *output, const char *of, const char *input)
{
    if (!sp_is_same_file(output, input))
        return true;
    sp_usage_error("--%s '%s' is the very file of %s, which would be lost: name another file",
        option, output, of);
    return false;
}

static bool is_output_safe(const Options *o, const char *option, const char *output,
    const GArray *contents, const SpPolicy *policy)
{
    bool is_safe = is_other_file(option, output, "--image", o->image) &&
                   is_other_file(option, output, "--log", o->log) &&
                   is_other_file(option, output, "--policy", o->policy) &&
                   (!policy || is_other_file(option, output, "Decider=", policy->decider));

    for (guint i = 0; i < contents->len && is_safe; i++)
        is_safe = is_other_file(
            option, output, "--content", g_array_index(contents, SpPolicyContent, i).path);
    return is_safe;
}

/* On an unnamed disk of the state, so that nothing is left however it ends. */
static int debug_state(const SpCampaign *campaign, const Options *o)
{
    g_autoptr(GError) error = NULL;
    int fd = sp_unnamed_file_open(&error);
    g_autofree char *path = g_strdup_printf("/proc/%d/fd/%d", (int)getpid(), fd);
    const SpPrompt wanted = {
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

static void print_campaign_text(SpCampaignText kind, const char *text, void *data)
{
    if (kind == SP_CAMPAIGN_WARNING) {
        fprintf(stderr, "slotproof: warning: %s\n", text);
        return;
    }
    fputs(text, stdout);
    (void)fflush(stdout);
}

/* An array of SpPolicyContent, whose strings are those of @o, each cut in two; NULL, after saying
 * so, if one is invalid. */
static GArray *split_contents(const Options *o)
{
    g_autoptr(GArray) array = g_array_new(FALSE, FALSE, sizeof(SpPolicyContent));

    for (char **word = o->contents; word && *word; word++) {
        char *path = strchr(*word, '=');
        SpPolicyContent content = {*word, path ? path + 1 : NULL};

        if (!path || path == *word || !path[1]) {
            sp_usage_error("--content=%s: expected PARTITION=FILE", *word);
            return NULL;
        }
        *path = '\0';
        g_array_append_val(array, content);
    }
    return g_steal_pointer(&array);
}

static bool has_not_started(const SpPolicy *policy)
{
    for (guint i = 0; i < policy->groups->len; i++) {
        if (((const SpPolicyGroup *)policy->groups->pdata[i])->not_started)
            return true;
    }
    return false;
}

/* Returns false, after saying so, if an option asks for what the policy does not say. */
static bool is_policy_sufficient(const Options *o, const SpPolicy *policy)
{
    if (policy && o->installed >= 0 && policy->groups->len == 0)
        sp_usage_error(
            "--installed-from needs a policy with groups: '%s' has no [Group NAME]", o->policy);
    else if (policy && o->started >= 0 && !has_not_started(policy))
        sp_usage_error("--started-from needs a policy that says when a group was not started: '%s' "
                       "has no [Group NAME] with NotStarted=",
            o->policy);
    else
        return true;
    return false;
}

static int run_campaign(const SpCampaign *campaign, const Options *o)
{
    g_autoptr(GError) error = NULL;
    int status;

    if (o->is_debugged)
        return debug_state(campaign, o);
    if (o->write)
        return write_state(campaign, o);
    status = sp_campaign_run(campaign, &error);
    if (status == SP_CAMPAIGN_INTERRUPTED)
        return 128 + interrupted;
    return error ? sp_usage_error("%s", error->message) : status;
}

static int check_recording(const Options *o)
{
    gint64 next_report = g_get_monotonic_time() + FIRST_PROGRESS_US;
    g_autoptr(GArray) contents = split_contents(o);
    g_autoptr(GError) error = NULL;
    g_autoptr(SpPolicy) policy = o->policy ? sp_policy_load(o->policy, &error) : NULL;
    SpCampaign campaign = {
        .image = o->image,
        .log = o->log,
        .check = o->check,
        .policy = policy,
        .report = o->report,
        .installed_from = o->installed < 0 ? G_MAXUINT : (guint)o->installed,
        .started_from = o->started < 0 ? G_MAXUINT : (guint)o->started,
        .failures_shown = (guint)o->shown,
        .examples = (guint)o->examples,
        .states_max = (guint)o->states_max,
        .partition = o->partition,
        .jobs = (guint)o->jobs,
        .check_timeout_ms = (gint64)o->check_timeout * 1000,
        .samples = (guint)o->fsck_samples,
        .states = sp_crash_options,
        .task = {.interrupt = {.func = was_signalled}, .func = on_progress, .data = &next_report},
        .func = print_campaign_text,
    };

    if (error)
        return sp_usage_error("%s", error->message);
    if (!contents || !is_output_safe(o, "write", o->write, contents, policy) ||
        !is_output_safe(o, "report", o->report, contents, policy) ||
        !is_policy_sufficient(o, policy))
        return 2;
    campaign.contents = (const SpPolicyContent *)(void *)contents->data;
    campaign.contents_count = contents->len;
    campaign.states.samples = (guint)o->samples;
    campaign.states.seed = (guint32)o->seed;
    set_handlers(on_interrupt);
    return run_campaign(&campaign, o);
}

/* --- a test that records ---------------------------------------------------------------------- */

/* As the check of a recording reports them. */
static void print_found_failures(const GArray *failures)
{
    for (guint i = 0; i < failures->len; i++) {
        const SpFoundFailure *failure = &g_array_index(failures, SpFoundFailure, i);

        printf("FAILED: state %s: %s\n%s", failure->state, failure->reason,
            failure->writes ? failure->writes : "");
        if (failure->disk)
            printf("  its disk: %s\n", failure->disk);
        if (failure->machine)
            printf("  a machine with it: %s\n", failure->machine);
    }
}

/* What a test has found, if it came that far. */
static void print_findings(const char *out, const char *test)
{
    g_autofree char *path = g_build_filename(out, test, SP_FINDINGS_FILE, NULL);
    g_autofree char *text = NULL;
    gsize length;
    g_autoptr(SpFindingsFile) file = NULL;

    if (g_file_get_contents(path, &text, &length, NULL))
        file = sp_findings_file_parse(text, length);
    if (!file)
        return;
    print_found_failures(file->failures);
    print_found_failures(file->boot_failures);
    for (guint i = 0; i < file->classes->len; i++) {
        const SpFoundClass *class = &g_array_index(file->classes, SpFoundClass, i);

        printf("%8" G_GINT64_FORMAT "  %s (%u booted, %u failed)\n", class->states, class->facts,
            class->booted, class->failed);
    }
    printf("%" G_GINT64_FORMAT " states seen, %" G_GINT64_FORMAT " distinct, %" G_GINT64_FORMAT
           " checked, %" G_GINT64_FORMAT " failed; %u booted\n",
        file->seen, file->distinct, file->checked, file->failed, file->booted);
}

/* The tests with the tag, whatever is wrong with others. */
static GPtrArray *load_recording_tests(const char *dir, GError **error)
{
    const char *const tags[] = {TEST_TAG, NULL};
    GPtrArray *tests = sp_tests_load_valid(dir, tags, error);

    if (tests && tests->len == 0) {
        g_ptr_array_unref(tests);
        tests = sp_tests_load(dir, NULL, tags, error); /* which says what is wrong */
    }
    return tests;
}

/* The results that a plain run would keep: those of tests that fail here are forgotten. */
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

static int run_recording_tests(const Options *o)
{
    g_autofree char *out = g_canonicalize_filename(o->out ? o->out : SP_OUT_DEFAULT, NULL);
    g_autofree char *images = sp_images_dir(o->images);
    g_autofree char *words =
        g_strdup_printf("seed=%d samples=%d boots=%d", o->seed, o->samples, o->boots);
    const SpRunOptions options = {
        .worker = {.images = images, .shows_consoles = o->is_verbose}, .out = out, .jobs = 1};
    SpRunContext context = {.engine = &sp_local_engine};
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) tests = load_recording_tests(sp_tests_dir(o->tests), &error);
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
    g_setenv(TEST_VARIABLE, words, TRUE);
    (void)fflush(stdout);
    context.progress = sp_progress_new(STDOUT_FILENO, STDERR_FILENO, false);
    status = sp_run_tests(tests, &options, &context);
    sp_progress_free(context.progress);
    for (guint i = 0; i < tests->len; i++)
        print_findings(out, ((const SpTestConf *)tests->pdata[i])->name);
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
        .fsck_samples = 128,
    };

    if (!parse_powercut_options(&argc, &argv, &options))
        return 2;
    if (argc > 1)
        return sp_usage_error("powercut takes no '%s'", argv[1]);
    if (!is_consistent(&options))
        return 2;
    return options.image ? check_recording(&options) : run_recording_tests(&options);
}
