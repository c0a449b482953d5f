/* SPDX-License-Identifier: MIT */
#include "base/flat-json.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/* json-glib descends recursively, so what a line nests is found out before; its comments and single
 * quotes would hide brackets from us. */
static bool is_flat(const char *line, gsize length)
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

JsonObject *sp_flat_json_parse(const char *line, gsize length)
{
    g_autoptr(JsonParser) parser = json_parser_new();
    JsonNode *root;

    if (length > G_MAXSSIZE || !is_flat(line, length) ||
        !g_utf8_validate(line, (gssize)length, NULL) ||
        !json_parser_load_from_data(parser, line, (gssize)length, NULL))
        return NULL;
    root = json_parser_get_root(parser);
    return root && JSON_NODE_HOLDS_OBJECT(root) ? json_node_dup_object(root) : NULL;
}

const char *sp_flat_json_text(JsonObject *object, const char *name)
{
    JsonNode *node = json_object_get_member(object, name);

    return node && JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING
               ? json_node_get_string(node)
               : NULL;
}

double sp_flat_json_number(JsonObject *object, const char *name, double fallback)
{
    JsonNode *node = json_object_get_member(object, name);
    GType type = node && JSON_NODE_HOLDS_VALUE(node) ? json_node_get_value_type(node) : G_TYPE_NONE;
    double number =
        type == G_TYPE_INT64 || type == G_TYPE_DOUBLE ? json_node_get_double(node) : NAN;

    return isfinite(number) ? number : fallback;
}
