/* SPDX-License-Identifier: MIT */

/* Goes through all crash states of a recording and has each checked. */

#include "powercut/campaign.h"

#include "base/error.h"
#include "base/json.h"
#include "powercut/command-check.h"
#include "powercut/crash-file.h"
#include "powercut/findings.h"
#include "powercut/partitions.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A random choice out of states as they come: the same each time. */
typedef struct {
    GRand *rand;
    guint64 left, wanted;
} Choice;

typedef struct {
    const SpCampaign *campaign;
    SpCrashOptions states;
    SpCrashDisk *disk;
    SpWriteLog *log;
    GPtrArray *partitions;  /* may be NULL */
    guint64 offset, length; /* of the disk: what the command gets */
    int range;              /* that of the disk; negative: all */
    const SpStateCheckOps *ops;
    void *check;             /* what @ops work on; NULL: none yet */
    SpCommandCheck *command; /* the check, if it is a command; not owned */
    SpPolicyCheck *policy;   /* or if it is by a policy; not owned */
    SpFindings *findings;    /* or NULL */
    SpFindingsOptions findings_options;
    char *command_line; /* that makes a state again */
    SpCrashCounts counts;
    Choice choice;
    GError *error; /* that ended it */
} Run;

static bool step_run(const Run *run, const char *doing, guint64 done, guint64 all, GError **error)
{
    return sp_task_step(&run->campaign->task, doing, done, all, error);
}

static bool is_run_interrupted(const Run *run)
{
    const SpInterrupt *interrupt = &run->campaign->task.interrupt;

    return interrupt->func && interrupt->func(interrupt->data);
}

static void clear_run(Run *run)
{
    if (run->check)
        run->ops->free(run->check);
    g_clear_pointer(&run->findings, sp_findings_free);
    g_clear_pointer(&run->partitions, g_ptr_array_unref);
    g_clear_pointer(&run->disk, sp_crash_disk_free);
    g_clear_pointer(&run->log, sp_write_log_free);
    g_clear_pointer(&run->choice.rand, g_rand_free);
    g_free(run->command_line);
    g_clear_error(&run->error);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Run, clear_run)

static void send_text(const Run *run, SpCampaignText kind, const char *text)
{
    if (run->campaign->func)
        run->campaign->func(kind, text, run->campaign->data);
}

static void choose_from_start(Run *run)
{
    guint64 all = run->counts.distinct;
    guint wanted = run->campaign->states_max;

    g_clear_pointer(&run->choice.rand, g_rand_free);
    run->choice = (Choice){
        .rand = g_rand_new_with_seed(run->states.seed),
        .left = all,
        .wanted = wanted > 0 ? MIN(wanted, all) : all,
    };
}

/* Selection sampling: every choice of this size is equally likely. */
static bool is_chosen(Choice *choice)
{
    bool is_it = g_rand_double(choice->rand) * (double)choice->left < (double)choice->wanted;

    choice->left--;
    choice->wanted -= is_it;
    return is_it;
}

/* --- what is given ---------------------------------------------------------------------------- */

static bool find_part(Run *run, GError **error)
{
    const char *name = run->campaign->partition;
    const SpPartition *partition;

    run->length = sp_crash_disk_size(run->disk);
    run->range = -1;
    if (!name)
        return true;
    if (!run->partitions)
        run->partitions = sp_partitions_read(run->campaign->image, error);
    if (!run->partitions)
        return false;
    partition = sp_partitions_find(run->partitions, name);
    if (!partition) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "'%s' has no partition called '%s'",
            run->campaign->image, name);
        return false;
    }
    run->offset = partition->offset;
    run->length = partition->length;
    run->range = (int)sp_crash_disk_add_range(run->disk, run->offset, run->length);
    return true;
}

static bool open_files(Run *run, GError **error)
{
    const SpTask *task = &run->campaign->task;

    run->states = run->campaign->states;
    run->states.task = task;
    run->disk = sp_crash_disk_new(run->campaign->image, error);
    run->log = run->disk ? sp_write_log_open(
                               run->campaign->log, sp_crash_disk_size(run->disk), task, error)
                         : NULL;
    if (!run->log)
        return false;
    if (sp_write_log_truncation(run->log)) {
        g_autofree char *text =
            g_strdup_printf("%s: %s", run->campaign->log, sp_write_log_truncation(run->log));

        send_text(run, SP_CAMPAIGN_WARNING, text);
    }
    run->partitions = sp_partitions_read(run->campaign->image, NULL);
    return find_part(run, error);
}

