/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/json.h"
#include "qemu/qmp.h"

#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n"

/* A QEMU that answers the n-th command with the n-th of its lines. */
typedef struct {
    int fd;
    const char *const *lines;
    guint n_lines, answered;
    GSource *source;
    GString *heard;
} Fake;

typedef struct {
    Fake fake;
    SpQmp *qmp;
    GString *events;
} Fixture;

static void say(Fake *fake, const char *text)
{
    g_assert_cmpint(write(fake->fd, text, strlen(text)), ==, strlen(text));
}

static gboolean on_command(int fd, GIOCondition condition, void *data)
{
    Fake *fake = data;
    char buffer[4096];
    ssize_t n = read(fd, buffer, sizeof buffer);

    if (n <= 0)
        return G_SOURCE_REMOVE;
    g_string_append_len(fake->heard, buffer, n);
    for (ssize_t i = 0; i < n; i++) {
        if (buffer[i] != '\n')
            continue;
        if (fake->answered >= fake->n_lines)
            return G_SOURCE_CONTINUE;
        say(fake, fake->lines[fake->answered++]);
    }
    return G_SOURCE_CONTINUE;
}

static void on_event(const char *event, const json_t *data, void *user_data)
{
    g_string_append_printf(user_data, "%s;", event);
}

static void set_up(Fixture *f, const char *const *lines, guint n_lines)
{
    int pair[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
    f->fake = (Fake){.fd = pair[1], .lines = lines, .n_lines = n_lines};
    f->fake.heard = g_string_new(NULL);
    f->fake.source = g_unix_fd_source_new(pair[1], G_IO_IN);
    g_source_set_callback(f->fake.source, G_SOURCE_FUNC(on_command), &f->fake, NULL);
    g_source_attach(f->fake.source, NULL);
    f->events = g_string_new(NULL);
    f->qmp = sp_qmp_new(pair[0], on_event, f->events);
}

static void tear_down(Fixture *f)
{
    g_source_destroy(f->fake.source);
    g_source_unref(f->fake.source);
    if (f->fake.fd >= 0)
        close(f->fake.fd);
    g_string_free(f->fake.heard, TRUE);
    sp_qmp_free(f->qmp);
    g_string_free(f->events, TRUE);
}

static void test_commands(void)
{
    static const char *const lines[] = {
        "{\"return\": {}, \"id\": 1}\r\n",
        ("{\"event\": \"RESET\", \"data\": {\"guest\": true}}\r\n{\"return\": 9, \"id\": 77}\r\n"
         "{\"return\": {\"running\": true}, \"id\": 2}\r\n"),
        "{\"error\": {\"class\": \"GenericError\", \"desc\": \"not so\"}, \"id\": 3}\r\n",
        "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no JSON\"}}\r\n",
    };
    Fixture f;
    const char *class_name, *description;
    g_autoptr(GError) error = NULL;
    json_auto_t *answer = NULL, *data = NULL;
    json_t *arguments = json_pack("{s:s}", "device", "disk0");

    set_up(&f, lines, G_N_ELEMENTS(lines));
    say(&f.fake, GREETING);
    g_assert_true(sp_qmp_execute(f.qmp, "query-status", arguments, 5000, NULL, &answer, &error));
    g_assert_no_error(error);
    g_assert_true(sp_json_is_true(answer, "running"));
    g_assert_nonnull(strstr(f.fake.heard->str, "qmp_capabilities"));
    g_assert_nonnull(strstr(f.fake.heard->str, "\"device\":\"disk0\""));
    g_assert_cmpstr(f.events->str, ==, "RESET;");
    g_assert_false(sp_qmp_refusal(f.qmp, &class_name, &description));
    g_assert_false(sp_qmp_execute(f.qmp, "no", NULL, 5000, NULL, NULL, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_GUEST);
    g_assert_nonnull(strstr(error->message, "not so"));
    g_clear_error(&error);
    g_assert_true(sp_qmp_refusal(f.qmp, &class_name, &description));
    g_assert_cmpstr(class_name, ==, "GenericError");
    g_assert_cmpstr(description, ==, "not so");
    /* what QEMU could not read has no id that it could name */
    g_assert_false(sp_qmp_execute(f.qmp, "no", NULL, 5000, NULL, NULL, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_GUEST);
    g_assert_nonnull(strstr(error->message, "no JSON"));
    g_clear_error(&error);
    /* an event that came before anybody waited for it */
    g_assert_true(sp_qmp_wait_event(f.qmp, "RESET", 5000, NULL, NULL, &data, &error));
    g_assert_true(sp_json_is_true(data, "guest"));
    g_assert_false(sp_qmp_wait_event(f.qmp, "RESET", 1, NULL, NULL, NULL, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_TIMEOUT);
    g_assert_true(g_str_has_prefix(error->message, "waiting for QEMU's event RESET: "));
    g_clear_error(&error);
    g_assert_false(sp_qmp_wait_event(f.qmp, NULL, 1, NULL, NULL, NULL, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_TIMEOUT);
    g_assert_true(g_str_has_prefix(error->message, "waiting for any event of QEMU: "));
    tear_down(&f);
}

typedef struct {
    SpQmp *qmp;
    json_t *answer;
} Inner;

static gboolean call_again(void *data)
{
    Inner *inner = data;

    g_assert_true(sp_qmp_execute(inner->qmp, "inner", NULL, 5000, NULL, &inner->answer, NULL));
    return G_SOURCE_REMOVE;
}

/* Waiting for an answer turns the main loop, in which another caller may ask: each gets its own
 * answer, whichever comes first, and the first of two. */
static void test_nested(void)
{
    static const char *const lines[] = {
        "{\"return\": {}, \"id\": 1}\r\n",
        "\r\n",
        ("{\"return\": \"outer\", \"id\": 2}\r\n{\"return\": \"again\", \"id\": 2}\r\n"
         "{\"return\": \"inner\", \"id\": 3}\r\n"),
        "\r\n",
        "{\"return\": \"inner\", \"id\": 5}\r\n{\"return\": \"outer\", \"id\": 4}\r\n",
    };
    Fixture f;
    g_autoptr(GError) error = NULL;

    set_up(&f, lines, G_N_ELEMENTS(lines));
    say(&f.fake, GREETING);
    for (guint i = 0; i < 2; i++) {
        Inner inner = {.qmp = f.qmp};
        json_auto_t *outer = NULL;

        g_idle_add(call_again, &inner);
        g_assert_true(sp_qmp_execute(f.qmp, "outer", NULL, 5000, NULL, &outer, &error));
        g_assert_no_error(error);
        g_assert_cmpstr(json_string_value(outer), ==, "outer");
        g_assert_cmpstr(json_string_value(inner.answer), ==, "inner");
        json_decref(inner.answer);
    }
    tear_down(&f);
}

static void expect_time(const char *timestamp, gint64 expected_us)
{
    g_autofree char *line = g_strdup_printf("{\"event\": \"RESET\"%s}", timestamp);
    SpQmpMessage message = {0};

    g_assert_true(sp_qmp_parse(line, strlen(line), &message, NULL));
    g_assert_cmpint(message.time_us, ==, expected_us);
    sp_qmp_message_clear(&message);
}

static void test_event_time(void)
{
    static const char whole[] = ", \"timestamp\": {\"seconds\": 7, \"microseconds\": 8}";
    Fixture f;

    expect_time(whole, 7000008);
    expect_time("", 0);
    expect_time(", \"timestamp\": 7", 0);
    expect_time(", \"timestamp\": {\"seconds\": -1, \"microseconds\": -1}", 0);
    expect_time(", \"timestamp\": {\"seconds\": \"7\", \"microseconds\": 8}", 0);
    expect_time(", \"timestamp\": {\"seconds\": 9223372036854775807, \"microseconds\": 8}", 0);
    expect_time(", \"timestamp\": {\"seconds\": 7, \"microseconds\": 1000000}", 0);

    set_up(&f, NULL, 0);
    say(&f.fake, GREETING "{\"event\": \"RESET\"");
    say(&f.fake, whole);
    say(&f.fake, "}\r\n");
    g_assert_true(sp_qmp_wait_event(f.qmp, "RESET", 5000, NULL, NULL, NULL, NULL));
    g_assert_cmpint(sp_qmp_event_time_us(f.qmp), ==, 7000008);
    tear_down(&f);
}

static void say_event(Fixture *f, const char *name, guint seconds)
{
    g_autofree char *line = g_strdup_printf(
        "{\"event\": \"%s\", \"timestamp\": {\"seconds\": %u, \"microseconds\": 0}}\r\n", name,
        seconds);

    say(&f->fake, line);
}

static void expect_event(Fixture *f, const char *expected)
{
    g_autofree char *name = NULL;

    g_assert_true(sp_qmp_wait_event(f->qmp, NULL, 5000, NULL, &name, NULL, NULL));
    g_assert_cmpstr(name, ==, expected);
}

/* Of one name, since then, and no other. */
static void test_drop_events(void)
{
    Fixture f;

    set_up(&f, NULL, 0);
    sp_qmp_drop_events(f.qmp, "STOP", 0);
    say(&f.fake, GREETING);
    say_event(&f, "STOP", 7);
    say_event(&f, "STOP", 8);
    say_event(&f, "RESET", 9);
    say_event(&f, "STOP", 9);
    say_event(&f, "LAST", 9);
    g_assert_true(sp_qmp_wait_event(f.qmp, "LAST", 5000, NULL, NULL, NULL, NULL));
    sp_qmp_drop_events(f.qmp, "STOP", 8 * G_USEC_PER_SEC);
    say_event(&f, "END", 9);
    expect_event(&f, "STOP");
    expect_event(&f, "RESET");
    expect_event(&f, "END");
    tear_down(&f);
}

static void fails_with(const char *answer, bool hang_up, int code)
{
    const char *lines[] = {answer};
    Fixture f;
    g_autoptr(GError) error = NULL;

    set_up(&f, lines, hang_up ? 0 : 1);
    say(&f.fake, GREETING);
    if (hang_up) {
        say(&f.fake, answer);
        close(f.fake.fd);
        f.fake.fd = -1;
        g_source_destroy(f.fake.source);
    }
    g_assert_false(sp_qmp_execute(f.qmp, "query-status", NULL, 5000, NULL, NULL, &error));
    g_assert_error(error, SP_ERROR, code);
    /* and the connection is dead for good */
    g_assert_nonnull(sp_qmp_error(f.qmp));
    g_clear_error(&error);
    g_assert_false(sp_qmp_execute(f.qmp, "query-status", NULL, 5000, NULL, NULL, &error));
    g_assert_error(error, SP_ERROR, code);
    tear_down(&f);
}

static void test_broken_peers(void)
{
    fails_with("hello\n", false, SP_ERROR_PROTOCOL);
    fails_with("[1]\n", false, SP_ERROR_PROTOCOL);
    fails_with("{\"event\": 3}\n", false, SP_ERROR_PROTOCOL);
    fails_with("", true, SP_ERROR_MACHINE);
    fails_with("{\"return\": {}, \"i", true, SP_ERROR_MACHINE);
}

/* The greeting and an answer, cut at every byte: never more than "QEMU closed its monitor". */
static void test_truncated(void)
{
    const char *whole = GREETING "{\"return\": {}, \"id\": 1}\r\n{\"return\": 5, \"id\": 2}\r\n";

    for (gsize length = 0; length <= strlen(whole); length++) {
        Fixture f;
        g_autoptr(GError) error = NULL;
        g_autofree char *part = g_strndup(whole, length);

        set_up(&f, NULL, 0);
        say(&f.fake, part);
        close(f.fake.fd);
        f.fake.fd = -1;
        g_source_destroy(f.fake.source);
        g_assert_false(sp_qmp_execute(f.qmp, "query-status", NULL, 5000, NULL, NULL, &error));
        g_assert_error(error, SP_ERROR, SP_ERROR_MACHINE);
        tear_down(&f);
    }
}

static void assert_refused(const char *line, gsize length)
{
    SpQmpMessage message = {0};
    g_autoptr(GError) error = NULL;

    g_assert_false(sp_qmp_parse(line, length, &message, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_PROTOCOL);
}

static void test_parse(void)
{
    g_autofree char *deep = g_strnfill(60, '[');
    g_autofree char *end = g_strnfill(60, ']');
    g_autofree char *fits = g_strdup_printf("{\"return\": %s%s}", deep, end);
    g_autoptr(GError) error = NULL;
    SpQmpMessage message = {0};

    g_assert_true(sp_qmp_parse(fits, strlen(fits), &message, &error));
    g_assert_no_error(error);
    g_assert_cmpint(message.kind, ==, SP_QMP_RETURN);
    g_assert_cmpint(message.id, ==, -1);
    sp_qmp_message_clear(&message);
    /* brackets in a string nest nothing */
    const char *text =
        "{\"event\": \"[[[[\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"}";
    g_assert_true(sp_qmp_parse(text, strlen(text), &message, &error));
    g_assert_true(g_str_has_prefix(message.text, "[[[[\"["));
    sp_qmp_message_clear(&message);
    assert_refused("{\"return\": \"\xff\"}", 14);
    assert_refused("{\"return\": 1, \"return\": 2}", 26);
    assert_refused("{\"return\": 1} 2", 15);
}

/* Values that jansson's defaults would refuse: a NUL in a string, and an unsigned of 64 bits. */
static void test_unusual_values(void)
{
    static const char nul[] = "{\"return\": \"a\\u0000b\"}";
    static const char large[] = "{\"return\": {\"n\": 18446744073709551615}, \"id\": 7}";
    g_autoptr(GError) error = NULL;
    SpQmpMessage message = {0};

    g_assert_true(sp_qmp_parse(nul, strlen(nul), &message, &error));
    g_assert_cmpuint(json_string_length(message.payload), ==, 3);
    sp_qmp_message_clear(&message);
    g_assert_true(sp_qmp_parse(large, strlen(large), &message, &error));
    g_assert_cmpint(message.id, ==, 7);
    g_assert_cmpint(sp_json_int(message.payload, "n", 0), ==, -1);
    sp_qmp_message_clear(&message);
}

/* Nothing makes the parser descend as deep as a peer wants, neither what is no JSON (comments,
 * single quotes) nor what is. */
static void test_nesting(void)
{
    const char *const beginnings[] = {"", "{\"return\":", "/*\"*/", "//\"\r", "#\"\r", "'\"'",
        "{\"return\": '\"', \"a\": ", "{\"return\": \"\\\\\", \"a\": ",
        "{\"return\": \"\\u005c\", \"a\": "};
    g_autofree char *deep = g_strnfill(1024 * 1024, '[');
    g_autofree char *whole = NULL, *end = g_strnfill(1024 * 1024, ']');

    for (gsize i = 0; i < G_N_ELEMENTS(beginnings); i++) {
        g_autofree char *line = g_strconcat(beginnings[i], deep, NULL);

        assert_refused(line, strlen(line));
    }
    whole = g_strconcat("{\"return\":", deep, end, "}", NULL);
    assert_refused(whole, strlen(whole));
}

/* A QEMU that dies while it is written to is an error, not a SIGPIPE. */
static void test_dead_peer(void)
{
    int pair[2];
    g_autoptr(GError) error = NULL;
    SpQmp *qmp;

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
    qmp = sp_qmp_new(pair[0], NULL, NULL);
    g_assert_cmpint(write(pair[1], GREETING, strlen(GREETING)), ==, strlen(GREETING));
    /* greeted, and the command on its way: it can't be read any more, the answer could */
    g_assert_cmpint(shutdown(pair[1], SHUT_RD), ==, 0);
    g_assert_false(sp_qmp_execute(qmp, "query-status", NULL, 50, NULL, NULL, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_TIMEOUT);
    sp_qmp_free(qmp);
    close(pair[1]);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qmp/commands", test_commands);
    g_test_add_func("/qmp/nested", test_nested);
    g_test_add_func("/qmp/drop-events", test_drop_events);
    g_test_add_func("/qmp/event-time", test_event_time);
    g_test_add_func("/qmp/broken-peers", test_broken_peers);
    g_test_add_func("/qmp/truncated", test_truncated);
    g_test_add_func("/qmp/parse", test_parse);
    g_test_add_func("/qmp/unusual-values", test_unusual_values);
    g_test_add_func("/qmp/nesting", test_nesting);
    g_test_add_func("/qmp/dead-peer", test_dead_peer);
    return g_test_run();
}
