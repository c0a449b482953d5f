/* SPDX-License-Identifier: MIT */
#include "worker/message.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_right)
{
    if (!is_right)
        abort();
}

/* A message that was read is the same after it was written and read again. */
static void check_message(SpMessage *message, void *data)
{
    g_autofree char *line =
        sp_message_format(message->kind, message->outcome, message->text, message->number);
    gsize length = strlen(line);
    g_auto(SpMessage) again = {0};

    check(length - 1 <= SP_MESSAGE_MAX && line[length - 1] == '\n');
    check(!memchr(line, '\n', length - 1));
    check(g_utf8_validate(line, -1, NULL));
    check(sp_message_parse(line, length - 1, &again, NULL));
    check(again.kind == message->kind && again.outcome == message->outcome);
    check(strlen(message->text) > SP_MESSAGE_TEXT_MAX || g_str_equal(again.text, message->text));
    ++*(guint *)data;
}

static guint read_in_parts(const uint8_t *data, size_t size, size_t part)
{
    g_auto(SpMessageReader) reader = {0};
    guint count = 0;

    sp_message_reader_init(&reader, check_message, &count);
    for (size_t at = 0; at < size; at += part)
        sp_message_reader_feed(&reader, (const char *)data + at, MIN(part, size - at));
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SpMessage message = {0};
    g_autoptr(GError) error = NULL;

    if (sp_message_parse((const char *)data, size, &message, &error))
        check(!error && message.text && message.number >= 0);
    else
        check(error && !message.text);
    sp_message_clear(&message);
    check(read_in_parts(data, size, MAX(size, 1)) == read_in_parts(data, size, 7));
    return 0;
}
