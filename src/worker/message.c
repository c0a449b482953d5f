/* SPDX-License-Identifier: MIT */
#include "worker/message.h"

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"

#include <string.h>

static const char *const events[] = {
    [SP_MESSAGE_BEGIN] = "begin",
    [SP_MESSAGE_SCRIPT] = "script",
    [SP_MESSAGE_SUBTEST] = "subtest",
    [SP_MESSAGE_STEP] = "step",
    [SP_MESSAGE_PRINT] = "print",
    [SP_MESSAGE_FOREIGN] = "foreign",
    [SP_MESSAGE_RESULT] = "result",
};

static const char *const outcomes[] = {
    [SP_OUTCOME_NONE] = "",
    [SP_OUTCOME_PASSED] = "passed",
    [SP_OUTCOME_FAILED] = "failed",
    [SP_OUTCOME_ERROR] = "error",
    [SP_OUTCOME_INTERRUPTED] = "interrupted",
    [SP_OUTCOME_NO_SPACE] = "no space",
};

void sp_message_clear(SpMessage *message)
{
    g_clear_pointer(&message->text, g_free);
}

static void set_excerpt(json_t *object, const char *name, const char *text)
{
    g_autofree char *excerpt =
        sp_text_excerpt(text ? text : "", text ? strlen(text) : 0, SP_MESSAGE_TEXT_MAX);

    json_object_set_new(object, name, json_string(excerpt));
}

char *sp_message_format(SpMessageKind kind, SpOutcome outcome, const char *text, double number)
{
    json_auto_t *object = json_object();
    g_autofree char *line = NULL;

    json_object_set_new(object, "event", json_string(events[kind]));
    json_object_set_new(object, "word", json_string(outcomes[outcome]));
    set_excerpt(object, "text", text);
    json_object_set_new(object, "number", json_real(number));
    line = sp_json_format(object);
    return g_strconcat(line, "\n", NULL);
}

/* The index of @word in @words; false if it is NULL or not among them. */
static bool find_word(const char *const *words, gsize n_words, const char *word, guint *ret_index)
{
    for (gsize i = 0; word && i < n_words; i++) {
        if (!g_str_equal(words[i], word))
            continue;
        *ret_index = (guint)i;
        return true;
    }
    return false;
}

static bool is_outcome_of(SpMessageKind kind, SpOutcome outcome)
{
    switch (kind) {
    case SP_MESSAGE_RESULT:
        return outcome != SP_OUTCOME_NONE;
    case SP_MESSAGE_SUBTEST:
        return outcome == SP_OUTCOME_PASSED || outcome == SP_OUTCOME_FAILED;
    default:
        return outcome == SP_OUTCOME_NONE;
    }
}

bool sp_message_parse(const char *line, gsize length, SpMessage *ret_message, GError **error)
{
    json_auto_t *object = length <= SP_MESSAGE_MAX ? sp_json_parse_flat(line, length) : NULL;
    const char *text = sp_json_text(object, "text");
    double number = sp_json_number(object, "number", -1);
    guint kind, outcome;

    if (text && number >= 0 &&
        find_word(events, G_N_ELEMENTS(events), sp_json_text(object, "event"), &kind) &&
        find_word(outcomes, G_N_ELEMENTS(outcomes), sp_json_text(object, "word"), &outcome) &&
        is_outcome_of((SpMessageKind)kind, (SpOutcome)outcome)) {
        *ret_message = (SpMessage){
            .kind = (SpMessageKind)kind,
            .outcome = (SpOutcome)outcome,
            .text = g_strdup(text),
            .number = number,
        };
        return true;
    }
    g_set_error_literal(
        error, SP_ERROR, SP_ERROR_PROTOCOL, "the test's process sent a line that is not a message");
    return false;
}

void sp_message_reader_init(SpMessageReader *reader, SpMessageFunc func, void *data)
{
    *reader = (SpMessageReader){.line = g_string_new(NULL), .func = func, .data = data};
}

static void finish_line(SpMessageReader *reader)
{
    g_auto(SpMessage) message = {0};

    if (sp_message_parse(reader->line->str, reader->line->len, &message, NULL))
        reader->func(&message, reader->data);
    g_string_truncate(reader->line, 0);
}

void sp_message_reader_feed(SpMessageReader *reader, const char *bytes, gsize length)
{
    while (length > 0) {
        const char *newline = memchr(bytes, '\n', length);
        gsize part = newline ? (gsize)(newline - bytes) : length;
        gsize space = SP_MESSAGE_MAX + 1 - MIN(reader->line->len, SP_MESSAGE_MAX + 1);

        /* one byte more than is allowed, by which it is refused */
        g_string_append_len(reader->line, bytes, (gssize)MIN(part, space));
        if (newline)
            finish_line(reader);
        bytes += part + (newline != NULL);
        length -= part + (newline != NULL);
    }
}

void sp_message_reader_clear(SpMessageReader *reader)
{
    if (reader->line)
        g_string_free(g_steal_pointer(&reader->line), TRUE);
}
