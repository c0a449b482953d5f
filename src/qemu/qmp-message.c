/* SPDX-License-Identifier: MIT */

/* A line of QEMU's monitor, and what it says. */

#include "base/error.h"
#include "qemu/qmp.h"

#include <string.h>

void sp_qmp_message_clear(SpQmpMessage *message)
{
    g_clear_pointer(&message->text, g_free);
    g_clear_pointer(&message->class_name, g_free);
    g_clear_pointer(&message->payload, json_node_unref);
}

/* What JSON (RFC 8259) has outside of strings: structure, white space, numbers and three words. */
static bool is_json_char(char c)
{
    return g_ascii_isalnum(c) || g_ascii_isspace(c) || (c && strchr("{}[]:,+-.", c));
}

/* json-glib descends recursively: what a peer may send must not decide how deep. It also knows
 * comments and single quotes, in which its count of brackets would be another than ours. */
static bool nesting_is_bounded(const char *line, gsize length)
{
    guint depth = 0;
    bool in_string = false;

    for (gsize i = 0; i < length; i++) {
        char c = line[i];

        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (in_string)
            continue;
        else if (!is_json_char(c))
            return false;
        else if ((c == '{' || c == '[') && ++depth > SP_QMP_DEPTH_MAX)
            return false;
        else if ((c == '}' || c == ']') && depth > 0)
            depth--;
    }
    return true;
}

static const char *string_member(JsonObject *object, const char *name)
{
    JsonNode *node = json_object_get_member(object, name);

    return node && JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING
               ? json_node_get_string(node)
               : NULL;
}

static JsonObject *object_member(JsonObject *object, const char *name)
{
    JsonNode *node = json_object_get_member(object, name);

    return node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

static gint64 int_member(JsonObject *object, const char *name)
{
    JsonNode *node = object ? json_object_get_member(object, name) : NULL;

    return node && JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_INT64
               ? json_node_get_int(node)
               : -1;
}

/* QMP specification, "Asynchronous events": -1 for both where the host has no clock. */
static gint64 event_time_us(JsonObject *event)
{
    JsonObject *timestamp = object_member(event, "timestamp");
    gint64 seconds = int_member(timestamp, "seconds"), us = int_member(timestamp, "microseconds");

    return seconds >= 0 && seconds < G_MAXINT64 / G_USEC_PER_SEC && us >= 0 && us < G_USEC_PER_SEC
               ? seconds * G_USEC_PER_SEC + us
               : 0;
}

static bool parse_object(JsonObject *object, SpQmpMessage *ret)
{
    JsonObject *refusal = object_member(object, "error");
    const char *text = NULL;
    JsonNode *payload = NULL;

    ret->id = int_member(object, "id");
    if (refusal) {
        ret->kind = SP_QMP_REFUSAL;
        text = string_member(refusal, "desc");
    } else if (json_object_has_member(object, "return")) {
        ret->kind = SP_QMP_RETURN;
        payload = json_object_get_member(object, "return");
        text = "";
    } else if (json_object_has_member(object, "event")) {
        ret->kind = SP_QMP_EVENT;
        payload = object_member(object, "data") ? json_object_get_member(object, "data") : NULL;
        text = string_member(object, "event");
        ret->time_us = event_time_us(object);
    } else if (object_member(object, "QMP")) {
        ret->kind = SP_QMP_GREETING;
        text = "";
    }
    if (!text)
        return false;
    ret->text = g_strdup(text);
    ret->class_name = refusal ? g_strdup(string_member(refusal, "class")) : NULL;
    ret->payload = payload ? json_node_copy(payload) : NULL;
    return true;
}

bool sp_qmp_parse(const char *line, gsize length, SpQmpMessage *ret_message, GError **error)
{
    g_autoptr(JsonParser) parser = json_parser_new_immutable();
    SpQmpMessage message = {0};
    JsonNode *root;

    if (!g_utf8_validate(line, (gssize)length, NULL) || !nesting_is_bounded(line, length) ||
        !json_parser_load_from_data(parser, line, (gssize)length, NULL) ||
        !(root = json_parser_get_root(parser)) || !JSON_NODE_HOLDS_OBJECT(root) ||
        !parse_object(json_node_get_object(root), &message)) {
        g_autofree char *start = g_utf8_make_valid(line, (gssize)MIN(length, 80));
        g_set_error(error, SP_ERROR, SP_ERROR_PROTOCOL,
            "QEMU's monitor sent what is no message of QMP: %s", start);
        return false;
    }
    *ret_message = message;
    return true;
}
