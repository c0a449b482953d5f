/* SPDX-License-Identifier: MIT */

/* The messages of a worker, and how a stream is split into them. */

#include "base/error.h"
#include "worker/message.h"

#include <string.h>

static void test_round_trip(void)
{
    g_autofree char *line =
        sp_message_format(SP_MESSAGE_SUBTEST, SP_OUTCOME_FAILED, "a \"b\"\n\xff", 1.5);
    gsize length = strlen(line);
    SpMessage message = {0};

    g_assert_cmpint(line[length - 1], ==, '\n');
    g_assert_null(memchr(line, '\n', length - 1));
    g_assert_true(sp_message_parse(line, length - 1, &message, NULL));
    g_assert_cmpint(message.kind, ==, SP_MESSAGE_SUBTEST);
    g_assert_cmpint(message.outcome, ==, SP_OUTCOME_FAILED);
    g_assert_cmpstr(message.text, ==, "a \"b\"\n\xef\xbf\xbd");
    g_assert_cmpfloat(message.number, ==, 1.5);
    sp_message_clear(&message);
    for (gsize cut = 0; cut < length - 1; cut++) {
        g_autoptr(GError) error = NULL;
        g_assert_false(sp_message_parse(line, cut, &message, &error));
        g_assert_error(error, SP_ERROR, SP_ERROR_PROTOCOL);
    }
}

static void test_garbage(void)
{
    static const char *const lines[] = {
        "[]",
        "3",
        "null",
        "{}",
        "{\"event\":\"begin\"}",
        "{\"event\":3,\"word\":\"\",\"text\":\"\",\"number\":1}",
        "{\"event\":\"other\",\"word\":\"\",\"text\":\"\",\"number\":1}",
        "{\"event\":\"begin\",\"word\":[],\"text\":\"\",\"number\":1}",
        "{\"event\":\"begin\",\"word\":\"\",\"text\":null,\"number\":1}",
        "{\"event\":\"begin\",\"word\":\"\",\"text\":\"\",\"number\":-1}",
        "{\"event\":\"begin\",\"word\":\"\",\"text\":\"\",\"number\":[]}",
        "{\"event\":\"result\",\"word\":\"\",\"text\":\"\",\"number\":1}",
        "{\"event\":\"result\",\"word\":\"other\",\"text\":\"\",\"number\":1}",
        "{\"event\":\"subtest\",\"word\":\"error\",\"text\":\"\",\"number\":1}",
        "{\"event\":\"begin\",\"word\":\"passed\",\"text\":\"\",\"number\":1}",
        "\xff",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_autoptr(GError) error = NULL;
        SpMessage message = {0};
        g_assert_false(sp_message_parse(lines[i], strlen(lines[i]), &message, &error));
        g_assert_error(error, SP_ERROR, SP_ERROR_PROTOCOL);
    }
}

/* However deeply a script that writes to the descriptor nests, the parser does not recurse. */
static void test_depth(void)
{
    static const char *const begins[] = {"", "{\"event\":", "/*\"*/", "{'\"':"};
    g_autofree char *deep = g_strnfill(1000000, '[');

    for (gsize i = 0; i < G_N_ELEMENTS(begins); i++) {
        g_autofree char *line = g_strconcat(begins[i], deep, NULL);
        g_autoptr(GError) error = NULL;
        SpMessage message = {0};
        g_assert_false(sp_message_parse(line, strlen(line), &message, &error));
        g_assert_error(error, SP_ERROR, SP_ERROR_PROTOCOL);
    }
}

static void count_message(SpMessage *message, void *data)
{
    GString *seen = data;

    g_string_append_printf(seen, "%d:%s ", (int)message->kind, message->text);
}

/* Wherever the stream is divided, with other lines between. */
static void test_reader(void)
{
    g_autofree char *step = sp_message_format(SP_MESSAGE_STEP, SP_OUTCOME_NONE, "one", 0);
    g_autofree char *print = sp_message_format(SP_MESSAGE_PRINT, SP_OUTCOME_NONE, "two", 0);
    g_autofree char *stream = g_strconcat(step, "garbage\n\n", print, "{\"event", NULL);
    gsize length = strlen(stream);

    for (gsize part = 1; part <= length; part++) {
        g_autoptr(GString) seen = g_string_new(NULL);
        g_auto(SpMessageReader) reader = {0};

        sp_message_reader_init(&reader, count_message, seen);
        for (gsize at = 0; at < length; at += part)
            sp_message_reader_feed(&reader, stream + at, MIN(part, length - at));
        g_assert_cmpstr(seen->str, ==, "3:one 4:two ");
    }
}

/* A line that does not end takes a bounded amount of memory, and the next is read. */
static void test_long_line(void)
{
    g_autofree char *chunk = g_strnfill(1 << 20, 'x');
    g_autofree char *step = sp_message_format(SP_MESSAGE_STEP, SP_OUTCOME_NONE, "one", 0);
    g_autoptr(GString) seen = g_string_new(NULL);
    g_auto(SpMessageReader) reader = {0};

    sp_message_reader_init(&reader, count_message, seen);
    for (guint i = 0; i < 40; i++)
        sp_message_reader_feed(&reader, chunk, 1 << 20);
    g_assert_cmpuint(reader.line->len, <=, SP_MESSAGE_MAX + 1);
    sp_message_reader_feed(&reader, "\n", 1);
    sp_message_reader_feed(&reader, step, strlen(step));
    g_assert_cmpstr(seen->str, ==, "3:one ");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/message/round-trip", test_round_trip);
    g_test_add_func("/message/garbage", test_garbage);
    g_test_add_func("/message/depth", test_depth);
    g_test_add_func("/message/reader", test_reader);
    g_test_add_func("/message/long-line", test_long_line);
    return g_test_run();
}
