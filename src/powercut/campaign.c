/* SPDX-License-Identifier: MIT */
#include "powercut/campaign.h"

#include "base/error.h"
#include "powercut/crash-file.h"
#include "powercut/partitions.h"
#include "powercut/slots-check.h"

#include <glib/gstdio.h>
#include <json-glib/json-glib.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#define WRITES_AROUND 4u

typedef struct {
    const char *description; /* the check's */
    GPtrArray *examples;     /* names of states: the first, then others by chance */
    guint64 states;
} StateClass;

typedef struct {
    const SpCampaign *campaign;
    SpCrashDisk *disk;
    SpWriteLog *log;
    GPtrArray *partitions; /* may be NULL */
    SpSlotsCheck *slots;   /* or NULL */
    SpCrashFile *file;     /* or NULL */
    char *path;            /* of the file */
    GHashTable *classes;   /* description to StateClass */
    GHashTable *reasons;   /* of failures that were told of: only one of each is shown */
    GPtrArray *order;      /* StateClass as they came; not owned */
    JsonArray *failures;
    GRand *rand;
    guint64 checked, failed;
    GError *error; /* that ended it */
} Run;

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
    interrupted = signal_number;
}

static void class_free(void *data)
{
    StateClass *class = data;

    g_ptr_array_unref(class->examples);
    g_free(class);
}

static void run_clear(Run *run)
{
    g_clear_pointer(&run->file, sp_crash_file_free);
    if (run->path)
        (void)g_unlink(run->path);
    g_free(run->path);
    g_clear_pointer(&run->slots, sp_slots_check_free);
    g_clear_pointer(&run->partitions, g_ptr_array_unref);
    g_clear_pointer(&run->classes, g_hash_table_unref);
    g_clear_pointer(&run->reasons, g_hash_table_unref);
    g_clear_pointer(&run->order, g_ptr_array_unref);
    g_clear_pointer(&run->failures, json_array_unref);
    g_clear_pointer(&run->rand, g_rand_free);
    g_clear_pointer(&run->disk, sp_crash_disk_free);
    g_clear_pointer(&run->log, sp_write_log_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Run, run_clear)

static bool open_disk(Run *run, GError **error)
{
    run->disk = sp_crash_disk_new(run->campaign->image, error);
    run->log = run->disk
                   ? sp_write_log_open(run->campaign->log, sp_crash_disk_size(run->disk), error)
                   : NULL;
    return run->log != NULL;
}

/* What the new release is, is known from the log's end. */
static bool learn(Run *run, GError **error)
{
    g_autoptr(GError) local = NULL;
    const SpLogEntry *entries;
    bool is_good;
    guint count;

    entries = sp_write_log_entries(run->log, &count);
    for (guint i = 0; i < count; i++)
        sp_crash_disk_apply(run->disk, &entries[i], G_MAXUINT64);
    is_good = sp_slots_check_learn(
        run->slots, run->disk, run->campaign->boot, run->campaign->rootfs, &local);
    sp_crash_disk_undo(run->disk, 0);
    if (is_good)
        return true;
    if (!g_error_matches(local, SP_ERROR, SP_ERROR_ASSERTION)) {
        g_propagate_error(error, g_steal_pointer(&local));
        return false;
    }
    printf("FAILED: %s\n", local->message);
    run->failed++;
    return true;
}

static bool set_up_check(Run *run, GError **error)
{
    int fd;

    if (!run->campaign->check) {
        run->slots = sp_slots_check_new(run->disk, run->campaign->image, error);
        return run->slots && learn(run, error);
    }
    fd = g_file_open_tmp("slotproof-disk-XXXXXX", &run->path, error);
    if (fd < 0)
        return false;
    (void)g_close(fd, NULL);
    run->file = sp_crash_file_new(run->disk, run->path, error);
    return run->file != NULL;
}

static bool run_command(Run *run, const char *name, GError **error)
{
    char *argv[] = {"/bin/sh", "-c", (char *)run->campaign->check, "sh", run->path, NULL};
    g_auto(GStrv) environment = g_get_environ();
    g_autofree char *output = NULL, *errors = NULL;
    int status;

    if (!sp_crash_file_update(run->file, error))
        return false;
    environment = g_environ_setenv(environment, "SLOTPROOF_DISK", run->path, TRUE);
    environment = g_environ_setenv(environment, "SLOTPROOF_STATE", name, TRUE);
    if (!g_spawn_sync(NULL, argv, environment, G_SPAWN_LEAVE_DESCRIPTORS_OPEN, NULL, NULL, &output,
            &errors, &status, error))
        return false;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    g_set_error(error, SP_ERROR, SP_ERROR_ASSERTION, "the check ended with %s %d%s%s%s",
        WIFEXITED(status) ? "status" : "signal",
        WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), *output || *errors ? ": " : "",
        g_strstrip(output), g_strstrip(errors));
    return false;
}