static bool apply_all(Run *run, GError **error)
{
    const SpLogEntry *entries;
    guint count;

    entries = sp_write_log_entries(run->log, &count);
    for (guint i = 0; i < count; i++) {
        if (!step_run(run, "comparing the log with the disk", i, count, error))
            return false;
        sp_crash_disk_apply(run->disk, &entries[i], 0, G_MAXUINT64);
    }
    return true;
}

/* A disk that is as the log leaves it is not the one that the recording began with. */
static bool is_before_the_log(Run *run, GError **error)
{
    bool is_same, is_empty;

    if (!apply_all(run, error))
        return false;
    is_empty = sp_crash_disk_mark(run->disk) == 0;
    is_same = sp_disk_hash_is_base(sp_crash_disk_hash(run->disk));
    sp_crash_disk_undo(run->disk, 0);
    if (!is_same || is_empty)
        return true;
    g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
        "'%s' already has all that the log writes: give the disk as it was when the recording "
        "began",
        run->campaign->image);
    return false;
}

/* What was installed is what the log ends with. */
static bool learn_end(Run *run, GError **error)
{
    g_autoptr(GError) local = NULL;
    bool is_good;

    if (!apply_all(run, error))
        return false;
    is_good = sp_policy_check_learn(
        run->policy, run->campaign->contents, run->campaign->contents_count, &local);
    sp_crash_disk_undo(run->disk, 0);
    if (is_good)
        return true;
    if (g_error_matches(local, SP_ERROR, SP_ERROR_ASSERTION)) {
        sp_findings_add_failure(run->findings, local->message);
        return true;
    }
    g_propagate_error(error, g_steal_pointer(&local));
    return false;
}

static char *make_command_line(const SpCampaign *campaign)
{
    g_autofree char *image = g_shell_quote(campaign->image);
    g_autofree char *log = g_shell_quote(campaign->log);
    g_autofree char *name = campaign->partition ? g_shell_quote(campaign->partition) : NULL;

    return g_strdup_printf("slotproof powercut --image %s --log %s --seed %u%s%s", image, log,
        campaign->states.seed, name ? " --partition " : "", name ? name : "");
}

static void on_result(const SpCrashState *state, const char *facts, const char *failure, void *data)
{
    sp_findings_add(((Run *)data)->findings, state, facts, failure);
}

static void on_finding(const char *text, void *data)
{
    send_text(data, SP_CAMPAIGN_FINDING, text);
}

static bool set_up_command(Run *run, GError **error)
{
    const SpCampaign *campaign = run->campaign;
    const SpCommandOptions options = {
        .command = campaign->check,
        .offset = run->offset,
        .length = run->length,
        .jobs = campaign->jobs,
        .timeout_ms = campaign->check_timeout_ms,
        .task = &campaign->task,
        .func = on_result,
        .data = run,
    };

    if (!is_before_the_log(run, error))
        return false;
    run->command = sp_command_check_new(run->disk, &options, error);
    run->ops = &sp_command_check_ops;
    run->check = run->command;
    return run->command != NULL;
}

static bool set_up_policy(Run *run, GError **error)
{
    const SpCampaign *campaign = run->campaign;
    SpPolicyCheckOptions options = {
        .policy = campaign->policy,
        .installed_from = campaign->installed_from,
        .started_from = campaign->started_from,
        .samples = campaign->samples,
        .seed = campaign->states.seed,
        .jobs = campaign->jobs,
        .task = &campaign->task,
        .func = on_result,
        .data = run,
    };

    if (!run->partitions)
        run->partitions = sp_partitions_read(campaign->image, error);
    if (!run->partitions)
        return false;
    options.partitions = run->partitions;
    run->states.milestones[0] = campaign->installed_from;
    run->states.milestones[1] = campaign->started_from;
    run->policy = sp_policy_check_new(run->disk, &options, error);
    run->ops = &sp_policy_check_ops;
    run->check = run->policy;
    return run->policy && is_before_the_log(run, error) && learn_end(run, error);
}

