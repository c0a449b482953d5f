/* SPDX-License-Identifier: MIT */
#include "agent-peer.h"
#include "lib/byte-order.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEADLINE_MS 10000
#define HELLO_LENGTH (SP_HELLO_MAGIC_SIZE + 4 + SP_NONCE_SIZE)

static void result_free(void *data)
{
    PeerResult *result = data;

    g_string_free(result->output, TRUE);
    g_string_free(result->errors, TRUE);
    g_ptr_array_unref(result->states);
    g_free(result->holders);
    g_free(result->message);
    g_free(result);
}

void peer_start(Peer *peer, const char *variable, const char *value)
{
    const char *line = g_getenv("SLOTPROOF_TEST_AGENT");
    g_auto(GStrv) argv = g_strsplit(line ? line : SLOTPROOF_AGENT, line ? " " : "\n", -1);

    peer_start_program(peer, (const char *const *)argv, variable, value);
}

void peer_start_program(
    Peer *peer, const char *const *argv, const char *variable, const char *value)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_auto(GStrv) line = NULL;
    g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_NONE);
    g_autoptr(GError) error = NULL;
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    memset(peer, 0, sizeof *peer);
    peer->fd = fds[0];
    g_subprocess_launcher_take_fd(launcher, fds[1], 3);
    /* a descriptor that no command may inherit from the agent */
    g_subprocess_launcher_take_fd(launcher, open("/dev/null", O_RDONLY | O_CLOEXEC), 9);
    if (variable)
        g_subprocess_launcher_setenv(launcher, variable, value, TRUE);
    g_strv_builder_addv(builder, (const char **)argv);
    g_strv_builder_add_many(builder, "--fd", "3", NULL);
    line = g_strv_builder_end(builder);
    peer->process = g_subprocess_launcher_spawnv(launcher, (const char *const *)line, &error);
    g_assert_no_error(error);
    peer->input = g_byte_array_new();
    peer->results = g_hash_table_new_full(NULL, NULL, NULL, result_free);
}

void peer_stop(Peer *peer)
{
    g_autoptr(GError) error = NULL;

    close(peer->fd);
    /* A sanitizer's report shows in the status as well. */
    g_subprocess_wait_check(peer->process, NULL, &error);
    g_assert_no_error(error);
    g_object_unref(peer->process);
    g_byte_array_unref(peer->input);
    g_hash_table_unref(peer->results);
}

static void wait_for(Peer *peer, short events)
{
    struct pollfd pollfd = {.fd = peer->fd, .events = events};

    g_assert_cmpint(poll(&pollfd, 1, DEADLINE_MS), ==, 1);
}

void peer_send_bytes(Peer *peer, const void *bytes, gsize length)
{
    const guint8 *from = bytes;

    while (length > 0) {
        ssize_t n = send(peer->fd, from, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            wait_for(peer, POLLOUT);
            continue;
        }
        g_assert_cmpint(n, >, 0);
        from += n;
        length -= (gsize)n;
    }
}

void peer_send(
    Peer *peer, enum sp_agent_frame_type type, guint32 channel, const void *payload, gsize length)
{
    guint8 header[SP_AGENT_FRAME_HEADER_SIZE];

    g_assert_cmpint(
        sp_agent_frame_encode_header(header, type, SP_STREAM_STDIN, channel, length), ==, 0);
    peer_send_bytes(peer, header, sizeof header);
    peer_send_bytes(peer, payload, length);
}

GByteArray *peer_hello_frame(guint8 nonce)
{
    GByteArray *frame = g_byte_array_new();

    g_byte_array_set_size(frame, SP_AGENT_FRAME_HEADER_SIZE + HELLO_LENGTH);
    sp_agent_frame_encode_header(frame->data, SP_AGENT_FRAME_HELLO, 0, 0, HELLO_LENGTH);
    memcpy(frame->data + SP_AGENT_FRAME_HEADER_SIZE, SP_HELLO_MAGIC, SP_HELLO_MAGIC_SIZE);
    sp_put_le32(
        frame->data + SP_AGENT_FRAME_HEADER_SIZE + SP_HELLO_MAGIC_SIZE, SP_PROTOCOL_VERSION);
    memset(frame->data + frame->len - SP_NONCE_SIZE, nonce, SP_NONCE_SIZE);
    return frame;
}

void peer_hello(Peer *peer, guint8 nonce)
{
    g_autoptr(GByteArray) frame = peer_hello_frame(nonce);

    peer_send_bytes(peer, frame->data, frame->len);
    peer_wait_hello(peer, nonce);
}

