/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/wait.h"

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

/**
 * A connection to QEMU's monitor (QEMU, docs/interop/qmp-spec): one JSON object per line each way.
 *
 * Events are kept in the order in which they arrive, so that one that arrived before anybody waited
 * for it is still found. Main thread only; the default main context must turn.
 */
typedef struct SpQmp SpQmp;

#define SP_QMP_LINE_MAX (16u * 1024 * 1024)
#define SP_QMP_EVENTS_MAX 1024u

/** Called for each event as it arrives. @data, an object, may be NULL. */
typedef void (*SpQmpEventFunc)(const char *event, const json_t *data, void *user_data);

/** Talk over the stream socket @fd, which is taken. The handshake is done with the first command.
 */
SpQmp *sp_qmp_new(int fd, SpQmpEventFunc func, void *user_data);
void sp_qmp_free(SpQmp *qmp);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpQmp, sp_qmp_free)

/**
 * Execute @command with @arguments (an object, taken; may be NULL) and wait for the answer.
 *
 * @ret_return (may be NULL) is what the command returned; free with json_decref(). SP_ERROR_GUEST
 * with QEMU's own words if it refused; SP_ERROR_MACHINE if it went away; SP_ERROR_PROTOCOL if it
 * sent garbage, after which the connection is dead; SP_ERROR_TIMEOUT and SP_ERROR_INTERRUPTED.
 */
bool sp_qmp_execute(SpQmp *qmp, const char *command, json_t *arguments, gint64 timeout_ms,
    const SpInterrupt *interrupt, json_t **ret_return, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/**
 * The last refusal: the class of the error, such as "CommandNotFound", and QEMU's own words. They
 * live until the next command. Returns false if there was none.
 */
bool sp_qmp_refusal(SpQmp *qmp, const char **ret_class, const char **ret_description);

/**
 * Give QEMU a copy of @fd, which stays the caller's, under @name: for commands that take "fd:NAME".
 * Fails as sp_qmp_execute() does.
 */
bool sp_qmp_give_fd(SpQmp *qmp, int fd, const char *name, gint64 timeout_ms,
    const SpInterrupt *interrupt, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/**
 * Take the first event named @event out of those kept, waiting for one if there is none. @event
 * NULL is any. @ret_name (may be NULL) is its name, to be freed with g_free(); @ret_data (may be
 * NULL) its data, an object to be freed with json_decref(), or NULL if it has none.
 */
bool sp_qmp_wait_event(SpQmp *qmp, const char *event, gint64 timeout_ms,
    const SpInterrupt *interrupt, char **ret_name, json_t **ret_data,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;

/**
 * Drop the kept events named @event that QEMU sent at @since_us (as in sp_qmp_event_time_us()) or
 * later: the caller caused them.
 */
void sp_qmp_drop_events(SpQmp *qmp, const char *event, gint64 since_us);

/** Why the connection is dead; NULL while it is not. */
const GError *sp_qmp_error(SpQmp *qmp);
/** When QEMU sent the latest event, in microseconds since 1970; 0 if it did not say. */
gint64 sp_qmp_event_time_us(SpQmp *qmp);

/** What a line from QEMU is. */
typedef enum { SP_QMP_GREETING, SP_QMP_RETURN, SP_QMP_REFUSAL, SP_QMP_EVENT } SpQmpKind;

typedef struct {
    SpQmpKind kind;
    gint64 id;        /* of RETURN and REFUSAL; -1 if there is none */
    char *text;       /* of EVENT its name, of REFUSAL QEMU's words */
    char *class_name; /* of REFUSAL; NULL if there is none */
    gint64 time_us;   /* of EVENT; 0 if there is none */
    json_t *payload;  /* of RETURN the value, of EVENT its data, an object; may be NULL */
} SpQmpMessage;
void sp_qmp_message_clear(SpQmpMessage *message);

/** Parse one line. A pure function; SP_ERROR_PROTOCOL if it isn't a QMP message. */
bool sp_qmp_parse(const char *line, gsize length, SpQmpMessage *ret_message,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