static bool set_up_run(Run *run, GError **error)
{
    const SpCampaign *campaign = run->campaign;

    run->command_line = make_command_line(campaign);
    run->findings_options = (SpFindingsOptions){
        .log = run->log,
        .partitions = run->partitions,
        .command = run->command_line,
        .is_bootable = campaign->policy != NULL,
        .shown = campaign->failures_shown,
        .examples = campaign->examples,
        .seed = campaign->states.seed,
        .func = on_finding,
        .data = run,
    };
    run->findings = sp_findings_new(&run->findings_options);
    return campaign->policy ? set_up_policy(run, error) : set_up_command(run, error);
}

/* --- rounds ----------------------------------------------------------------------------------- */

static bool count_state(const SpCrashState *state, SpCrashDisk *disk, void *data)
{
    Run *run = data;

    if (run->ops->count)
        run->ops->count(run->check);
    return true;
}

static bool check_state(const SpCrashState *state, SpCrashDisk *disk, void *data)
{
    Run *run = data;

    return !is_chosen(&run->choice) || run->ops->start(run->check, state, &run->error);
}

/* Over all states; the disk is as its base before and after. False if it was ended. */
static bool go_through(Run *run, const char *doing, SpCrashFunc func)
{
    SpCrashCounts counts;
    bool is_done;

    run->states.doing = doing;
    run->states.expected = run->counts.seen;
    is_done =
        sp_crash_states_each(run->disk, run->log, &run->states, run->range, func, run, &counts);
    run->counts = counts;
    sp_crash_disk_reset(run->disk);
    return is_done;
}

static void go_through_all(Run *run)
{
    if (!go_through(run, "counting the states", count_state))
        return;
    choose_from_start(run);
    if (go_through(run, "checking the states", check_state))
        (void)run->ops->finish(run->check, &run->error);
    if (is_run_interrupted(run) && run->ops->abandon)
        run->ops->abandon(run->check);
}

/* --- what was found --------------------------------------------------------------------------- */

static void describe_contents(const Run *run, GString *text)
{
    g_autoptr(GArray) counts = sp_policy_check_counts(run->policy);

    g_string_append(text, "contents checked:");
    for (guint i = 0; i < counts->len; i++) {
        const SpPolicyCounts *count = &g_array_index(counts, SpPolicyCounts, i);

        g_string_append_printf(text, "%s %u of %u of %s", i > 0 ? "," : "", count->checked,
            count->contents, count->partitions);
    }
    g_string_append_c(text, '\n');
}

static void print_sums(const Run *run, double seconds)
{
    g_autofree char *classes = sp_findings_describe_classes(run->findings);
    g_autoptr(GString) text = g_string_new(classes);

    g_string_append_printf(text,
        "%" G_GUINT64_FORMAT " states seen, %" G_GUINT64_FORMAT " distinct, %" G_GUINT64_FORMAT
        " checked in %.1f s, %" G_GUINT64_FORMAT " failed\n",
        run->counts.seen, run->counts.distinct, sp_findings_checked(run->findings), seconds,
        sp_findings_failed(run->findings));
    if (run->policy)
        describe_contents(run, text);
    if (sp_write_log_truncation(run->log))
        g_string_append_printf(
            text, "NOT ALL WAS CHECKED: %s\n", sp_write_log_truncation(run->log));
    if (run->command && sp_command_check_restored(run->command) > 0)
        g_string_append_printf(text,
            "the check changed its disk %u times; it was restored each time, which is slow\n",
            sp_command_check_restored(run->command));
    send_text(run, SP_CAMPAIGN_FINDING, text->str);
}

static json_t *truncation_to_json(const Run *run)
{
    const char *how = sp_write_log_truncation(run->log);
    guint count;

    if (!how)
        return json_null();
    (void)sp_write_log_entries(run->log, &count);
    return json_pack("{s:s, s:I, s:I}", "reason", how, "entries_used", (json_int_t)count,
        "entries_promised", (json_int_t)sp_write_log_promised(run->log));
}

