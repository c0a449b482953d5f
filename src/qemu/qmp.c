/* SPDX-License-Identifier: MIT */
#include "qemu/qmp.h"

#include "base/error.h"
#include "base/json.h"
#include "base/stream.h"

#include <errno.h>
#include <string.h>

#define READ_SIZE (64u * 1024)

struct SpQmp {
    SpStream *stream; /* NULL once the connection is dead */
    GError *error;
    gsize scanned; /* bytes of the input that hold no line end */
    bool is_greeted;
    bool is_negotiated;
    gint64 last_id;
    char *refusal_class; /* of the last one; NULL: none */
    char *refusal_text;
    GHashTable *calls; /* by id, of those that wait: Call, not owned. A wait turns the main loop, in
                          which others may call */
    gint64 event_time_us;
    GQueue events; /* of SpQmpMessage */
    SpQmpEventFunc func;
    void *user_data;
};

typedef struct {
    SpQmp *qmp;
    gint64 id;
    bool is_answered;
    SpQmpMessage answer;
} Call;

static void message_free(void *data)
{
    sp_qmp_message_clear(data);
    g_free(data);
}

static void qmp_fail(SpQmp *qmp, GError *error)
{
    if (qmp->error) {
        g_error_free(error);
        return;
    }
    qmp->error = error;
    g_clear_pointer(&qmp->stream, sp_stream_free);
}

static void take_event(SpQmp *qmp, SpQmpMessage *message)
{
    qmp->event_time_us = message->time_us;
    if (qmp->func)
        qmp->func(message->text, message->payload, qmp->user_data);
    g_queue_push_tail(&qmp->events, g_memdup2(message, sizeof *message));
    if (g_queue_get_length(&qmp->events) > SP_QMP_EVENTS_MAX)
        message_free(g_queue_pop_head(&qmp->events));
}

/* Without an id QEMU could not even read the command: the newest one. */
static void take_answer(SpQmp *qmp, SpQmpMessage *message)
{
    gint64 id = message->id == -1 ? qmp->last_id : message->id;
    Call *call = g_hash_table_lookup(qmp->calls, &id);

    if (!call || call->is_answered) {
        sp_qmp_message_clear(message); /* to one that its caller gave up */
        return;
    }
    call->answer = *message;
    call->is_answered = true;
}

static void take_line(SpQmp *qmp, const char *line, gsize length)
{
    SpQmpMessage message;
    GError *error = NULL;

    while (length > 0 && g_ascii_isspace(line[length - 1]))
        length--;
    if (length == 0)
        return;
    if (!sp_qmp_parse(line, length, &message, &error)) {
        qmp_fail(qmp, error);
        return;
    }
    if (message.kind == SP_QMP_EVENT) {
        take_event(qmp, &message);
    } else if (message.kind == SP_QMP_GREETING) {
        qmp->is_greeted = true;
        sp_qmp_message_clear(&message);
    } else {
        take_answer(qmp, &message);
    }
}

/* Returns how long the whole lines are. */
static gsize take_lines(const guint8 *bytes, gsize length, void *data)
{
    SpQmp *qmp = data;
    const guint8 *end;
    gsize start = 0;

    while (!qmp->error &&
           (end = memchr(bytes + start + qmp->scanned, '\n', length - start - qmp->scanned))) {
        gsize line_length = (gsize)(end - bytes) - start;

        take_line(qmp, (const char *)bytes + start, line_length);
        start += line_length + 1;
        qmp->scanned = 0;
    }
    qmp->scanned = length - start;
    return start;
}

static void on_qmp_disconnected(int error_number, void *data)
{
    if (error_number == EMSGSIZE)
        qmp_fail(data, g_error_new_literal(SP_ERROR, SP_ERROR_PROTOCOL,
                           "QEMU's monitor sent a line that does not end"));
    else
        qmp_fail(data, g_error_new_literal(SP_ERROR, SP_ERROR_MACHINE, "QEMU closed its monitor"));
}

static const SpStreamFuncs stream_funcs = {
    .input = take_lines, .disconnected = on_qmp_disconnected};

SpQmp *sp_qmp_new(int fd, SpQmpEventFunc func, void *user_data)
{
    SpQmp *qmp = g_new0(SpQmp, 1);
    const SpStreamConfig config = {.funcs = &stream_funcs,
        .data = qmp,
        .read_size = READ_SIZE,
        .input_max = SP_QMP_LINE_MAX,
        .output_max = SP_STREAM_UNLIMITED};

    qmp->calls = g_hash_table_new(g_int64_hash, g_int64_equal);
    g_queue_init(&qmp->events);
    qmp->func = func;
    qmp->user_data = user_data;
    qmp->stream = sp_stream_new(fd, &config);
    return qmp;
}

void sp_qmp_free(SpQmp *qmp)
{
    if (!qmp)
        return;
    sp_stream_free(qmp->stream);
    g_clear_error(&qmp->error);
    g_queue_clear_full(&qmp->events, message_free);
    g_hash_table_unref(qmp->calls);
    g_free(qmp->refusal_class);
    g_free(qmp->refusal_text);
    g_free(qmp);
}

bool sp_qmp_give_fd(SpQmp *qmp, int fd, const char *name, gint64 timeout_ms,
    const SpInterrupt *interrupt, GError **error)
{
    bool is_good;

    /* the handshake first, so that the descriptor goes with its command */
    if (!sp_qmp_execute(qmp, "query-status", NULL, timeout_ms, interrupt, NULL, error))
        return false;
    if (qmp->stream)
        sp_stream_pass_fd(qmp->stream, fd);
    is_good = sp_qmp_execute(
        qmp, "getfd", json_pack("{s:s}", "fdname", name), timeout_ms, interrupt, NULL, error);
    if (qmp->stream)
        sp_stream_pass_fd(qmp->stream, -1);
    return is_good;
}