static void show_writes(const Run *run, guint at)
{
    const SpLogEntry *entries;
    guint count, first = at > WRITES_AROUND ? at - WRITES_AROUND : 0;

    entries = sp_write_log_entries(run->log, &count);
    for (guint i = first; i < MIN(count, at + WRITES_AROUND); i++) {
        const SpLogEntry *entry = &entries[i];
        const char *where =
            run->partitions ? sp_partitions_name(run->partitions, entry->offset) : "disk";

        if (entry->kind == SP_LOG_FLUSH)
            printf("    %s %6u  flush\n", i == at ? ">" : " ", i);
        else
            printf("    %s %6u  %-7s %-20s %10" G_GUINT64_FORMAT " bytes at %" G_GUINT64_FORMAT
                   "\n",
                i == at ? ">" : " ", i, entry->kind == SP_LOG_WRITE ? "write" : "discard", where,
                entry->length, entry->offset);
    }
}

/* The commands that make the disk again. */
static void show_ways(const SpCampaign *campaign, const char *name)
{
    g_autofree char *image = g_shell_quote(campaign->image);
    g_autofree char *log = g_shell_quote(campaign->log);
    g_autofree char *command =
        g_strdup_printf("slotproof powercut --image %s --log %s --seed %u --state %s", image, log,
            campaign->states.seed, name);

    printf("  its disk: %s --write DISK\n", command);
    if (!campaign->check)
        printf("  a machine with it: %s --debug\n", command);
}

static void keep_failure(Run *run, const char *name, const char *reason)
{
    const SpCampaign *campaign = run->campaign;
    guint at = sp_crash_state_entry(run->log, name);
    JsonObject *failure = json_object_new();

    json_object_set_string_member(failure, "state", name);
    json_object_set_int_member(failure, "entry", at);
    json_object_set_string_member(failure, "reason", reason);
    json_array_add_object_element(run->failures, failure);
    if (!g_hash_table_add(run->reasons, g_strdup(reason)) ||
        g_hash_table_size(run->reasons) > campaign->failures_shown)
        return;
    printf("FAILED: state %s: %s\n", name, reason);
    show_writes(run, at);
    show_ways(campaign, name);
}

/* Each state but the first is among those that are kept as likely as any other (reservoir
 * sampling). */
static void keep_example(Run *run, StateClass *class, const char *name)
{
    guint room = run->campaign->examples;
    guint64 at = class->states;

    if (at > 0 && class->examples->len >= room)
        at = room < 2 ? room : 1 + (guint64)(g_rand_double(run->rand) * (double)class->states);
    if (at < class->examples->len) {
        g_free(class->examples->pdata[at]);
        class->examples->pdata[at] = g_strdup(name);
    } else if (class->examples->len < MAX(room, 1)) {
        g_ptr_array_add(class->examples, g_strdup(name));
    }
}

static void count_class(Run *run, const char *description, const char *name)
{
    StateClass *class = g_hash_table_lookup(run->classes, description);

    if (!class) {
        class = g_new0(StateClass, 1);
        class->description = description;
        class->examples = g_ptr_array_new_with_free_func(g_free);
        g_hash_table_insert(run->classes, (void *)description, class);
        g_ptr_array_add(run->order, class);
    }
    keep_example(run, class, name);
    class->states++;
}

static bool on_state(const char *name, SpCrashDisk *disk, void *data)
{
    Run *run = data;
    g_autoptr(GError) error = NULL;
    const char *class = "checked by the command";
    guint at = sp_crash_state_entry(run->log, name);
    guint happened = (at >= run->campaign->installed_from ? SP_SLOTS_INSTALLED : 0) |
                     (at >= run->campaign->started_from ? SP_SLOTS_STARTED : 0);
    bool is_good = run->slots ? sp_slots_check_state(run->slots, disk, happened, &class, &error)
                              : run_command(run, name, &error);

    run->checked++;
    count_class(run, class, name);
    if (!is_good && !g_error_matches(error, SP_ERROR, SP_ERROR_ASSERTION)) {
        run->error = g_steal_pointer(&error);
        return false;
    }
    if (!is_good) {
        run->failed++;
        keep_failure(run, name, error->message);
    }
    return !interrupted &&
           (run->campaign->states_max == 0 || run->checked < run->campaign->states_max);
}

