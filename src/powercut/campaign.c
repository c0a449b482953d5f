/* SPDX-License-Identifier: MIT */
#include "powercut/campaign.h"

#include "base/error.h"
#include "powercut/command-check.h"
#include "powercut/crash-file.h"
#include "powercut/findings.h"
#include "powercut/partitions.h"
#include "powercut/slots-check.h"

#include <json-glib/json-glib.h>
#include <stdio.h>

#define COMMAND_CLASS "checked by the command"

/* Of so many states, in the order in which they come, so many by chance: the same each time. */
typedef struct {
    GRand *rand;
    guint64 left, wanted;
} Choice;

typedef struct {
    const SpCampaign *campaign;
    SpCrashOptions states;
    SpCrashDisk *disk;
    SpWriteLog *log;
    GPtrArray *partitions;   /* may be NULL */
    guint64 offset, length;  /* of the disk: what the command gets */
    int range;               /* that of the disk; negative: all */
    SpSlotsCheck *slots;     /* or NULL */
    SpCommandCheck *command; /* or NULL */
    SpFindings *findings;    /* or NULL */
    SpFindingsOptions findings_options;
    char *command_line; /* that makes a state again */
    SpCrashCounts counts;
    Choice choice;
    GError *error; /* that ended it */
} Run;

static bool step(const Run *run, const char *doing, guint64 done, guint64 all, GError **error)
{
    return sp_task_step(&run->campaign->task, doing, done, all, error);
}

static bool is_interrupted(const Run *run)
{
    const SpInterrupt *interrupt = &run->campaign->task.interrupt;

    return interrupt->func && interrupt->func(interrupt->data);
}

static void run_clear(Run *run)
{
    g_clear_pointer(&run->command, sp_command_check_free);
    g_clear_pointer(&run->slots, sp_slots_check_free);
    g_clear_pointer(&run->findings, sp_findings_free);
    g_clear_pointer(&run->partitions, g_ptr_array_unref);
    g_clear_pointer(&run->disk, sp_crash_disk_free);
    g_clear_pointer(&run->log, sp_write_log_free);
    g_clear_pointer(&run->choice.rand, g_rand_free);
    g_free(run->command_line);
    g_clear_error(&run->error);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Run, run_clear)

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

/* Selection sampling: each choice of so many is as likely as any other. */
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
    if (sp_write_log_truncation(run->log))
        fprintf(stderr, "slotproof: warning: %s: %s\n", run->campaign->log,
            sp_write_log_truncation(run->log));
    run->partitions = sp_partitions_read(run->campaign->image, NULL);
    return find_part(run, error);
}

