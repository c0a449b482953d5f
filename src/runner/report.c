/* SPDX-License-Identifier: MIT */
#include "runner/report.h"

#include "base/error.h"

#include <json-glib/json-glib.h>
#include <math.h>
#include <string.h>

static const char *const events[] = {
    [SP_REPORT_BEGIN] = "begin",
    [SP_REPORT_SUBTEST] = "subtest",
    [SP_REPORT_RESULT] = "result",
};

void sp_report_clear(SpReport *report)
{
    g_clear_pointer(&report->word, g_free);
    g_clear_pointer(&report->text, g_free);
}

static void set_text(JsonObject *object, const char *name, const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text ? text : "", -1);

    json_object_set_string_member(object, name, valid);
}

char *sp_report_format(SpReportKind kind, const char *word, const char *text, double number)
{
    g_autoptr(JsonObject) object = json_object_new();
    g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);
    g_autofree char *line = NULL;

    set_text(object, "event", events[kind]);
    set_text(object, "word", word);
    set_text(object, "text", text);
    json_object_set_double_member(object, "number", number);
    json_node_set_object(node, object);
    line = json_to_string(node, FALSE);
    return g_strconcat(line, "\n", NULL);
}

/* A string member; NULL where it is missing or something else. */
static const char *get_text(JsonObject *object, const char *name)
{
    JsonNode *node = json_object_get_member(object, name);

    return node && JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING
               ? json_node_get_string(node)
               : NULL;
}

static double get_number(JsonObject *object, const char *name)
{
    JsonNode *node = json_object_get_member(object, name);

    return node && JSON_NODE_HOLDS_VALUE(node) ? json_node_get_double(node) : -1;
}

/* A report holds no other object or array. json-glib descends recursively, so what a line nests is
 * found out before; its comments and single quotes would hide brackets from us. */
static bool is_flat_object(const char *line, gsize length)
{
    bool in_string = false;

    if (length == 0 || *line != '{')
        return false;
    for (gsize i = 1; i < length; i++) {
        if (in_string && line[i] == '\\')
            i++;
        else if (line[i] == '"')
            in_string = !in_string;
        else if (!in_string && strchr("{[/'", line[i])) /* a null character is found too */
            return false;
    }
    return true;
}

bool sp_report_parse(const char *line, gsize length, SpReport *ret_report, GError **error)
{
    g_autoptr(JsonParser) parser = json_parser_new();
    JsonNode *root = NULL;
    JsonObject *object;

    if (length <= SP_REPORT_MAX && is_flat_object(line, length) &&
        g_utf8_validate(line, (gssize)length, NULL) &&
        json_parser_load_from_data(parser, line, (gssize)length, NULL))
        root = json_parser_get_root(parser);
    object = root && JSON_NODE_HOLDS_OBJECT(root) ? json_node_get_object(root) : NULL;
    for (gsize i = 0; object && i < G_N_ELEMENTS(events); i++) {
        const char *word = get_text(object, "word");
        const char *text = get_text(object, "text");
        double number = get_number(object, "number");
        if (g_strcmp0(get_text(object, "event"), events[i]) != 0)
            continue;
        if (!word || !text || !isfinite(number) || number < 0)
            break;
        *ret_report = (SpReport){
            .kind = (SpReportKind)i,
            .word = g_strdup(word),
            .text = g_strdup(text),
            .number = number,
        };
        return true;
    }
    g_set_error_literal(
        error, SP_ERROR, SP_ERROR_PROTOCOL, "the test's process sent what is no report");
    return false;
}
