/* SPDX-License-Identifier: MIT */
#include "powercut/findings.h"

#include "powercut/partitions.h"

#include <json-glib/json-glib.h>
#include <stdio.h>

#define WRITES_AROUND 4u
#define NO_CLASS G_MAXUINT

static const char *const kinds[] = {
    [SP_LOG_WRITE] = "write",
    [SP_LOG_DISCARD] = "discard",
    [SP_LOG_FLUSH] = "flush",
    [SP_LOG_MARK] = "mark",
};

typedef struct {
    char *description;
    guint number;
    GPtrArray *examples; /* names of states: the first, then others by chance */
    guint64 states;
} StateClass;

typedef struct {
    guint64 states, failed;
    guint class;
} Cut;

struct SpFindings {
    SpFindingsOptions options;
    const SpLogEntry *entries;
    guint count;
    GPtrArray *classes;  /* of StateClass, as they came */
    GHashTable *by_text; /* description to StateClass */
    GHashTable *reasons; /* of failures that were told of */
    JsonArray *failures;
    Cut *cuts; /* count + 1 */
    GRand *rand;
    guint64 checked, failed;
};

static void class_free(void *data)
{
    StateClass *class = data;

    g_free(class->description);
    g_ptr_array_unref(class->examples);
    g_free(class);
}

SpFindings *sp_findings_new(const SpFindingsOptions *options)
{
    SpFindings *findings = g_new0(SpFindings, 1);

    findings->options = *options;
    findings->entries = sp_write_log_entries(options->log, &findings->count);
    findings->classes = g_ptr_array_new_with_free_func(class_free);
    findings->by_text = g_hash_table_new(g_str_hash, g_str_equal);
    findings->reasons = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    findings->failures = json_array_new();
    findings->cuts = g_new0(Cut, (gsize)findings->count + 1);
    findings->rand = g_rand_new_with_seed(options->seed);
    for (guint i = 0; i <= findings->count; i++)
        findings->cuts[i].class = NO_CLASS;
    return findings;
}

void sp_findings_free(SpFindings *findings)
{
    if (!findings)
        return;
    g_hash_table_unref(findings->by_text);
    g_hash_table_unref(findings->reasons);
    g_ptr_array_unref(findings->classes);
    json_array_unref(findings->failures);
    g_rand_free(findings->rand);
    g_free(findings->cuts);
    g_free(findings);
}

/* "" where it is nowhere. */
static const char *partition_of(const SpFindings *findings, const SpLogEntry *entry)
{
    if (entry->length == 0 || !findings->options.partitions)
        return "";
    return sp_partitions_name(findings->options.partitions, entry->offset);
}

/* Those around the cut, a line each. */
static char *describe_writes(const SpFindings *findings, guint at)
{
    GString *text = g_string_new(NULL);
    guint first = at > WRITES_AROUND ? at - WRITES_AROUND : 0;

    for (guint i = first; i < MIN(findings->count, at + WRITES_AROUND); i++) {
        const SpLogEntry *entry = &findings->entries[i];

        g_string_append_printf(text, "    %s %6u  ", i == at ? ">" : " ", i);
        if (entry->length == 0)
            g_string_append_printf(text, "%s\n", kinds[entry->kind]);
        else
            g_string_append_printf(text,
                "%-7s %-20s %10" G_GUINT64_FORMAT " bytes at %" G_GUINT64_FORMAT "\n",
                kinds[entry->kind], partition_of(findings, entry), entry->length, entry->offset);
    }
    return g_string_free(text, FALSE);
}

/* What was told of once is not told of again, nor more than the user wants to hear. */
static bool is_news(SpFindings *findings, const char *reason)
{
    return g_hash_table_add(findings->reasons, g_strdup(reason)) &&
           g_hash_table_size(findings->reasons) <= findings->options.shown;
}

/* On stdout, and for the report. */
static void tell(
    const SpFindings *findings, const SpCrashState *state, const char *reason, JsonObject *failure)
{
    const SpFindingsOptions *options = &findings->options;
    g_autofree char *writes = describe_writes(findings, state->at);
    g_autofree char *disk =
        g_strdup_printf("%s --state %s --write DISK", options->command, state->name);
    g_autofree char *machine =
        g_strdup_printf("%s --state %s --debug", options->command, state->name);

    printf("FAILED: state %s: %s\n%s  its disk: %s\n", state->name, reason, writes, disk);
    json_object_set_string_member(failure, "writes", writes);
    json_object_set_string_member(failure, "disk", disk);
    if (options->is_bootable) {
        printf("  a machine with it: %s\n", machine);
        json_object_set_string_member(failure, "machine", machine);
    }
    (void)fflush(stdout);
}

static void add_failure(SpFindings *findings, const SpCrashState *state, const char *reason)
{
    JsonObject *failure = json_object_new();

    findings->failed++;
    json_object_set_string_member(failure, "state", state->name);
    json_object_set_int_member(failure, "entry", state->at);
    json_object_set_string_member(failure, "reason", reason);
    json_array_add_object_element(findings->failures, failure);
    if (is_news(findings, reason))
        tell(findings, state, reason, failure);
}

