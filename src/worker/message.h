/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/** The descriptor on which a worker sends its messages to the process that started it. */
#define SP_MESSAGE_FD 3

/**
 * The messages of a worker to the process that started it: one JSON object per line, at most
 * SP_MESSAGE_MAX bytes each, with the members "event", "word", "text" and "number".
 */
typedef enum {
    SP_MESSAGE_BEGIN,   /* the machines are about to be created: number is the accelerator's time
                           factor */
    SP_MESSAGE_SCRIPT,  /* the machines are in the checkpoint's state and the script begins: number
                           is how many seconds obtaining the checkpoint took. text is "" unless the
                           checkpoint was made: then the seconds that this took without the one
                           below it, and if that was made as well, a space and its seconds, and so
                           on */
    SP_MESSAGE_SUBTEST, /* a subtest ended: text is its name, outcome passed or failed, number its
                           seconds */
    SP_MESSAGE_STEP,    /* the current step: text, "" if it has no name */
    SP_MESSAGE_PRINT,   /* the script printed a line: text */
    SP_MESSAGE_FOREIGN, /* a machine is created from an image given by path, or on a given disk: its
                           contents decide the result, and only the script knows them */
    SP_MESSAGE_RESULT,  /* the last message: outcome, text the report for people, number the seconds
                           without those that obtaining the checkpoint took */
} SpMessageKind;

typedef enum {
    SP_OUTCOME_NONE, /* not a message that has one */
    SP_OUTCOME_PASSED,
    SP_OUTCOME_FAILED,
    SP_OUTCOME_ERROR, /* the test could not be run: wrong input of the user */
    SP_OUTCOME_INTERRUPTED,
    SP_OUTCOME_NO_SPACE, /* of a worker that makes a checkpoint: the disk is full */
} SpOutcome;

/** Of a line without its newline. */
#define SP_MESSAGE_MAX (16u * 1024 * 1024)
/** Of a text: the middle of a longer one is left out. However it is escaped, its line is no longer
 * than SP_MESSAGE_MAX. */
#define SP_MESSAGE_TEXT_MAX (1024u * 1024)

typedef struct {
    SpMessageKind kind;
    SpOutcome outcome;
    char *text; /* "" if there is none */
    double number;
} SpMessage;
void sp_message_clear(SpMessage *message);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(SpMessage, sp_message_clear)

/** Returns the line with its newline. @text may be NULL. Free with g_free(). */
char *sp_message_format(SpMessageKind kind, SpOutcome outcome, const char *text, double number);
/** Parse a line without its newline. A pure function. SP_ERROR_PROTOCOL. */
bool sp_message_parse(const char *line, gsize length, SpMessage *ret_message,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;

/** Called with each message; @message lives during the call, but its text may be stolen. */
typedef void (*SpMessageFunc)(SpMessage *message, void *data);

/** Splits a stream of bytes into messages. Lines that are not messages are ignored. */
typedef struct {
    GString *line; /* as much of it as has come */
    SpMessageFunc func;
    void *data;
} SpMessageReader;
void sp_message_reader_init(SpMessageReader *reader, SpMessageFunc func, void *data);
void sp_message_reader_feed(SpMessageReader *reader, const char *bytes, gsize length);
/** A zeroed reader is accepted. */
void sp_message_reader_clear(SpMessageReader *reader);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(SpMessageReader, sp_message_reader_clear)
