/* SPDX-License-Identifier: MIT */

/* The cache of verdicts on contents of partitions, and the programs that are running for it. */

#include "powercut/content-check.h"

#include "base/error.h"
#include "powercut/fsck-job.h"

#include <string.h>

/* Of a program's output. */
#define OUTPUT_MAX 4096u

/* A copy of each partition, with what runs on it. */
typedef struct {
    SpFsckCopy **copies; /* each may be NULL */
    SpFsckJob **jobs;    /* NULL if none runs */
} Desk;

typedef struct {
    SpVerdict verdict; /* its hash, the first field, is the key */
    Desk *desk;        /* NULL once the verdict is there */
} Question;

struct SpContentCheck {
    SpContentOptions options;
    GHashTable *questions; /* of Question */
    GQueue running;        /* those with a desk, the oldest first; not owned */
    GQueue idle;           /* of Desk */
};

static void free_desk(const SpContentCheck *check, Desk *desk)
{
    if (!desk)
        return;
    for (guint i = 0; i < check->options.parts_count; i++) {
        sp_fsck_job_free(desk->jobs[i]);
        sp_fsck_copy_free(desk->copies[i]);
    }
    g_free(desk->jobs);
    g_free(desk->copies);
    g_free(desk);
}

static void free_question(void *data)
{
    Question *question = data;

    g_free(question->verdict.facts);
    g_free(question->verdict.failure);
    g_clear_error(&question->verdict.error);
    g_free(question);
}

SpContentCheck *sp_content_check_new(const SpContentOptions *options)
{
    SpContentCheck *check = g_new0(SpContentCheck, 1);

    check->options = *options;
    check->options.jobs = MAX(options->jobs, 1);
    check->questions =
        g_hash_table_new_full(sp_disk_hash_key, sp_disk_hash_keys_equal, NULL, free_question);
    g_queue_init(&check->running);
    g_queue_init(&check->idle);
    return check;
}

void sp_content_check_free(SpContentCheck *check)
{
    Question *question;
    Desk *desk;

    if (!check)
        return;
    while ((question = g_queue_pop_head(&check->running)))
        free_desk(check, question->desk);
    while ((desk = g_queue_pop_head(&check->idle)))
        free_desk(check, desk);
    g_hash_table_unref(check->questions);
    g_free(check);
}

/* --- what a file system's checker says -------------------------------------------------------- */

static bool has_any(const char *line, char *const *texts)
{
    for (; *texts; texts++) {
        if (strstr(line, *texts))
            return true;
    }
    return false;
}

/* The first line with one of @reasons; else the last one. */
static char *find_reason(const char *output, char *const *reasons)
{
    g_auto(GStrv) lines = g_strsplit(output, "\n", -1);
    const char *reason = "";

    for (char **line = lines; *line; line++) {
        if (*g_strstrip(*line))
            reason = *line;
        if (has_any(*line, reasons))
            break;
    }
    return g_strdup(reason);
}

static char *describe_fsck_failure(const SpPolicyPartition *policy, int status, char *output)
{
    g_autofree char *reason = NULL;
    gsize length;

    g_strstrip(output);
    length = strlen(output);
    if (policy->reasons)
        reason = find_reason(output, policy->reasons);
    else
        reason = g_utf8_make_valid(length > OUTPUT_MAX ? output + length - OUTPUT_MAX : output, -1);
    return g_strdup_printf("the file system of %s is not in order: %s ended with status %d: %s",
        policy->name, policy->fsck[0], status, reason);
}

static void add_fact(SpVerdict *verdict, const char *name, const char *value)
{
    char *facts =
        g_strdup_printf("%s%s%s=%s", verdict->facts, *verdict->facts ? " " : "", name, value);

    g_free(verdict->facts);
    verdict->facts = facts;
}

static void finish_fsck(const SpContentCheck *check, SpVerdict *verdict, Desk *desk, guint i)
{
    const SpPolicyPartition *policy = check->options.parts[i].policy;
    g_autofree char *output = NULL;
    int status;

    if (!sp_fsck_job_wait(desk->jobs[i], &check->options.task->interrupt, &status, &verdict->error))
        return;
    if (status < 256 && policy->is_good_status[status])
        return;
    output = sp_fsck_job_output(desk->jobs[i]);
    if (policy->tolerated && strstr(output, policy->tolerated))
        add_fact(verdict, policy->name, policy->tolerated_as);
    else
        verdict->failure = describe_fsck_failure(policy, status, output);
}

/* --- what the decider says -------------------------------------------------------------------- */

/* Such a key is that of another fact of the state: how the partition is, or what was tolerated. */
static bool are_keys_free(const SpPolicy *policy, const char *facts, GError **error)
{
    g_auto(GStrv) words = g_strsplit(facts, " ", -1);

    for (char **word = words; *word; word++) {
        g_autofree char *key = g_strndup(*word, strcspn(*word, "="));

        if (!policy || !sp_policy_has_partition(policy, key))
            continue;
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
            "the decider '%s' says %s: expected another key, since " SP_POLICY_FILE
            " has a partition '%s'",
            policy->decider, *word, key);
        return false;
    }
    return true;
}

