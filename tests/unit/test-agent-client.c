/* SPDX-License-Identifier: MIT */

/* The connection to a fake agent: the test chooses every byte that it sends. */

#include "base/error.h"
#include "fake-agent.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void test_hello(void)
{
    guint8 junk[100000];
    FakeAgent f;

    fake_set_up(&f);
    memset(junk, SP_AGENT_FRAME_MAGIC, sizeof junk);
    g_assert_cmpint(write(f.fd, junk, sizeof junk), ==, sizeof junk);
    /* an answer to another HELLO, then to ours in two pieces */
    f.hello[SP_HELLO_MAGIC_SIZE + 4] ^= 1;
    fake_say(&f, SP_AGENT_FRAME_HELLO, 0, 0, f.hello, sizeof f.hello);
    g_assert_false(sp_agent_is_ready(f.agent));
    f.hello[SP_HELLO_MAGIC_SIZE + 4] ^= 1;
    fake_say(&f, SP_AGENT_FRAME_HELLO, 0, 0, f.hello, sizeof f.hello);
    g_assert_true(sp_agent_is_ready(f.agent));
    g_assert_cmpint(sp_agent_boot_id(f.agent)[0], ==, 0x42);
    fake_tear_down(&f);

    fake_set_up(&f);
    f.hello[SP_HELLO_MAGIC_SIZE] = 99;
    fake_say(&f, SP_AGENT_FRAME_HELLO, 0, 0, f.hello, sizeof f.hello);
    g_assert_error(sp_agent_error(f.agent), SP_ERROR, SP_ERROR_PROTOCOL);
    g_assert_nonnull(strstr(sp_agent_error(f.agent)->message, "version 99"));
    fake_tear_down(&f);
}

/* Send @bytes repeatedly, at least @total bytes in all. */
static void flood(FakeAgent *f, const guint8 *bytes, gsize length, gsize total)
{
    g_autoptr(GByteArray) chunk = g_byte_array_new();

    while (chunk->len < 65536)
        g_byte_array_append(chunk, bytes, (guint)length);
    for (gsize sent = 0; sent < total; sent += chunk->len) {
        g_assert_cmpint(write(f->fd, chunk->data, chunk->len), ==, chunk->len);
        fake_turn();
    }
}

/* What is left over from before a reset of the guest is skipped, but not without limit. */
static void test_garbage_before_hello(void)
{
    guint8 hello[SP_AGENT_FRAME_HEADER_SIZE + SP_HELLO_MAGIC_SIZE + 4 + SP_NONCE_SIZE +
                 SP_BOOT_ID_SIZE];
    FakeAgent f;

    fake_set_up(&f);
    flood(&f, (const guint8 *)"login: ", 7, 15 * 1024 * 1024);
    fake_say(&f, SP_AGENT_FRAME_HELLO, 0, 0, f.hello, sizeof f.hello);
    g_assert_true(sp_agent_is_ready(f.agent));
    fake_tear_down(&f);

    fake_set_up(&f);
    flood(&f, (const guint8 *)"login: ", 7, 17 * 1024 * 1024);
    g_assert_error(sp_agent_error(f.agent), SP_ERROR, SP_ERROR_PROTOCOL);
    g_assert_nonnull(strstr(sp_agent_error(f.agent)->message, "is not slotproof's agent"));
    /* its output is still read, and ignored */
    flood(&f, (const guint8 *)"login: ", 7, 1024 * 1024);
    fake_say(&f, SP_AGENT_FRAME_HELLO, 0, 0, f.hello, sizeof f.hello);
    g_assert_false(sp_agent_is_ready(f.agent));
    fake_tear_down(&f);

    /* nor do answers to other HELLOs help */
    fake_set_up(&f);
    f.hello[SP_HELLO_MAGIC_SIZE + 4] ^= 1;
    sp_agent_frame_encode_header(hello, SP_AGENT_FRAME_HELLO, 0, 0, sizeof f.hello);
    memcpy(hello + SP_AGENT_FRAME_HEADER_SIZE, f.hello, sizeof f.hello);
    flood(&f, hello, sizeof hello, 17 * 1024 * 1024);
    g_assert_error(sp_agent_error(f.agent), SP_ERROR, SP_ERROR_PROTOCOL);
    fake_tear_down(&f);
}