static JsonNode *class_node(const StateClass *class)
{
    JsonNode *node = json_node_new(JSON_NODE_OBJECT);
    JsonObject *object = json_object_new();
    JsonArray *examples = json_array_new();

    for (guint i = 0; i < class->examples->len; i++)
        json_array_add_string_element(examples, class->examples->pdata[i]);
    json_object_set_string_member(object, "description", class->description);
    json_object_set_array_member(object, "examples", examples);
    json_object_set_int_member(object, "states", (gint64) class->states);
    json_node_take_object(node, object);
    return node;
}

static bool write_report(const Run *run, const SpCrashCounts *counts, GError **error)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autoptr(JsonGenerator) generator = json_generator_new();
    g_autoptr(JsonNode) root = NULL;
    const SpLogEntry *entries;
    guint count;

    entries = sp_write_log_entries(run->log, &count);
    json_builder_begin_object(builder);
    json_builder_set_member_name(builder, "seen");
    json_builder_add_int_value(builder, (gint64)counts->seen);
    json_builder_set_member_name(builder, "distinct");
    json_builder_add_int_value(builder, (gint64)counts->distinct);
    json_builder_set_member_name(builder, "checked");
    json_builder_add_int_value(builder, (gint64)run->checked);
    json_builder_set_member_name(builder, "failed");
    json_builder_add_int_value(builder, (gint64)run->failed);
    json_builder_set_member_name(builder, "failures");
    json_builder_add_value(builder, json_node_init_array(json_node_alloc(), run->failures));
    json_builder_set_member_name(builder, "classes");
    json_builder_begin_array(builder);
    for (guint i = 0; i < run->order->len; i++)
        json_builder_add_value(builder, class_node(g_ptr_array_index(run->order, i)));
    json_builder_end_array(builder);
    /* [kind, partition, offset, length] an entry */
    json_builder_set_member_name(builder, "entries");
    json_builder_begin_array(builder);
    for (guint i = 0; i < count; i++) {
        static const char *const kinds[] = {"write", "discard", "flush"};

        json_builder_begin_array(builder);
        json_builder_add_string_value(builder, kinds[entries[i].kind]);
        json_builder_add_string_value(
            builder, run->partitions ? sp_partitions_name(run->partitions, entries[i].offset) : "");
        json_builder_add_int_value(builder, (gint64)entries[i].offset);
        json_builder_add_int_value(builder, (gint64)entries[i].length);
        json_builder_end_array(builder);
    }
    json_builder_end_array(builder);
    json_builder_end_object(builder);
    root = json_builder_get_root(builder);
    json_generator_set_root(generator, root);
    return json_generator_to_file(generator, run->campaign->report, error);
}

static void say(const Run *run, const SpCrashCounts *counts, double seconds)
{
    for (guint i = 0; i < run->order->len; i++) {
        const StateClass *class = g_ptr_array_index(run->order, i);

        printf("%8" G_GUINT64_FORMAT "  %s (as %s)\n", class->states, class->description,
            (const char *)class->examples->pdata[0]);
    }
    printf("%" G_GUINT64_FORMAT " states seen, %" G_GUINT64_FORMAT " distinct, %" G_GUINT64_FORMAT
           " checked in %.1f s, %" G_GUINT64_FORMAT " failed\n",
        counts->seen, counts->distinct, run->checked, seconds, run->failed);
}

int sp_campaign_run(const SpCampaign *campaign, GError **error)
{
    const struct sigaction action = {.sa_handler = on_interrupt};
    g_auto(Run) run = {.campaign = campaign};
    gint64 begin = g_get_monotonic_time();
    SpCrashCounts counts;

    run.classes = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, class_free);
    run.reasons = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    run.order = g_ptr_array_new();
    run.failures = json_array_new();
    run.rand = g_rand_new_with_seed(campaign->states.seed);
    if (!open_disk(&run, error))
        return 2;
    run.partitions = sp_partitions_read(campaign->image, NULL);
    if (!set_up_check(&run, error))
        return 2;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    (void)sp_crash_states_each(run.disk, run.log, &campaign->states, on_state, &run, &counts);
    if (run.error) {
        g_propagate_error(error, g_steal_pointer(&run.error));
        return 2;
    }
    say(&run, &counts, (double)(g_get_monotonic_time() - begin) / G_USEC_PER_SEC);
    if (campaign->report && !write_report(&run, &counts, error))
        return 2;
    return interrupted ? 128 + interrupted : run.failed > 0;
}

bool sp_campaign_write_state(
    const SpCampaign *campaign, const char *name, const char *path, GError **error)
{
    g_auto(Run) run = {.campaign = campaign};
    g_autoptr(SpCrashFile) file = NULL;

    if (!open_disk(&run, error) ||
        !sp_crash_state_make(run.disk, run.log, &campaign->states, name, error))
        return false;
    file = sp_crash_file_new(run.disk, path, error);
    return file != NULL;
}