static void read_more(Peer *peer)
{
    guint length = peer->input->len;
    ssize_t n;

    wait_for(peer, POLLIN);
    g_byte_array_set_size(peer->input, length + 65536);
    n = recv(peer->fd, peer->input->data + length, 65536, 0);
    g_assert_cmpint(n, >, 0);
    g_byte_array_set_size(peer->input, length + (guint)n);
}

static void drop(Peer *peer, gsize length)
{
    peer->used += length;
    if (peer->used < peer->input->len / 2)
        return;
    g_byte_array_remove_range(peer->input, 0, (guint)peer->used);
    peer->used = 0;
}

void peer_wait_hello(Peer *peer, guint8 nonce)
{
    for (;;) {
        const guint8 *data = peer->input->data + peer->used;
        gsize length = peer->input->len - peer->used;
        ssize_t at = sp_agent_frame_find_hello(data, length), n;
        struct sp_agent_frame frame;

        n = at < 0 ? 0 : sp_agent_frame_decode(data + at, length - (gsize)at, &frame);
        g_assert_cmpint(n, >=, 0);
        if (n == 0) {
            read_more(peer);
            continue;
        }
        g_assert_cmpint(frame.length, ==, HELLO_LENGTH + SP_BOOT_ID_SIZE);
        bool is_ours = frame.payload[HELLO_LENGTH - 1] == nonce;
        drop(peer, (gsize)at + (gsize)n);
        if (is_ours)
            break;
    }
    g_hash_table_remove_all(peer->results);
    peer->n_hellos++;
}

PeerResult *peer_result(Peer *peer, guint32 channel)
{
    PeerResult *result = g_hash_table_lookup(peer->results, GUINT_TO_POINTER(channel));

    if (result)
        return result;
    result = g_new0(PeerResult, 1);
    result->output = g_string_new(NULL);
    result->errors = g_string_new(NULL);
    result->states = g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev);
    g_hash_table_insert(peer->results, GUINT_TO_POINTER(channel), result);
    return result;
}

static void take_state(PeerResult *result, struct sp_payload *p)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    const char *text;

    while (p->left > 0) {
        g_assert_cmpint(sp_payload_take_string(p, &text), ==, 0);
        g_strv_builder_add(builder, text);
    }
    g_ptr_array_add(result->states, g_strv_builder_end(builder));
}

static void take_frame(PeerResult *result, const struct sp_agent_frame *frame)
{
    GString *into = frame->stream == SP_STREAM_STDERR ? result->errors : result->output;
    struct sp_payload p;
    const char *holders;
    guint32 bytes;

    g_assert_false(result->is_done); /* EXIT and ERROR are the last */
    sp_payload_init(&p, frame);
    switch (frame->type) {
    case SP_AGENT_FRAME_DATA:
        g_string_append_len(into, (const char *)frame->payload, (gssize)frame->length);
        break;
    case SP_AGENT_FRAME_END:
        result->has_end = true;
        break;
    case SP_AGENT_FRAME_CREDIT:
        g_assert_cmpint(sp_payload_take_u32(&p, &bytes), ==, 0);
        result->credit += bytes;
        break;
    case SP_AGENT_FRAME_STATE:
        take_state(result, &p);
        break;
    case SP_AGENT_FRAME_EXIT:
        g_assert_cmpint(sp_payload_take_u32(&p, &result->how), ==, 0);
        g_assert_cmpint(sp_payload_take_u32(&p, &result->status), ==, 0);
        if (p.left > 0) {
            g_assert_cmpint(sp_payload_take_string(&p, &holders), ==, 0);
            result->holders = g_strdup(holders);
        }
        g_assert_cmpuint(p.left, ==, 0);
        result->is_done = true;
        break;
    case SP_AGENT_FRAME_ERROR:
        g_assert_cmpint(sp_payload_take_u32(&p, &result->error), ==, 0);
        g_assert_cmpuint(result->error, !=, 0);
        result->message = g_strndup((const char *)p.data, p.left);
        g_assert_true(g_utf8_validate(result->message, (gssize)p.left, NULL));
        result->is_done = true;
        break;
    default:
        g_assert_not_reached();
    }
}

void peer_turn(Peer *peer)
{
    struct sp_agent_frame frame;
    ssize_t n;

    while ((n = sp_agent_frame_decode(
                peer->input->data + peer->used, peer->input->len - peer->used, &frame)) == 0)
        read_more(peer);
    g_assert_cmpint(n, >, 0);
    take_frame(peer_result(peer, frame.channel), &frame);
    drop(peer, (gsize)n);
}