const GError *sp_qmp_error(SpQmp *qmp)
{
    return qmp->error;
}

gint64 sp_qmp_event_time_us(SpQmp *qmp)
{
    return qmp->event_time_us;
}

static void send_command(SpQmp *qmp, const char *command, json_t *arguments)
{
    json_auto_t *object = json_pack("{s:s, s:o*, s:I}", "execute", command, "arguments", arguments,
        "id", (json_int_t)++qmp->last_id);
    g_autofree char *text = sp_json_format(object);

    if (!qmp->stream)
        return;
    (void)!sp_stream_write(qmp->stream, text, strlen(text));
    (void)!sp_stream_write(qmp->stream, "\n", 1);
}

static bool fail_if_dead(SpQmp *qmp, GError **error)
{
    if (qmp->error)
        g_propagate_error(error, g_error_copy(qmp->error));
    return qmp->error != NULL;
}

static bool is_greeted(void *data, GError **error)
{
    SpQmp *qmp = data;

    return qmp->is_greeted || fail_if_dead(qmp, error);
}

static bool is_answered(void *data, GError **error)
{
    Call *call = data;

    return call->is_answered || fail_if_dead(call->qmp, error);
}

static bool wait_for_answer(
    Call *call, const char *command, gint64 deadline, const SpInterrupt *interrupt, GError **error)
{
    bool is_answered_in_time;

    g_hash_table_insert(call->qmp->calls, &call->id, call);
    is_answered_in_time = sp_wait(is_answered, call, deadline, interrupt, error);
    g_hash_table_remove(call->qmp->calls, &call->id);
    if (!is_answered_in_time)
        g_prefix_error(error, "QMP command '%s': ", command);
    return is_answered_in_time;
}

static void keep_refusal(SpQmp *qmp, const SpQmpMessage *refusal)
{
    g_free(qmp->refusal_class);
    g_free(qmp->refusal_text);
    qmp->refusal_class = g_strdup(refusal->class_name ? refusal->class_name : "GenericError");
    qmp->refusal_text = g_strdup(refusal->text);
}

bool sp_qmp_refusal(SpQmp *qmp, const char **ret_class, const char **ret_description)
{
    if (!qmp->refusal_class)
        return false;
    *ret_class = qmp->refusal_class;
    *ret_description = qmp->refusal_text;
    return true;
}

static bool execute_until(SpQmp *qmp, const char *command, json_t *arguments, gint64 deadline,
    const SpInterrupt *interrupt, json_t **ret_return, GError **error)
{
    Call call = {.qmp = qmp};
    bool is_good;

    send_command(qmp, command, arguments);
    call.id = qmp->last_id;
    is_good = wait_for_answer(&call, command, deadline, interrupt, error);
    if (is_good && call.answer.kind == SP_QMP_REFUSAL) {
        g_set_error(
            error, SP_ERROR, SP_ERROR_GUEST, "QEMU refused '%s': %s", command, call.answer.text);
        keep_refusal(qmp, &call.answer);
        is_good = false;
    }
    if (is_good && ret_return)
        *ret_return = g_steal_pointer(&call.answer.payload);
    sp_qmp_message_clear(&call.answer);
    return is_good;
}

bool sp_qmp_execute(SpQmp *qmp, const char *command, json_t *arguments, gint64 timeout_ms,
    const SpInterrupt *interrupt, json_t **ret_return, GError **error)
{
    gint64 deadline = sp_deadline(timeout_ms);
    json_auto_t *taken = arguments;

    if (!qmp->is_negotiated) {
        if (!sp_wait(is_greeted, qmp, deadline, interrupt, error)) {
            g_prefix_error(error, "waiting for QEMU's monitor: ");
            return false;
        }
        if (!execute_until(qmp, "qmp_capabilities", NULL, deadline, interrupt, NULL, error))
            return false;
        qmp->is_negotiated = true;
    }
    return execute_until(
        qmp, command, g_steal_pointer(&taken), deadline, interrupt, ret_return, error);
}

typedef struct {
    SpQmp *qmp;
    const char *event;
    SpQmpMessage *found; /* no more in the queue */
} EventWait;

static bool has_event(void *data, GError **error)
{
    EventWait *wait = data;

    for (GList *l = wait->qmp->events.head; l; l = l->next) {
        if (!wait->event || g_str_equal(((SpQmpMessage *)l->data)->text, wait->event)) {
            wait->found = l->data;
            g_queue_delete_link(&wait->qmp->events, l);
            return true;
        }
    }
    return fail_if_dead(wait->qmp, error);
}

bool sp_qmp_wait_event(SpQmp *qmp, const char *event, gint64 timeout_ms,
    const SpInterrupt *interrupt, char **ret_name, json_t **ret_data, GError **error)
{
    EventWait wait = {.qmp = qmp, .event = event};
    SpQmpMessage *message;

    if (!sp_wait(has_event, &wait, sp_deadline(timeout_ms), interrupt, error)) {
        g_prefix_error(error, "waiting for %s%s: ", event ? "QEMU's event " : "any event of QEMU",
            event ? event : "");
        return false;
    }
    message = wait.found;
    if (ret_name)
        *ret_name = g_strdup(message->text);
    if (ret_data)
        *ret_data = g_steal_pointer(&message->payload);
    message_free(message);
    return true;
}

void sp_qmp_drop_events(SpQmp *qmp, const char *event, gint64 since_us)
{
    for (GList *l = qmp->events.head, *next; l; l = next) {
        SpQmpMessage *message = l->data;

        next = l->next;
        if (message->time_us < since_us || !g_str_equal(message->text, event))
            continue;
        g_queue_delete_link(&qmp->events, l);
        message_free(message);
    }
}