static bool apply_all(Run *run, GError **error)
{
    const SpLogEntry *entries;
    guint count;

    entries = sp_write_log_entries(run->log, &count);
    for (guint i = 0; i < count; i++) {
        if (!step(run, "comparing the log with the disk", i, count, error))
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

/* What the new release is, is known from the log's end. */
static bool learn(Run *run, GError **error)
{
    g_autoptr(GError) local = NULL;
    bool is_good;

    if (!apply_all(run, error))
        return false;
    is_good = sp_slots_check_learn(
        run->slots, run->disk, run->campaign->boot, run->campaign->rootfs, &local);
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

static void on_result(const SpCrashState *state, const char *reason, void *data)
{
    sp_findings_add(((Run *)data)->findings, state, COMMAND_CLASS, reason);
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

    run->command = sp_command_check_new(run->disk, &options, error);
    return run->command != NULL;
}

static bool set_up(Run *run, GError **error)
{
    const SpCampaign *campaign = run->campaign;

    run->command_line = make_command_line(campaign);
    run->findings_options = (SpFindingsOptions){
        .log = run->log,
        .partitions = run->partitions,
        .command = run->command_line,
        .is_bootable = !campaign->check,
        .shown = campaign->failures_shown,
        .examples = campaign->examples,
        .seed = campaign->states.seed,
    };
    run->findings = sp_findings_new(&run->findings_options);
    if (campaign->check)
        return is_before_the_log(run, error) && set_up_command(run, error);
    run->states.milestones[0] = campaign->installed_from;
    run->states.milestones[1] = campaign->started_from;
    run->slots =
        sp_slots_check_new(run->disk, campaign->image, campaign->jobs, &campaign->task, error);
    return run->slots && is_before_the_log(run, error) && learn(run, error);
}

/* --- rounds ----------------------------------------------------------------------------------- */

static bool count_state(const SpCrashState *state, SpCrashDisk *disk, void *data)
{
    Run *run = data;

    if (run->slots)
        sp_slots_check_count(run->slots, disk);
    return true;
}

static bool prepare_state(const SpCrashState *state, SpCrashDisk *disk, void *data)
{
    Run *run = data;

    if (is_chosen(&run->choice))
        sp_slots_check_prepare(run->slots, disk);
    return true;
}

static bool check_slots(Run *run, const SpCrashState *state, GError **error)
{
    const SpCampaign *campaign = run->campaign;
    guint happened = (state->latest >= campaign->installed_from ? SP_SLOTS_INSTALLED : 0) |
                     (state->latest >= campaign->started_from ? SP_SLOTS_STARTED : 0);
    g_autoptr(GError) local = NULL;
    const char *class;
    bool is_good = sp_slots_check_state(run->slots, run->disk, happened, &class, &local);

    if (!is_good && !g_error_matches(local, SP_ERROR, SP_ERROR_ASSERTION)) {
        g_propagate_error(error, g_steal_pointer(&local));
        return false;
    }
    sp_findings_add(run->findings, state, class, is_good ? NULL : local->message);
    return true;
}

static bool check_state(const SpCrashState *state, SpCrashDisk *disk, void *data)
{
    Run *run = data;

    if (!is_chosen(&run->choice))
        return true;
    return run->slots ? check_slots(run, state, &run->error)
                      : sp_command_check_start(run->command, state, &run->error);
}

/* Over all states, which the disk is as its base before and after. False if it was ended. */
static bool go_through(Run *run, const char *doing, SpCrashFunc func)
{
    SpCrashCounts counts;
    bool is_done;

    choose_from_start(run);
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
    if (run->slots) {
        sp_slots_check_choose_data(run->slots, run->campaign->data_samples, run->states.seed);
        if (!go_through(run, "looking into file systems", prepare_state))
            return;
    }
    if (go_through(run, "checking the states", check_state) && run->command)
        (void)sp_command_check_finish(run->command, &run->error);
}

/* --- what was found --------------------------------------------------------------------------- */

static void say(const Run *run, double seconds)
{
    sp_findings_say(run->findings);
    printf("%" G_GUINT64_FORMAT " states seen, %" G_GUINT64_FORMAT " distinct, %" G_GUINT64_FORMAT
           " checked in %.1f s, %" G_GUINT64_FORMAT " failed\n",
        run->counts.seen, run->counts.distinct, sp_findings_checked(run->findings), seconds,
        sp_findings_failed(run->findings));
    if (run->slots) {
        SpSlotsCounts counts = sp_slots_check_counts(run->slots);

        printf("file systems looked into: %u contents of state, %u of %u of data\n", counts.states,
            counts.data_checked, counts.data);
    }
    if (sp_write_log_truncation(run->log))
        printf("NOT ALL WAS CHECKED: %s\n", sp_write_log_truncation(run->log));
    if (run->command && sp_command_check_restored(run->command) > 0)
        printf("the check changed its disk %u times, which was made anew each time: that is slow\n",
            sp_command_check_restored(run->command));
}

static void add_truncation(const Run *run, JsonObject *object)
{
    const char *how = sp_write_log_truncation(run->log);
    JsonObject *truncated;
    guint count;

    if (!how) {
        json_object_set_null_member(object, "truncated");
        return;
    }
    (void)sp_write_log_entries(run->log, &count);
    truncated = json_object_new();
    json_object_set_string_member(truncated, "reason", how);
    json_object_set_int_member(truncated, "entries_used", count);
    json_object_set_int_member(
        truncated, "entries_promised", (gint64)sp_write_log_promised(run->log));
    json_object_set_object_member(object, "truncated", truncated);
}

static bool write_report(const Run *run, double seconds, bool has_ended, GError **error)
{
    g_autoptr(JsonGenerator) generator = json_generator_new();
    g_autoptr(JsonNode) root = json_node_new(JSON_NODE_OBJECT);
    JsonObject *object = sp_findings_to_json(run->findings);

    json_object_set_int_member(object, "seen", (gint64)run->counts.seen);
    json_object_set_int_member(object, "distinct", (gint64)run->counts.distinct);
    json_object_set_int_member(object, "seed", run->states.seed);
    json_object_set_double_member(object, "seconds", seconds);
    json_object_set_boolean_member(object, "interrupted", !has_ended);
    add_truncation(run, object);
    if (run->slots) {
        SpSlotsCounts counts = sp_slots_check_counts(run->slots);

        json_object_set_int_member(object, "state_contents", counts.states);
        json_object_set_int_member(object, "data_contents", counts.data);
        json_object_set_int_member(object, "data_contents_checked", counts.data_checked);
    }
    json_node_take_object(root, object);
    json_generator_set_root(generator, root);
    return json_generator_to_file(generator, run->campaign->report, error);
}

static int end_early(Run *run, GError **error)
{
    if (is_interrupted(run))
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

    if (!open_files(&run, &run.error) || !set_up(&run, &run.error))
        return end_early(&run, error);
    go_through_all(&run);
    has_ended = !is_interrupted(&run);
    if (run.error && has_ended)
        return end_early(&run, error);
    seconds = (double)(g_get_monotonic_time() - begin) / G_USEC_PER_SEC;
    say(&run, seconds);
    if (campaign->report && !write_report(&run, seconds, has_ended, error))
        return SP_CAMPAIGN_ERROR;
    if (!has_ended)
        return SP_CAMPAIGN_INTERRUPTED;
    if (sp_findings_failed(run.findings) > 0)
        return SP_CAMPAIGN_FAILED;
    return sp_write_log_truncation(run.log) ? SP_CAMPAIGN_TRUNCATED : SP_CAMPAIGN_PASSED;
}

bool sp_campaign_write_state(
    const SpCampaign *campaign, const char *name, const char *path, GError **error)
{
    g_auto(Run) run = {.campaign = campaign};
    g_autoptr(SpCrashFile) file = NULL;

    if (!open_files(&run, error) ||
        !sp_crash_state_make(run.disk, run.log, &run.states, name, error))
        return false;
    file = sp_crash_file_new(run.disk, path, run.offset, run.length, &campaign->task, error);
    return file && sp_crash_file_finish(file, error);
}