PeerResult *peer_wait(Peer *peer, guint32 channel)
{
    PeerResult *result = peer_result(peer, channel);

    while (!result->is_done)
        peer_turn(peer);
    return result;
}

PeerResult *peer_wait_output(Peer *peer, guint32 channel, gsize length)
{
    PeerResult *result = peer_result(peer, channel);

    while (result->output->len < length) {
        g_assert_false(result->is_done);
        peer_turn(peer);
    }
    return result;
}

char **peer_wait_states(Peer *peer, guint32 channel, guint n)
{
    PeerResult *result = peer_result(peer, channel);

    while (result->states->len < n) {
        g_assert_false(result->is_done);
        peer_turn(peer);
    }
    return g_ptr_array_index(result->states, result->states->len - 1);
}

static void append_u32(GByteArray *payload, guint32 value)
{
    guint8 bytes[4];

    sp_put_le32(bytes, value);
    g_byte_array_append(payload, bytes, sizeof bytes);
}

static void append_string(GByteArray *payload, const char *text)
{
    g_byte_array_append(payload, (const guint8 *)text, (guint)strlen(text) + 1);
}

static guint32 open_channel(Peer *peer, enum sp_agent_frame_type type, const GByteArray *payload)
{
    guint32 channel = ++peer->last_channel;

    peer_send(peer, type, channel, payload->data, payload->len);
    return channel;
}

guint32 peer_exec(Peer *peer, guint32 flags, const char *const *argv, const char *const *env)
{
    g_autoptr(GByteArray) payload = g_byte_array_new();
    const guint8 size[4] = {24, 0, 80, 0};
    guint32 argc = g_strv_length((char **)argv);

    append_u32(payload, flags);
    g_byte_array_append(payload, size, sizeof size);
    append_u32(payload, argc);
    for (guint32 i = 0; i < argc; i++)
        append_string(payload, argv[i]);
    for (; env && *env; env++)
        append_string(payload, *env);
    return open_channel(peer, SP_AGENT_FRAME_EXEC, payload);
}

guint32 peer_shell(Peer *peer, const char *script)
{
    const char *const argv[] = {"sh", "-c", script, NULL};

    return peer_exec(peer, 0, argv, NULL);
}

guint32 peer_put(Peer *peer, const char *path, guint32 mode)
{
    g_autoptr(GByteArray) payload = g_byte_array_new();

    append_u32(payload, mode);
    append_string(payload, path);
    return open_channel(peer, SP_AGENT_FRAME_PUT, payload);
}

guint32 peer_get(Peer *peer, const char *path)
{
    g_autoptr(GByteArray) payload = g_byte_array_new();

    append_string(payload, path);
    return open_channel(peer, SP_AGENT_FRAME_GET, payload);
}

guint32 peer_watch(Peer *peer, enum sp_watch_kind kind, const char *what)
{
    g_autoptr(GByteArray) payload = g_byte_array_new();

    append_u32(payload, kind);
    append_string(payload, what);
    return open_channel(peer, SP_AGENT_FRAME_WATCH, payload);
}

void peer_send_data(Peer *peer, guint32 channel, const void *data, gsize length)
{
    PeerResult *result = peer_result(peer, channel);
    const guint8 *from = data;
    gsize sent = 0;

    while (sent < length) {
        gsize credit = SP_INITIAL_CREDIT + result->credit - sent;
        gsize n = MIN(MIN(length - sent, credit), SP_AGENT_FRAME_PAYLOAD_MAX);
        if (n == 0) {
            peer_turn(peer);
            continue;
        }
        peer_send(peer, SP_AGENT_FRAME_DATA, channel, from + sent, n);
        sent += n;
    }
}

void peer_cancel(Peer *peer, guint32 channel)
{
    peer_send(peer, SP_AGENT_FRAME_CANCEL, channel, NULL, 0);
}

void peer_end(Peer *peer, guint32 channel)
{
    peer_send(peer, SP_AGENT_FRAME_END, channel, NULL, 0);
}

void peer_assert_exit(const PeerResult *result, guint32 status)
{
    g_assert_true(result->is_done);
    g_assert_cmpstr(result->message, ==, NULL);
    g_assert_cmpuint(result->how, <=, 1);
    g_assert_cmpuint(result->status + (result->how == 1 ? 128 : 0), ==, status);
}

void peer_assert_error(const PeerResult *result, guint32 number)
{
    g_assert_true(result->is_done);
    g_assert_cmpuint(result->error, ==, number);
    g_assert_nonnull(strstr(result->message, g_strerror((int)number)));
}