static void ask_decider(const SpContentCheck *check, SpVerdict *verdict, const Desk *desk)
{
    const SpContentOptions *options = &check->options;
    g_autoptr(GString) question = g_string_new(NULL);
    g_auto(SpDecision) decision = {0};
    g_autofree char *tolerated = verdict->facts;

    verdict->facts = NULL;
    for (guint i = 0; i < options->parts_count; i++)
        g_string_append_printf(question, "%s%s=%s", i > 0 ? " " : "",
            options->parts[i].policy->name, sp_fsck_copy_path(desk->copies[i]));
    if (!sp_decider_ask(options->decider, question->str, &options->task->interrupt, &decision,
            &verdict->error) ||
        !are_keys_free(options->policy, decision.facts, &verdict->error)) {
        verdict->facts = g_steal_pointer(&tolerated);
        return;
    }
    verdict->facts = g_strjoin(*tolerated ? " " : "", decision.facts, tolerated, NULL);
    verdict->failure = g_steal_pointer(&decision.failure);
}

/* --- questions -------------------------------------------------------------------------------- */

static void finish_question(SpContentCheck *check, Question *question)
{
    SpVerdict *verdict = &question->verdict;
    Desk *desk = g_steal_pointer(&question->desk);

    g_queue_remove(&check->running, question);
    for (guint i = 0; i < check->options.parts_count; i++) {
        if (desk->jobs[i] && !verdict->error && !verdict->failure)
            finish_fsck(check, verdict, desk, i);
        g_clear_pointer(&desk->jobs[i], sp_fsck_job_free);
    }
    if (check->options.decider && !verdict->error && !verdict->failure)
        ask_decider(check, verdict, desk);
    g_queue_push_tail(&check->idle, desk);
}

static bool start_part(
    const SpContentCheck *check, const SpCrashDisk *disk, Desk *desk, guint i, GError **error)
{
    const SpContentPart *part = &check->options.parts[i];
    const char *const *fsck = (const char *const *)part->policy->fsck;

    if (desk->copies[i]) {
        if (!sp_fsck_copy_update(desk->copies[i], error))
            return false;
    } else {
        desk->copies[i] =
            sp_fsck_copy_new(disk, part->offset, part->length, check->options.task, error);
        if (!desk->copies[i])
            return false;
    }
    if (!fsck)
        return true;
    desk->jobs[i] = sp_fsck_job_start(desk->copies[i], fsck, error);
    if (!desk->jobs[i])
        g_prefix_error(error, "%s, which is to check '%s': ", fsck[0], part->policy->name);
    return desk->jobs[i] != NULL;
}

static void start_question(SpContentCheck *check, const SpCrashDisk *disk, Question *question)
{
    Desk *desk = g_queue_pop_head(&check->idle);

    if (!desk) {
        desk = g_new0(Desk, 1);
        desk->copies = g_new0(SpFsckCopy *, check->options.parts_count);
        desk->jobs = g_new0(SpFsckJob *, check->options.parts_count);
    }
    question->desk = desk;
    g_queue_push_tail(&check->running, question);
    for (guint i = 0; i < check->options.parts_count; i++) {
        if (start_part(check, disk, desk, i, &question->verdict.error))
            continue;
        finish_question(check, question);
        return;
    }
}

SpDiskHash sp_content_check_hash(const SpContentCheck *check, const SpCrashDisk *disk)
{
    SpDiskHash hash = {0, 0};

    /* each sector's part is seeded with its number, so that the parts can be combined */
    for (guint i = 0; i < check->options.parts_count; i++) {
        SpDiskHash part = sp_crash_disk_range_hash(disk, check->options.parts[i].range);

        hash.low ^= part.low;
        hash.high ^= part.high;
    }
    return hash;
}

const SpVerdict *sp_content_check_ask(SpContentCheck *check, const SpCrashDisk *disk)
{
    SpDiskHash hash = sp_content_check_hash(check, disk);
    Question *question = g_hash_table_lookup(check->questions, &hash);

    if (question)
        return &question->verdict;
    if (g_queue_get_length(&check->running) >= check->options.jobs)
        finish_question(check, g_queue_peek_head(&check->running));
    question = g_new0(Question, 1);
    question->verdict.hash = hash;
    question->verdict.facts = g_strdup("");
    g_hash_table_add(check->questions, question);
    start_question(check, disk, question);
    return &question->verdict;
}

void sp_content_check_finish(SpContentCheck *check, const SpVerdict *verdict)
{
    Question *question = g_hash_table_lookup(check->questions, &verdict->hash);

    if (question && question->desk)
        finish_question(check, question);
}

bool sp_content_check_is_finished(const SpVerdict *verdict)
{
    return !((const Question *)verdict)->desk;
}

guint sp_content_check_count(const SpContentCheck *check)
{
    return g_hash_table_size(check->questions);
}