/* An agent that reads nothing costs the connection and does not kill the driver. */
static void test_closed(void)
{
    const char *const argv[] = {"true", NULL};
    g_autoptr(GError) error = NULL;
    FakeAgent f;
    SpChannel *channel;

    fake_connect(&f);
    g_assert_cmpint(shutdown(f.fd, SHUT_RD), ==, 0);
    channel = sp_agent_exec(f.agent, argv);
    fake_turn();
    g_assert_cmpint(shutdown(f.fd, SHUT_WR), ==, 0);
    fake_turn();
    g_assert_true(sp_channel_is_done(channel, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_MACHINE);
    g_assert_nonnull(strstr(error->message, "was closed"));
    sp_channel_free(channel);
    fake_tear_down(&f);
}

/* A protocol violation ends every request with the reason; a reset starts afresh. */
static void breaks(const guint8 *bytes, gsize length, const char *words)
{
    const char *const argv[] = {"true", NULL};
    g_autoptr(GError) error = NULL;
    FakeAgent f;
    SpChannel *channel;

    fake_connect(&f);
    channel = sp_agent_exec(f.agent, argv);
    fake_hear(&f);
    fake_hear(&f);
    g_assert_cmpint(write(f.fd, bytes, length), ==, length);
    fake_turn();
    g_assert_true(sp_channel_is_done(channel, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_PROTOCOL);
    g_assert_nonnull(strstr(error->message, words));
    sp_channel_free(channel);
    sp_agent_reset(f.agent, "again");
    fake_hear_hello(&f);
    fake_say(&f, SP_AGENT_FRAME_HELLO, 0, 0, f.hello, sizeof f.hello);
    g_assert_true(sp_agent_is_ready(f.agent));
    fake_tear_down(&f);
}

static void test_broken(void)
{
    const guint8 too_long[SP_AGENT_FRAME_HEADER_SIZE] = {
        SP_AGENT_FRAME_MAGIC, SP_AGENT_FRAME_DATA, 1, 0, 1, 0, 0, 0, 0, 0, 0x10, 0};
    const guint8 bad_exit[SP_AGENT_FRAME_HEADER_SIZE + 8] = {
        SP_AGENT_FRAME_MAGIC, SP_AGENT_FRAME_EXIT, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, 7};
    /* a status that no process can have */
    const guint8 bad_status[SP_AGENT_FRAME_HEADER_SIZE + 8] = {
        SP_AGENT_FRAME_MAGIC, SP_AGENT_FRAME_EXIT, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    /* more credit than may ever be granted: at once, and in addition to earlier credit */
    const guint8 much_credit[SP_AGENT_FRAME_HEADER_SIZE + 4] = {SP_AGENT_FRAME_MAGIC,
        SP_AGENT_FRAME_CREDIT, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 0xff, 0xff, 0xff, 0xff};
    const guint8 more_credit[2 * SP_AGENT_FRAME_HEADER_SIZE + 8] = {SP_AGENT_FRAME_MAGIC,
        SP_AGENT_FRAME_CREDIT, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 0xff, 0xff, 0xef,
        0x7f, /* and one byte more */
        SP_AGENT_FRAME_MAGIC, SP_AGENT_FRAME_CREDIT, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 1};
    const guint8 odd[SP_AGENT_FRAME_HEADER_SIZE] = {
        SP_AGENT_FRAME_MAGIC, SP_AGENT_FRAME_EXEC, 0, 0, 1};
    const guint8 bad_state[SP_AGENT_FRAME_HEADER_SIZE + 1] = {
        SP_AGENT_FRAME_MAGIC, SP_AGENT_FRAME_STATE, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 'x'};

    breaks((const guint8 *)"hello", 5, "garbage");
    breaks(too_long, sizeof too_long, "longer than allowed");
    breaks(bad_exit, sizeof bad_exit, "does not belong");
    breaks(bad_status, sizeof bad_status, "does not belong");
    breaks(much_credit, sizeof much_credit, "does not belong");
    breaks(more_credit, sizeof more_credit, "does not belong");
    breaks(odd, sizeof odd, "does not belong");
    breaks(bad_state, sizeof bad_state, "does not belong");
}

static void test_lost(void)
{
    const char *const argv[] = {"true", NULL};
    g_autoptr(GError) error = NULL;
    FakeAgent f;
    SpChannel *channel, *late;

    fake_connect(&f);
    channel = sp_agent_exec(f.agent, argv);
    sp_agent_reset(f.agent, "the guest was reset");
    g_assert_true(sp_channel_is_done(channel, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_MACHINE);
    g_assert_cmpstr(error->message, ==, "the guest was reset");
    g_clear_error(&error);
    late = sp_agent_exec(f.agent, argv);
    g_assert_true(sp_channel_is_done(late, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_MACHINE);
    sp_channel_free(channel);
    sp_channel_free(late);
    fake_tear_down(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/agent-client/hello", test_hello);
    g_test_add_func("/agent-client/garbage-before-hello", test_garbage_before_hello);
    g_test_add_func("/agent-client/closed", test_closed);
    g_test_add_func("/agent-client/broken", test_broken);
    g_test_add_func("/agent-client/lost", test_lost);
    return g_test_run();
}
