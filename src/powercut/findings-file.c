/* SPDX-License-Identifier: MIT */

/* Reads the JSON file of findings. */

#include "powercut/findings-file.h"

#include "base/json.h"

#include <string.h>

#define NO_CLASS (-1)

static gint64 get_number(json_t *value, gint64 fallback)
{
    return json_is_integer(value) ? json_integer_value(value) : fallback;
}

static void clear_class(void *data)
{
    SpFoundClass *class = data;

    g_free(class->facts);
    g_free(class->boots);
}

static char *join_json_facts(json_t *facts)
{
    GString *text = g_string_new(NULL);
    const char *key;
    json_t *value;

    json_object_foreach(facts, key, value)
    {
        if (json_is_string(value))
            g_string_append_printf(
                text, "%s%s=%s", text->len > 0 ? " " : "", key, json_string_value(value));
    }
    return g_string_free(text, FALSE);
}

static void read_found_entries(SpFindingsFile *file)
{
    size_t i;
    json_t *row;

    json_array_foreach(json_object_get(file->root, "entries"), i, row)
    {
        SpFoundEntry entry = {
            .kind = json_string_value(json_array_get(row, 0)),
            .partition = json_string_value(json_array_get(row, 1)),
            .offset = get_number(json_array_get(row, 2), 0),
            .length = get_number(json_array_get(row, 3), 0),
        };

        g_array_append_val(file->entries, entry);
    }
}

/* @classes: what is at which place of the file, as an index of the valid ones. */
static void read_cuts(SpFindingsFile *file, GArray *classes)
{
    size_t i;
    json_t *row;

    json_array_foreach(json_object_get(file->root, "cuts"), i, row)
    {
        gint64 class = get_number(json_array_get(row, 2), NO_CLASS);
        SpFoundCut cut = {
            .states = get_number(json_array_get(row, 0), 0),
            .failed = get_number(json_array_get(row, 1), 0),
            .class = class >= 0 && class < classes->len ? g_array_index(classes, gint64, class)
                                                        : NO_CLASS,
        };

        g_array_append_val(file->cuts, cut);
    }
}

static void read_classes(SpFindingsFile *file, GArray *classes)
{
    size_t i;
    json_t *object;

    json_array_foreach(json_object_get(file->root, "classes"), i, object)
    {
        json_t *facts = json_object_get(object, "facts");
        const char *boots = sp_json_text(facts, "boots");
        gint64 index = json_is_object(facts) ? (gint64)file->classes->len : NO_CLASS;

        g_array_append_val(classes, index);
        if (index != NO_CLASS) {
            SpFoundClass class = {
                .facts = join_json_facts(facts), .states = sp_json_int(object, "states", 0)};

            class.boots = boots ? g_strdup_printf("boots=%s", boots) : g_strdup(class.facts);
            g_array_append_val(file->classes, class);
        }
    }
}

static void read_boots(SpFindingsFile *file, GArray *classes)
{
    json_t *boots = json_object_get(file->root, "boots"), *boot;
    size_t i;

    file->booted = (guint)json_array_size(boots);
    json_array_foreach(boots, i, boot)
    {
        gint64 number = sp_json_int(boot, "class", NO_CLASS);
        gint64 index = number >= 0 && number < classes->len ? g_array_index(classes, gint64, number)
                                                            : NO_CLASS;
        SpFoundFailure failure = {
            .state = sp_json_text(boot, "state"),
            .reason = sp_json_text(boot, "reason"),
            .machine = sp_json_text(boot, "machine"),
        };
        SpFoundClass *class;

        if (failure.state && failure.reason)
            g_array_append_val(file->boot_failures, failure);
        if (index == NO_CLASS)
            continue;
        class = &g_array_index(file->classes, SpFoundClass, index);
        class->booted++;
        class->failed += sp_json_text(boot, "reason") != NULL;
    }
}

static void read_failures(SpFindingsFile *file)
{
    size_t i;
    json_t *object;

    json_array_foreach(json_object_get(file->root, "failures"), i, object)
    {
        SpFoundFailure failure = {
            .state = sp_json_text(object, "state"),
            .reason = sp_json_text(object, "reason"),
            .writes = sp_json_text(object, "writes"),
            .disk = sp_json_text(object, "disk"),
            .machine = sp_json_text(object, "machine"),
        };

        /* one of each reason has the rest */
        if (failure.state && failure.reason && failure.disk)
            g_array_append_val(file->failures, failure);
    }
}

SpFindingsFile *sp_findings_file_parse(const char *text, gsize length)
{
    json_t *root = sp_json_parse(text, length);
    g_autoptr(GArray) classes = g_array_new(FALSE, FALSE, sizeof(gint64));
    SpFindingsFile *file;

    if (!json_is_object(root)) {
        json_decref(root);
        return NULL;
    }
    file = g_new0(SpFindingsFile, 1);
    file->root = root;
    file->seen = sp_json_int(root, "seen", 0);
    file->distinct = sp_json_int(root, "distinct", 0);
    file->checked = sp_json_int(root, "checked", 0);
    file->failed = sp_json_int(root, "failed", 0);
    file->truncated = sp_json_text(json_object_get(root, "truncated"), "reason");
    file->entries = g_array_new(FALSE, FALSE, sizeof(SpFoundEntry));
    file->cuts = g_array_new(FALSE, FALSE, sizeof(SpFoundCut));
    file->classes = g_array_new(FALSE, FALSE, sizeof(SpFoundClass));
    file->failures = g_array_new(FALSE, FALSE, sizeof(SpFoundFailure));
    file->boot_failures = g_array_new(FALSE, FALSE, sizeof(SpFoundFailure));
    g_array_set_clear_func(file->classes, clear_class);
    read_classes(file, classes);
    read_boots(file, classes);
    read_found_entries(file);
    read_cuts(file, classes);
    read_failures(file);
    return file;
}

void sp_findings_file_free(SpFindingsFile *file)
{
    if (!file)
        return;
    g_array_unref(file->entries);
    g_array_unref(file->cuts);
    g_array_unref(file->classes);
    g_array_unref(file->failures);
    g_array_unref(file->boot_failures);
    json_decref(file->root);
    g_free(file);
}
