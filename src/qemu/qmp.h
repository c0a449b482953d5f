/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/wait.h"

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>

/**
 * A connection to QEMU's monitor (QEMU, docs/interop/qmp-spec): one JSON object a line each way.
 *
 * Events are kept in the order they come in, so that one that came before anybody waited for it is
 * still found. Main thread only; the default main context must turn.
 */
typedef struct SpQmp SpQmp;

#define SP_QMP_LINE_MAX (16u * 1024 * 1024)
#define SP_QMP_DEPTH_MAX 64u
#define SP_QMP_EVENTS_MAX 1024u

/** Called for each event as it comes. @data may be NULL. */
typedef void (*SpQmpEventFunc)(const char *event, JsonObject *data, void *user_data);

/** Talk over the stream socket @fd, which is taken. The handshake happens with the first command.
 */
SpQmp *sp_qmp_new(int fd, SpQmpEventFunc func, void *user_data);
void sp_qmp_free(SpQmp *qmp);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpQmp, sp_qmp_free)

/**
 * Execute @command with @arguments (taken; may be NULL) and wait for the answer.
 *
 * @ret_return (may be NULL) is given what the command returned. SP_ERROR_GUEST with QEMU's own
 * words if it refused; SP_ERROR_MACHINE if it went away; SP_ERROR_PROTOCOL if it sent garbage,
 * after which the connection is dead; SP_ERROR_TIMEOUT and SP_ERROR_INTERRUPTED.
 */
bool sp_qmp_execute(SpQmp *qmp, const char *command, JsonObject *arguments, gint64 timeout_ms,
    const SpInterrupt *interrupt, JsonNode **ret_return, GError **error);

/**
 * The last refusal: the class of the error, such as "CommandNotFound", and QEMU's own words. They
 * live until the next command. False if there was none.
 */
bool sp_qmp_refusal(SpQmp *qmp, const char **ret_class, const char **ret_description);

/**
 * Give QEMU a copy of @fd, which stays the caller's, under @name: for commands that take "fd:NAME".
 * Fails as sp_qmp_execute() does.
 */
bool sp_qmp_give_fd(SpQmp *qmp, int fd, const char *name, gint64 timeout_ms,
    const SpInterrupt *interrupt, GError **error);

/**
 * Take the first event named @event out of those kept, waiting for one if there is none.
 * @ret_data (may be NULL) is its data, NULL where it has none. For @event NULL it is the first of
 * all, whose name is @ret_name (may be NULL).
 */
bool sp_qmp_wait_event(SpQmp *qmp, const char *event, gint64 timeout_ms,
    const SpInterrupt *interrupt, char **ret_name, JsonObject **ret_data, GError **error);

/**
 * Drop those of the events named @event that are kept and that QEMU sent at @since_us (as
 * sp_qmp_event_time_us() has it) or later: they are of the caller's own doing.
 */
void sp_qmp_drop_events(SpQmp *qmp, const char *event, gint64 since_us);

/** Why the connection is dead; NULL while it is not. */
const GError *sp_qmp_error(SpQmp *qmp);
/** When the event was sent that is being told, or was told last, in microseconds since 1970 by
 * QEMU; 0 where it did not say. */
gint64 sp_qmp_event_time_us(SpQmp *qmp);

/** What a line of QEMU's is. */
typedef enum { SP_QMP_GREETING, SP_QMP_RETURN, SP_QMP_REFUSAL, SP_QMP_EVENT } SpQmpKind;

typedef struct {
    SpQmpKind kind;
    gint64 id;         /* of RETURN and REFUSAL; -1 if there is none */
    char *text;        /* of EVENT its name, of REFUSAL what QEMU says */
    char *class_name;  /* of REFUSAL; NULL if there is none */
    gint64 time_us;    /* of EVENT; 0 if there is none */
    JsonNode *payload; /* of RETURN what was returned, of EVENT its data; may be NULL */
} SpQmpMessage;
void sp_qmp_message_clear(SpQmpMessage *message);

/**
 * Parse one line. A pure function; false with SP_ERROR_PROTOCOL for what is no message of QMP,
 * among it what is nested deeper than SP_QMP_DEPTH_MAX.
 */
bool sp_qmp_parse(const char *line, gsize length, SpQmpMessage *ret_message, GError **error);