void sp_findings_add_failure(SpFindings *findings, const char *reason)
{
    findings->failed++;
    printf("FAILED: %s\n", reason);
}

static StateClass *get_class(SpFindings *findings, const char *description)
{
    StateClass *class = g_hash_table_lookup(findings->by_text, description);

    if (class)
        return class;
    class = g_new0(StateClass, 1);
    class->description = g_strdup(description);
    class->number = findings->classes->len;
    class->examples = g_ptr_array_new_with_free_func(g_free);
    g_hash_table_insert(findings->by_text, class->description, class);
    g_ptr_array_add(findings->classes, class);
    return class;
}

/* Each state but the first is among those that are kept as likely as any other (reservoir
 * sampling). */
static void keep_example(SpFindings *findings, StateClass *class, const char *name)
{
    guint room = findings->options.examples;
    guint64 at = class->states;

    if (at > 0 && class->examples->len >= room)
        at = room < 2 ? room : 1 + (guint64)(g_rand_double(findings->rand) * (double)class->states);
    if (at < class->examples->len) {
        g_free(class->examples->pdata[at]);
        class->examples->pdata[at] = g_strdup(name);
    } else if (class->examples->len < MAX(room, 1)) {
        g_ptr_array_add(class->examples, g_strdup(name));
    }
}

void sp_findings_add(
    SpFindings *findings, const SpCrashState *state, const char *description, const char *reason)
{
    StateClass *class = get_class(findings, description);
    Cut *cut = &findings->cuts[MIN(state->at, findings->count)];

    findings->checked++;
    keep_example(findings, class, state->name);
    class->states++;
    cut->states++;
    if (state->name[0] == 'p')
        cut->class = class->number;
    if (!reason)
        return;
    cut->failed++;
    add_failure(findings, state, reason);
}

guint64 sp_findings_checked(const SpFindings *findings)
{
    return findings->checked;
}

guint64 sp_findings_failed(const SpFindings *findings)
{
    return findings->failed;
}

void sp_findings_say(const SpFindings *findings)
{
    for (guint i = 0; i < findings->classes->len; i++) {
        const StateClass *class = g_ptr_array_index(findings->classes, i);

        printf("%8" G_GUINT64_FORMAT "  %s (as %s)\n", class->states, class->description,
            (const char *)class->examples->pdata[0]);
    }
}

static JsonArray *classes_to_json(const SpFindings *findings)
{
    JsonArray *array = json_array_new();

    for (guint i = 0; i < findings->classes->len; i++) {
        const StateClass *class = g_ptr_array_index(findings->classes, i);
        JsonObject *object = json_object_new();
        JsonArray *examples = json_array_new();

        for (guint j = 0; j < class->examples->len; j++)
            json_array_add_string_element(examples, class->examples->pdata[j]);
        json_object_set_string_member(object, "description", class->description);
        json_object_set_array_member(object, "examples", examples);
        json_object_set_int_member(object, "states", (gint64) class->states);
        json_array_add_object_element(array, object);
    }
    return array;
}

static JsonArray *entries_to_json(const SpFindings *findings)
{
    JsonArray *array = json_array_new();

    for (guint i = 0; i < findings->count; i++) {
        const SpLogEntry *entry = &findings->entries[i];
        JsonArray *row = json_array_sized_new(4);

        json_array_add_string_element(row, kinds[entry->kind]);
        json_array_add_string_element(row, partition_of(findings, entry));
        json_array_add_int_element(row, (gint64)entry->offset);
        json_array_add_int_element(row, (gint64)entry->length);
        json_array_add_array_element(array, row);
    }
    return array;
}

static JsonArray *cuts_to_json(const SpFindings *findings)
{
    JsonArray *array = json_array_new();

    for (guint i = 0; i <= findings->count; i++) {
        const Cut *cut = &findings->cuts[i];
        JsonArray *row = json_array_sized_new(3);

        json_array_add_int_element(row, (gint64)cut->states);
        json_array_add_int_element(row, (gint64)cut->failed);
        if (cut->class == NO_CLASS)
            json_array_add_null_element(row);
        else
            json_array_add_int_element(row, cut->class);
        json_array_add_array_element(array, row);
    }
    return array;
}

JsonObject *sp_findings_to_json(const SpFindings *findings)
{
    JsonObject *object = json_object_new();

    json_object_set_int_member(object, "checked", (gint64)findings->checked);
    json_object_set_int_member(object, "failed", (gint64)findings->failed);
    json_object_set_array_member(object, "failures", json_array_ref(findings->failures));
    json_object_set_array_member(object, "classes", classes_to_json(findings));
    json_object_set_array_member(object, "entries", entries_to_json(findings));
    json_object_set_array_member(object, "cuts", cuts_to_json(findings));
    return object;
}
