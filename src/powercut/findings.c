/* SPDX-License-Identifier: MIT */

/* Collects what was found of crash states: classes, failures and what they have to do with the log.
 */

#include "powercut/findings.h"

#include "powercut/partitions.h"

#include <jansson.h>
#include <string.h>

#define WRITES_AROUND 4u
#define NO_CLASS G_MAXUINT

static const char *const kinds[] = {
    [SP_LOG_WRITE] = "write",
    [SP_LOG_DISCARD] = "discard",
    [SP_LOG_FLUSH] = "flush",
    [SP_LOG_MARK] = "mark",
};

typedef struct {
    char *facts;
    guint number;
    GPtrArray *examples; /* names of states: the first, then random others */
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
    GPtrArray *classes;   /* of StateClass, as they came */
    GHashTable *by_facts; /* to StateClass */
    GHashTable *reasons;  /* of failures that were reported */
    json_t *failures;
    Cut *cuts; /* count + 1 */
    GRand *rand;
    guint64 checked, failed;
};

static void free_class(void *data)
{
    StateClass *class = data;

    g_free(class->facts);
    g_ptr_array_unref(class->examples);
    g_free(class);
}

SpFindings *sp_findings_new(const SpFindingsOptions *options)
{
    SpFindings *findings = g_new0(SpFindings, 1);

    findings->options = *options;
    findings->entries = sp_write_log_entries(options->log, &findings->count);
    findings->classes = g_ptr_array_new_with_free_func(free_class);
    findings->by_facts = g_hash_table_new(g_str_hash, g_str_equal);
    findings->reasons = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    findings->failures = json_array();
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
    g_hash_table_unref(findings->by_facts);
    g_hash_table_unref(findings->reasons);
    g_ptr_array_unref(findings->classes);
    json_decref(findings->failures);
    g_rand_free(findings->rand);
    g_free(findings->cuts);
    g_free(findings);
}

/* "" if it is in none. */
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

/* A reason is reported once, and no more reasons than the user wants to see. */
static bool is_news(SpFindings *findings, const char *reason)
{
    return g_hash_table_add(findings->reasons, g_strdup(reason)) &&
           g_hash_table_size(findings->reasons) <= findings->options.shown;
}

static void report_text(const SpFindings *findings, const char *text)
{
    if (findings->options.func)
        findings->options.func(text, findings->options.data);
}

/* As text, and for the JSON. */
static void report_new_failure(
    const SpFindings *findings, const SpCrashState *state, const char *reason, json_t *failure)
{
    const SpFindingsOptions *options = &findings->options;
    g_autofree char *writes = describe_writes(findings, state->at);
    g_autofree char *disk =
        g_strdup_printf("%s --state %s --write DISK", options->command, state->name);
    g_autofree char *machine =
        g_strdup_printf("%s --state %s --debug", options->command, state->name);
    g_autofree char *text = g_strdup_printf("FAILED: state %s: %s\n%s  its disk: %s\n%s%s%s",
        state->name, reason, writes, disk, options->is_bootable ? "  a machine with it: " : "",
        options->is_bootable ? machine : "", options->is_bootable ? "\n" : "");

    report_text(findings, text);
    json_object_set_new(failure, "writes", json_string(writes));
    json_object_set_new(failure, "disk", json_string(disk));
    if (options->is_bootable)
        json_object_set_new(failure, "machine", json_string(machine));
}

static void add_failure(SpFindings *findings, const SpCrashState *state, const char *reason)
{
    g_autofree char *valid = g_utf8_make_valid(reason, -1);
    json_t *failure = json_pack(
        "{s:s, s:i, s:s}", "state", state->name, "entry", (int)state->at, "reason", valid);

    findings->failed++;
    json_array_append(findings->failures, failure);
    if (is_news(findings, reason))
        report_new_failure(findings, state, valid, failure);
    json_decref(failure);
}

void sp_findings_add_failure(SpFindings *findings, const char *reason)
{
    g_autofree char *text = g_strdup_printf("FAILED: %s\n", reason);

    findings->failed++;
    report_text(findings, text);
}

static StateClass *get_class(SpFindings *findings, const char *facts)
{
    StateClass *class = g_hash_table_lookup(findings->by_facts, facts);

    if (class)
        return class;
    class = g_new0(StateClass, 1);
    class->facts = g_strdup(facts);
    class->number = findings->classes->len;
    class->examples = g_ptr_array_new_with_free_func(g_free);
    g_hash_table_insert(findings->by_facts, class->facts, class);
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
    SpFindings *findings, const SpCrashState *state, const char *facts, const char *reason)
{
    StateClass *class = get_class(findings, facts);
    Cut *cut = &findings->cuts[MIN(state->at, findings->count)];

    findings->checked++;
    keep_example(findings, class, state->name);
    class->states++;
    cut->states++;
    if (state->is_plain)
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

char *sp_findings_describe_classes(const SpFindings *findings)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < findings->classes->len; i++) {
        const StateClass *class = g_ptr_array_index(findings->classes, i);

        g_string_append_printf(text, "%8" G_GUINT64_FORMAT "  %s (as %s)\n", class->states,
            class->facts, (const char *)class->examples->pdata[0]);
    }
    return g_string_free(text, FALSE);
}

static json_t *facts_to_json(const char *facts)
{
    json_t *object = json_object();
    g_auto(GStrv) words = g_strsplit(facts, " ", -1);

    for (char **word = words; *word; word++) {
        char *value = strchr(*word, '=');

        if (!value)
            continue;
        *value++ = '\0';
        json_object_set_new(object, *word, json_string(value));
    }
    return object;
}

static json_t *classes_to_json(const SpFindings *findings)
{
    json_t *array = json_array();

    for (guint i = 0; i < findings->classes->len; i++) {
        const StateClass *class = g_ptr_array_index(findings->classes, i);
        json_t *examples = json_array();

        for (guint j = 0; j < class->examples->len; j++)
            json_array_append_new(examples, json_string(class->examples->pdata[j]));
        json_array_append_new(
            array, json_pack("{s:o, s:o, s:I}", "facts", facts_to_json(class->facts), "examples",
                       examples, "states", (json_int_t) class->states));
    }
    return array;
}

static json_t *entries_to_json(const SpFindings *findings)
{
    json_t *array = json_array();

    for (guint i = 0; i < findings->count; i++) {
        const SpLogEntry *entry = &findings->entries[i];

        json_array_append_new(
            array, json_pack("[s, s, I, I]", kinds[entry->kind], partition_of(findings, entry),
                       (json_int_t)entry->offset, (json_int_t)entry->length));
    }
    return array;
}

static json_t *cuts_to_json(const SpFindings *findings)
{
    json_t *array = json_array();

    for (guint i = 0; i <= findings->count; i++) {
        const Cut *cut = &findings->cuts[i];

        json_array_append_new(
            array, json_pack("[I, I, o]", (json_int_t)cut->states, (json_int_t)cut->failed,
                       cut->class == NO_CLASS ? json_null() : json_integer(cut->class)));
    }
    return array;
}

json_t *sp_findings_to_json(const SpFindings *findings)
{
    return json_pack("{s:I, s:I, s:O, s:o, s:o, s:o}", "checked", (json_int_t)findings->checked,
        "failed", (json_int_t)findings->failed, "failures", findings->failures, "classes",
        classes_to_json(findings), "entries", entries_to_json(findings), "cuts",
        cuts_to_json(findings));
}
