/* SPDX-License-Identifier: MIT */

/* One line of QEMU's monitor, and what it means. */

#include "base/error.h"
#include "base/json.h"
#include "qemu/qmp.h"

void sp_qmp_message_clear(SpQmpMessage *message)
{
    g_clear_pointer(&message->text, g_free);
    g_clear_pointer(&message->class_name, g_free);
    g_clear_pointer(&message->payload, json_decref);
}

/* QMP specification, "Asynchronous events": -1 for both if the host has no clock. */
static gint64 get_event_time_us(const json_t *event)
{
    const json_t *timestamp = json_object_get(event, "timestamp");
    gint64 seconds = sp_json_int(timestamp, "seconds", -1);
    gint64 us = sp_json_int(timestamp, "microseconds", -1);

    return seconds >= 0 && seconds < G_MAXINT64 / G_USEC_PER_SEC && us >= 0 && us < G_USEC_PER_SEC
               ? seconds * G_USEC_PER_SEC + us
               : 0;
}

static bool read_message(const json_t *object, SpQmpMessage *ret)
{
    json_t *refusal = json_object_get(object, "error"),
           *payload = json_object_get(object, "return");
    const char *text = NULL;

    ret->id = sp_json_int(object, "id", -1);
    if (json_is_object(refusal)) {
        ret->kind = SP_QMP_REFUSAL;
        text = sp_json_text(refusal, "desc");
        payload = NULL;
    } else if (payload) {
        ret->kind = SP_QMP_RETURN;
        text = "";
    } else if (json_object_get(object, "event")) {
        ret->kind = SP_QMP_EVENT;
        text = sp_json_text(object, "event");
        payload = json_object_get(object, "data");
        payload = json_is_object(payload) ? payload : NULL;
        ret->time_us = get_event_time_us(object);
    } else if (json_is_object(json_object_get(object, "QMP"))) {
        ret->kind = SP_QMP_GREETING;
        text = "";
    }
    if (!text)
        return false;
    ret->text = g_strdup(text);
    ret->class_name = g_strdup(sp_json_text(refusal, "class"));
    ret->payload = json_incref(payload);
    return true;
}

bool sp_qmp_parse(const char *line, gsize length, SpQmpMessage *ret_message, GError **error)
{
    json_auto_t *object = sp_json_parse(line, length);
    SpQmpMessage message = {0};

    if (!json_is_object(object) || !read_message(object, &message)) {
        g_autofree char *start = g_utf8_make_valid(line, (gssize)MIN(length, 80));
        g_set_error(error, SP_ERROR, SP_ERROR_PROTOCOL,
            "QEMU's monitor sent something that isn't a QMP message: %s", start);
        return false;
    }
    *ret_message = message;
    return true;
}