static json_t *contents_to_json(const Run *run)
{
    g_autoptr(GArray) counts = sp_policy_check_counts(run->policy);
    json_t *array = json_array();

    for (guint i = 0; i < counts->len; i++) {
        const SpPolicyCounts *count = &g_array_index(counts, SpPolicyCounts, i);

        json_array_append_new(
            array, json_pack("{s:s, s:I, s:I}", "partitions", count->partitions, "contents",
                       (json_int_t)count->contents, "checked", (json_int_t)count->checked));
    }
    return array;
}

static bool write_findings(const Run *run, double seconds, bool has_ended, GError **error)
{
    json_t *root = sp_findings_to_json(run->findings);
    g_autofree char *text = NULL;

    json_object_set_new(root, "seen", json_integer((json_int_t)run->counts.seen));
    json_object_set_new(root, "distinct", json_integer((json_int_t)run->counts.distinct));
    json_object_set_new(root, "seed", json_integer(run->states.seed));
    json_object_set_new(root, "seconds", json_real(seconds));
    json_object_set_new(root, "interrupted", json_boolean(!has_ended));
    json_object_set_new(root, "truncated", truncation_to_json(run));
    if (run->policy)
        json_object_set_new(root, "contents", contents_to_json(run));
    text = sp_json_format(root);
    json_decref(root);
    return g_file_set_contents(run->campaign->report, text, -1, error);
}

static int end_early(Run *run, GError **error)
{
    if (is_run_interrupted(run))
        return SP_CAMPAIGN_INTERRUPTED;
    g_propagate_error(error, g_steal_pointer(&run->error));
    return SP_CAMPAIGN_ERROR;
}

int sp_campaign_run(const SpCampaign *campaign, GError **error)
{
    g_auto(Run) run = {.campaign = campaign};
    gint64 begin = g_get_monotonic_time();
    double seconds;
    bool has_ended;

    if (!open_files(&run, &run.error) || !set_up_run(&run, &run.error))
        return end_early(&run, error);
    go_through_all(&run);
    has_ended = !is_run_interrupted(&run);
    if (run.error && has_ended)
        return end_early(&run, error);
    seconds = (double)(g_get_monotonic_time() - begin) / G_USEC_PER_SEC;
    print_sums(&run, seconds);
    if (campaign->report && !write_findings(&run, seconds, has_ended, error))
        return SP_CAMPAIGN_ERROR;
    if (!has_ended)
        return SP_CAMPAIGN_INTERRUPTED;
    if (sp_findings_failed(run.findings) > 0)
        return SP_CAMPAIGN_FAILED;
    return sp_write_log_truncation(run.log) ? SP_CAMPAIGN_TRUNCATED : SP_CAMPAIGN_PASSED;
}

static bool write_disk(Run *run, const char *path, GError **error)
{
    g_autoptr(SpCrashFile) file =
        sp_crash_file_new(run->disk, path, run->offset, run->length, &run->campaign->task, error);

    return file && sp_crash_file_finish(file, error);
}

/* What is not a regular file, as a descriptor below /proc, is written to as it is. */
static bool is_replaced(const char *path)
{
    struct stat status;

    return lstat(path, &status) < 0 || S_ISREG(status.st_mode);
}

static bool write_and_rename(Run *run, const char *path, GError **error)
{
    g_autofree char *temporary = g_strdup_printf("%s.%d.new", path, (int)getpid());

    if (!write_disk(run, temporary, error)) {
        (void)g_unlink(temporary);
        return false;
    }
    if (g_rename(temporary, path) == 0)
        return true;
    g_set_error(
        error, SP_ERROR, SP_ERROR_HOST, "'%s' can't be written: %s", path, g_strerror(errno));
    (void)g_unlink(temporary);
    return false;
}

bool sp_campaign_write_state(
    const SpCampaign *campaign, const char *name, const char *path, GError **error)
{
    g_auto(Run) run = {.campaign = campaign};

    if (!open_files(&run, error) ||
        !sp_crash_state_make(run.disk, run.log, &run.states, name, error))
        return false;
    return is_replaced(path) ? write_and_rename(&run, path, error) : write_disk(&run, path, error);
}
