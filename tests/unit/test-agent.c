/* SPDX-License-Identifier: MIT */

/* The agent's connection and commands; files and watches are in test-agent-files.c, units in
 * test-agent-units.c, and what happens if one side stalls in test-agent-stall.c. */

#include "agent-peer.h"
#include "lib/byte-order.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define MIB (1024u * 1024)
/* The agent grants credit in steps of at least this size. */
#define CREDIT_STEP (SP_INITIAL_CREDIT / 4)

static void peer_up(Peer *peer, gconstpointer data)
{
    peer_start(peer, NULL, NULL);
    peer_hello(peer, 1);
}

static void peer_down(Peer *peer, gconstpointer data)
{
    peer_stop(peer);
}

static void assert_shell(Peer *peer, const char *script, const char *output)
{
    PeerResult *result = peer_wait(peer, peer_shell(peer, script));

    peer_assert_exit(result, 0);
    g_assert_cmpstr(result->output->str, ==, output);
    g_assert_cmpstr(result->errors->str, ==, "");
}

/* Waits for the end of a process that is not our child. */
static void assert_ends(const char *pid)
{
    int fd = pidfd_open((pid_t)g_ascii_strtoll(pid, NULL, 10), 0);
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};

    if (fd < 0) {
        g_assert_cmpint(errno, ==, ESRCH);
        return;
    }
    g_assert_cmpint(poll(&pollfd, 1, 10000), ==, 1);
    close(fd);
}

static void test_output(Peer *peer, gconstpointer data)
{
    PeerResult *result = peer_wait(peer, peer_shell(peer, "echo out; echo err >&2; exit 7"));

    peer_assert_exit(result, 7);
    g_assert_cmpuint(result->how, ==, 0);
    g_assert_cmpstr(result->output->str, ==, "out\n");
    g_assert_cmpstr(result->errors->str, ==, "err\n");
    result = peer_wait(peer, peer_shell(peer, "kill -USR1 $$"));
    peer_assert_exit(result, 128 + SIGUSR1);
    g_assert_cmpuint(result->how, ==, 1);
}

static void test_surroundings(Peer *peer, gconstpointer data)
{
    const char *const argv[] = {"env", NULL};
    const char *const env[] = {"TERM=dumb", "PATH=/bin:/usr/bin", "EMPTY=", NULL};
    PeerResult *result;
    g_auto(GStrv) lines = NULL;

    assert_shell(peer, "pwd; echo $HOME $TERM $LANG", "/\n/root linux C.UTF-8\n");
    assert_shell(peer, "ls /proc/self/fd | tr '\\n' ' '",
        "0 1 2 3 "); /* 3 is that of ls; not the 9 of peer_start() */
    /* the leader of a session; no signal blocked, ignored or caught */
    assert_shell(peer, "set -- $(cat /proc/$$/stat); [ $5 = $$ ] && [ $6 = $$ ]", "");
    assert_shell(peer, "awk '/^Sig(Blk|Ign|Cgt)/ {print $2}' /proc/self/status | sort -u",
        "0000000000000000\n");
    result = peer_wait(peer, peer_exec(peer, 0, argv, env));
    peer_assert_exit(result, 0);
    lines = g_strsplit(result->output->str, "\n", -1);
    g_assert_true(g_strv_contains((const char *const *)lines, "TERM=dumb"));
    g_assert_true(g_strv_contains((const char *const *)lines, "PATH=/bin:/usr/bin"));
    g_assert_true(g_strv_contains((const char *const *)lines, "EMPTY="));
    g_assert_true(g_strv_contains((const char *const *)lines, "HOME=/root"));
    g_assert_false(g_strv_contains((const char *const *)lines, "TERM=linux"));
}

static void test_no_program(Peer *peer, gconstpointer data)
{
    const char *const missing[] = {"no-such-program", NULL}, *const directory[] = {"/etc", NULL};
    const char *const path[] = {"PATH=/nowhere", NULL}, *const argv[] = {"ls", NULL};
    PeerResult *result = peer_wait(peer, peer_exec(peer, 0, missing, NULL));

    peer_assert_error(result, ENOENT);
    g_assert_nonnull(strstr(result->message, "no-such-program"));
    peer_assert_error(peer_wait(peer, peer_exec(peer, 0, directory, NULL)), EACCES);
    peer_assert_error(peer_wait(peer, peer_exec(peer, 0, argv, path)), ENOENT);
}

static void test_bad_exec(Peer *peer, gconstpointer data)
{
    static const guint8 payload[] = {0, 0, 0, 0, 24, 0, 80, 0, 2, 0, 0, 0, 'l', 's', 0, 'x', 0};
    struct {
        gsize length;
        guint8 argc;
    } const bad[] = {{0, 2}, {11, 2}, {12, 1}, {15, 2}, {17, 3}, {17, 0}, {16, 1}};

    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        guint8 *copy = g_memdup2(payload, sizeof payload);
        copy[8] = bad[i].argc;
        peer_send(peer, SP_AGENT_FRAME_EXEC, ++peer->last_channel, copy, bad[i].length);
        peer_assert_error(peer_wait(peer, peer->last_channel), EPROTO);
        g_free(copy);
    }
}

/* More than the credit, both ways at once. */
static void test_input(Peer *peer, gconstpointer data)
{
    const char *const argv[] = {"cat", NULL};
    const gsize length = 5 * MIB + 123;
    g_autofree guint32 *bytes = g_malloc(length + 4);
    guint32 channel = peer_exec(peer, 0, argv, NULL);
    PeerResult *result;

    for (gsize i = 0; i <= length / 4; i++)
        bytes[i] = (guint32)i * 2654435761u;
    peer_send_data(peer, channel, bytes, length);
    peer_end(peer, channel);
    result = peer_wait(peer, channel);
    peer_assert_exit(result, 0);
    g_assert_cmpuint(result->output->len, ==, length);
    g_assert_true(memcmp(result->output->str, bytes, length) == 0);
    g_assert_cmpuint(result->credit, >=, length - SP_INITIAL_CREDIT);
    g_assert_cmpuint(result->credit, <=, length);
}

/* Data that a command will never read uses up no credit, whether the command closes its stdin
 * before it arrives, or while much of it is kept. */
static void test_input_unread(Peer *peer, gconstpointer data)
{
    static const char *const scripts[] = {
        "exec <&-; echo closed; exec sleep 1000",
        "echo opened; dd bs=1 count=1 of=/dev/null 2>&-; exec <&-; exec sleep 1000",
    };
    g_autofree guint8 *bytes = g_malloc0(3 * MIB);

    for (gsize i = 0; i < G_N_ELEMENTS(scripts); i++) {
        guint32 channel = peer_shell(peer, scripts[i]);
        peer_wait_output(peer, channel, 7);
        peer_send_data(peer, channel, bytes, 3 * MIB);
        /* a last piece below one step may not have been granted */
        while (peer_result(peer, channel)->credit <= 3 * MIB - CREDIT_STEP)
            peer_turn(peer);
        peer_cancel(peer, channel);
        peer_assert_exit(peer_wait(peer, channel), 128 + SIGKILL);
    }
}

static void test_above_credit(Peer *peer, gconstpointer data)
{
    const char *const argv[] = {"sleep", "1000", NULL};
    g_autofree guint8 *bytes = g_malloc0(SP_AGENT_FRAME_PAYLOAD_MAX);
    guint32 channel = peer_exec(peer, 0, argv, NULL);
    PeerResult *result = peer_result(peer, channel);

    for (guint i = 0; i < SP_INITIAL_CREDIT / SP_AGENT_FRAME_PAYLOAD_MAX; i++)
        peer_send(peer, SP_AGENT_FRAME_DATA, channel, bytes, SP_AGENT_FRAME_PAYLOAD_MAX);
    assert_shell(peer, "echo well", "well\n");
    g_assert_false(result->is_done);
    /* no more is granted than its pipe took */
    g_assert_cmpuint(result->credit, <=, SP_AGENT_FRAME_PAYLOAD_MAX);
    peer_send(peer, SP_AGENT_FRAME_DATA, channel, bytes, result->credit);
    assert_shell(peer, "echo well", "well\n");
    g_assert_false(result->is_done);
    peer_send(peer, SP_AGENT_FRAME_DATA, channel, bytes, 1);
    peer_assert_error(peer_wait(peer, channel), EPROTO);
}

static void test_many(Peer *peer, gconstpointer data)
{
    guint32 channels[50];

    for (guint i = 0; i < G_N_ELEMENTS(channels); i++) {
        g_autofree char *script = g_strdup_printf("read x; echo $x %u; exit %u", i, i);
        channels[i] = peer_shell(peer, script);
    }
    for (guint i = G_N_ELEMENTS(channels); i-- > 0;) {
        peer_send_data(peer, channels[i], "go\n", 3);
    }
    for (guint i = 0; i < G_N_ELEMENTS(channels); i++) {
        g_autofree char *output = g_strdup_printf("go %u\n", i);
        PeerResult *result = peer_wait(peer, channels[i]);
        peer_assert_exit(result, i);
        g_assert_cmpstr(result->output->str, ==, output);
    }
}

static void test_too_many(Peer *peer, gconstpointer data)
{
    guint n = 0;

    for (; n < 1000; n++) {
        guint32 channel = peer_watch(peer, SP_WATCH_FILE, "/no/such");
        PeerResult *result = peer_result(peer, channel);
        while (result->states->len == 0 && !result->is_done)
            peer_turn(peer);
        if (result->is_done) {
            peer_assert_error(result, EMFILE);
            break;
        }
    }
    g_assert_cmpuint(n, >=, 200);
    g_assert_cmpuint(n, <=, 256);
    peer_cancel(peer, 1);
    peer_assert_error(peer_wait(peer, 1), ECANCELED);
    assert_shell(peer, "echo again", "again\n");
}

/* One command's flood of output does not hold up another one's answer. */
static void test_flood(Peer *peer, gconstpointer data)
{
    const gsize length = 50000000;
    guint32 flood = peer_shell(peer, "exec head -c 50000000 /dev/zero");
    PeerResult *result = peer_wait_output(peer, flood, MIB);

    assert_shell(peer, "echo answer", "answer\n");
    g_assert_false(result->is_done);
    result = peer_wait(peer, flood);
    peer_assert_exit(result, 0);
    g_assert_cmpuint(result->output->len, ==, length);
}

/* The agent does not read from a driver that does not read either, so what waits is bounded. */
static void test_unread(Peer *peer, gconstpointer data)
{
    guint8 frame[SP_AGENT_FRAME_HEADER_SIZE + 5] = {0};
    struct pollfd pollfd = {.fd = peer->fd, .events = POLLOUT};
    guint n = 0;

    while (n < 500000) {
        g_assert_cmpint(
            sp_agent_frame_encode_header(frame, SP_AGENT_FRAME_WATCH, 0, ++peer->last_channel, 5),
            ==, 0);
        sp_put_le32(frame + SP_AGENT_FRAME_HEADER_SIZE, 99);
        peer_send_bytes(peer, frame, sizeof frame);
        n++;
        if (poll(&pollfd, 1, 0) == 0 && poll(&pollfd, 1, 300) == 0)
            break;
    }
    g_assert_cmpuint(n, <, 500000);
    for (guint32 channel = 1; channel <= peer->last_channel; channel++)
        peer_assert_error(peer_wait(peer, channel), EINVAL);
    assert_shell(peer, "echo well", "well\n");
}

static void test_cancel(Peer *peer, gconstpointer data)
{
    guint32 channel = peer_shell(peer, "trap '' TERM INT; sleep 1000 & echo $!; wait");
    PeerResult *result = peer_result(peer, channel);

    while (!strchr(result->output->str, '\n'))
        peer_turn(peer);
    peer_cancel(peer, channel);
    peer_assert_exit(peer_wait(peer, channel), 128 + SIGKILL);
    assert_ends(result->output->str); /* the whole group */
}

static void test_signal(Peer *peer, gconstpointer data)
{
    guint32 channel = peer_shell(peer, "trap 'echo got; exit 3' USR1; echo up; read x");
    guint8 number[4];
    PeerResult *result = peer_wait_output(peer, channel, 3);

    sp_put_le32(number, SIGUSR1);
    peer_send(peer, SP_AGENT_FRAME_SIGNAL, channel, number, sizeof number);
    peer_assert_exit(peer_wait(peer, channel), 3);
    g_assert_cmpstr(result->output->str, ==, "up\ngot\n");
    channel = peer_shell(peer, "read x");
    peer_send(peer, SP_AGENT_FRAME_SIGNAL, channel, number, 3);
    peer_assert_error(peer_wait(peer, channel), EPROTO);
}

/* Only what must be refused, since the clock here is the host's. */
static void test_restored(Peer *peer, gconstpointer data)
{
    static const struct {
        gsize size;
        guint32 high, length;
        int error;
    } bad[] = {{11, 0, 1, EPROTO}, {12, 0, 0, EPROTO}, {15, 0, 4, EPROTO},
        {12 + SP_SEED_MAX + 1, 0, SP_SEED_MAX + 1, EPROTO}, {16, 1u << 31, 4, EINVAL}};

    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        guint8 payload[12 + SP_SEED_MAX + 1] = {0};

        sp_put_le32(payload + 4, bad[i].high);
        sp_put_le32(payload + 8, bad[i].length);
        peer_send(peer, SP_AGENT_FRAME_RESTORED, ++peer->last_channel, payload, bad[i].size);
        peer_assert_error(peer_wait(peer, peer->last_channel), bad[i].error);
    }
}

/* An agent that is stopped ends at once, and so do its commands. */
static void test_stopped(Peer *peer, gconstpointer data)
{
    guint32 channel = peer_shell(peer, "trap '' TERM; sleep 1000 & echo $!; wait");
    PeerResult *result = peer_result(peer, channel);

    while (!strchr(result->output->str, '\n'))
        peer_turn(peer);
    g_subprocess_send_signal(peer->process, SIGTERM);
    assert_ends(result->output->str);
}

static void send_resize(Peer *peer, guint32 channel, guint16 rows, guint16 columns)
{
    guint8 size[4];

    sp_put_le16(size, rows);
    sp_put_le16(size + 2, columns);
    peer_send(peer, SP_AGENT_FRAME_RESIZE, channel, size, sizeof size);
}

static void test_pty(Peer *peer, gconstpointer data)
{
    const char *const argv[] = {"sh", "-c",
        "stty -echo; test -t 0 && test -t 1 && test -t 2 && echo yes; stty size; read x; "
        "stty size; echo err >&2; exec sleep 1000",
        NULL};
    guint32 channel = peer_exec(peer, SP_EXEC_PTY, argv, NULL);
    PeerResult *result = peer_wait_output(peer, channel, strlen("yes\r\n24 80\r\n"));

    g_assert_cmpstr(result->output->str, ==, "yes\r\n24 80\r\n");
    send_resize(peer, channel, 50, 132);
    peer_send_data(peer, channel, "\n", 1);
    peer_wait_output(peer, channel, strlen("yes\r\n24 80\r\n50 132\r\nerr\r\n"));
    g_assert_true(g_str_has_suffix(result->output->str, "\r\n50 132\r\nerr\r\n"));
    peer_send_data(peer, channel, "\x03", 1); /* Ctrl-C */
    peer_assert_exit(peer_wait(peer, channel), 128 + SIGINT);
    g_assert_cmpstr(result->errors->str, ==, "");
}

static void test_pty_output(Peer *peer, gconstpointer data)
{
    const char *const seq[] = {"seq", "1", "100000", NULL}, *const cat[] = {"cat", NULL};
    guint32 channel = peer_exec(peer, SP_EXEC_PTY, seq, NULL);
    PeerResult *result = peer_wait(peer, channel);

    peer_assert_exit(result, 0);
    g_assert_cmpuint(result->output->len, ==, 688895);
    g_assert_true(g_str_has_suffix(result->output->str, "\r\n99999\r\n100000\r\n"));
    channel = peer_exec(peer, SP_EXEC_PTY, cat, NULL);
    peer_send_data(peer, channel, "line\n", 5);
    peer_end(peer, channel);
    result = peer_wait(peer, channel);
    peer_assert_exit(result, 0);
    g_assert_cmpstr(result->output->str, ==, "line\r\nline\r\n");
}

/* A process that a command leaves behind keeps its streams open, but not the channel. */
static void test_left_behind(Peer *peer, gconstpointer data)
{
    guint32 channel = peer_shell(peer, "sleep 1000 & echo $!; head -c 60000 /dev/zero >&2");
    PeerResult *result = peer_wait(peer, channel);
    pid_t pid = (pid_t)g_ascii_strtoll(result->output->str, NULL, 10);

    peer_assert_exit(result, 0);
    g_assert_cmpuint(result->errors->len, ==, 60000);
    g_assert_cmpint(pid, >, 1);
    g_assert_nonnull(strstr(result->holders, "sleep (pid "));
    g_assert_nonnull(strstr(result->holders, g_strchomp(result->output->str)));
    g_assert_cmpint(kill(pid, SIGKILL), ==, 0);
}

/* What other processes write after the shell has ended is read, for as long as they run. */
static void test_written_behind(Peer *peer, gconstpointer data)
{
    static const struct {
        const char *command, *output;
    } whole[] = {
        {"exec bash -c 'echo hi > >(cat)'", "hi\n"},
        {"exec bash -c 'echo b a a | tr \" \" \"\\n\" > >(sort | uniq)'", "a\nb\n"},
        /* busy for a while, and in a session of its own */
        {"echo ONE; setsid sh -c 'i=0; while [ $i -lt 5000 ]; do i=$((i+1)); done; echo TWO' &",
            "ONE\nTWO\n"},
    };
    PeerResult *result;

    for (gsize i = 0; i < G_N_ELEMENTS(whole); i++) {
        result = peer_wait(peer, peer_shell(peer, whole[i].command));
        peer_assert_exit(result, 0);
        g_assert_cmpstr(result->output->str, ==, whole[i].output);
        g_assert_cmpstr(result->holders, ==, NULL);
    }
    /* one that never stops writing is cut off, and named */
    result = peer_wait(peer, peer_shell(peer, "echo first; yes & echo $! >&2"));
    peer_assert_exit(result, 0);
    g_assert_true(g_str_has_prefix(result->output->str, "first\n"));
    g_assert_cmpuint(result->output->len, <, 2 * 1024 * 1024);
    g_assert_nonnull(strstr(result->holders, "yes (pid "));
    kill((pid_t)g_ascii_strtoll(result->errors->str, NULL, 10), SIGKILL);
    /* one that is asleep is not waited for */
    result = peer_wait(peer, peer_shell(peer, "(sleep 1000; echo late) & echo now"));
    g_assert_cmpstr(result->output->str, ==, "now\n");
    g_assert_nonnull(strstr(result->holders, "sleep (pid "));
    kill((pid_t)g_ascii_strtoll(strstr(result->holders, "pid ") + 4, NULL, 10), SIGKILL);
    /* a channel that is cancelled meanwhile */
    peer_cancel(peer, peer_shell(peer, "yes >/dev/null & echo $!"));
    assert_shell(peer, "echo well", "well\n");
}

static void test_hello_again(Peer *peer, gconstpointer data)
{
    guint32 channel = peer_shell(peer, "echo $$; exec sleep 1000");
    PeerResult *result = peer_result(peer, channel);
    g_autofree char *pid = NULL;

    while (!strchr(result->output->str, '\n'))
        peer_turn(peer);
    pid = g_strdup(result->output->str);
    peer_hello(peer, 2);
    assert_ends(pid);
    assert_shell(peer, "echo anew", "anew\n");
    g_assert_cmpuint(peer_result(peer, channel)->output->len, ==, 0);
    g_assert_false(peer_result(peer, channel)->is_done);
}

static void test_garbage(Peer *peer, gconstpointer data)
{
    static const struct {
        guint8 bytes[SP_AGENT_FRAME_HEADER_SIZE];
    } headers[] = {
        {{0xaa, 6, 0, 0, 1}},                        /* wrong magic */
        {{0xa9, 0, 0, 0, 1}},                        /* unknown types */
        {{0xa9, SP_AGENT_FRAME_TYPE_END_, 0, 0, 1}}, /* ... */
        {{0xa9, 12, 1, 0, 1}},                       /* a reserved field */
        {{0xa9, 6, 0, 0, 1, 0, 0, 0, 1, 0, 4, 0}},   /* one byte too long */
        {{0xa9, 6, 0, 0, 1, 0, 0, 0, 255, 255, 255, 255}},
        {{0xa9, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}}, /* HELLO without a payload */
    };

    for (guint8 i = 0; i < G_N_ELEMENTS(headers); i++) {
        guint32 channel = peer_shell(peer, "echo $$; exec sleep 1000");
        PeerResult *result = peer_result(peer, channel);
        while (!strchr(result->output->str, '\n'))
            peer_turn(peer);
        g_autofree char *pid = g_strdup(result->output->str);
        peer_send_bytes(peer, headers[i].bytes, sizeof headers[i]);
        assert_ends(pid); /* dropped, and nothing is sent */
        peer_send_bytes(peer, "what\xa9\x01is this?", 15);
        peer_hello(peer, (guint8)(10 + i));
        assert_shell(peer, "echo well", "well\n");
    }
}

/* A driver died within a frame: the next driver's HELLO comes where the rest should be. */
static void assert_hello_after(Peer *peer, const guint8 *bytes, gsize length, guint8 nonce)
{
    peer_send_bytes(peer, bytes, length);
    peer_hello(peer, nonce);
    assert_shell(peer, "echo well", "well\n");
}

static void test_truncated(Peer *peer, gconstpointer data)
{
    static const gsize missing[] = {1, 5, 47, 48, 49, 4000};
    g_autofree guint8 *frame = g_malloc0(SP_AGENT_FRAME_HEADER_SIZE + 5000);
    guint8 nonce = 20;

    for (gsize i = 0; i < G_N_ELEMENTS(missing); i++) {
        guint32 channel = peer_shell(peer, "cat >/dev/null");
        sp_agent_frame_encode_header(frame, SP_AGENT_FRAME_DATA, 0, channel, 5000);
        assert_hello_after(peer, frame, SP_AGENT_FRAME_HEADER_SIZE + 5000 - missing[i], nonce++);
        sp_agent_frame_encode_header(frame, SP_AGENT_FRAME_EXEC, 0, 9999, 5000);
        assert_hello_after(peer, frame, SP_AGENT_FRAME_HEADER_SIZE + 5000 - missing[i], nonce++);
    }
    for (gsize length = 1; length < SP_AGENT_FRAME_HEADER_SIZE; length += 2) {
        sp_agent_frame_encode_header(frame, SP_AGENT_FRAME_EXEC, 0, 9999, 5000);
        assert_hello_after(peer, frame, length, nonce++);
    }
    for (gsize length = 11; length < 48; length += 9) {
        g_autoptr(GByteArray) hello = peer_hello_frame(250);
        assert_hello_after(peer, hello->data, length, nonce++);
    }
}

/* A HELLO as payload, with more to follow, is payload. */
static void test_hello_as_payload(Peer *peer, gconstpointer data)
{
    g_autoptr(GByteArray) hello = peer_hello_frame(77);
    const char *const argv[] = {"cat", NULL};
    guint32 channel = peer_exec(peer, 0, argv, NULL);
    PeerResult *result;

    peer_send_data(peer, channel, hello->data, hello->len);
    peer_wait_output(peer, channel, hello->len);
    peer_end(peer, channel);
    result = peer_wait(peer, channel);
    peer_assert_exit(result, 0);
    g_assert_cmpmem(result->output->str, result->output->len, hello->data, hello->len);
}

static void test_byte_by_byte(Peer *peer, gconstpointer data)
{
    g_autoptr(GByteArray) hello = peer_hello_frame(3);

    for (guint i = 0; i < hello->len; i++)
        peer_send_bytes(peer, hello->data + i, 1);
    peer_wait_hello(peer, 3);
    assert_shell(peer, "echo well", "well\n");
}

static void test_channels(Peer *peer, gconstpointer data)
{
    guint32 channel = peer_shell(peer, "read x; echo $x");

    peer_send(peer, SP_AGENT_FRAME_DATA, 4711, "x", 1); /* no such channel */
    peer_cancel(peer, 4712);
    peer_send(peer, SP_AGENT_FRAME_GET, channel, "/etc/passwd", 12);
    peer_assert_error(peer_wait(peer, channel), EBUSY);
    /* ... without ending the older one */
    g_hash_table_remove(peer->results, GUINT_TO_POINTER(channel));
    peer_send_data(peer, channel, "still\n", 6);
    peer_assert_exit(peer_wait(peer, channel), 0);
    g_assert_cmpstr(peer_result(peer, channel)->output->str, ==, "still\n");
    channel = peer_shell(peer, "read x");
    peer_send(peer, SP_AGENT_FRAME_EXIT, channel, "12345678", 8); /* not the driver's to send */
    peer_assert_error(peer_wait(peer, channel), EPROTO);
    g_assert_null(g_hash_table_lookup(peer->results, GUINT_TO_POINTER(4711)));
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(Peer *, gconstpointer);
    } tests[] = {
        {"/agent/output", test_output},
        {"/agent/surroundings", test_surroundings},
        {"/agent/no-program", test_no_program},
        {"/agent/bad-exec", test_bad_exec},
        {"/agent/input", test_input},
        {"/agent/input-unread", test_input_unread},
        {"/agent/above-credit", test_above_credit},
        {"/agent/many", test_many},
        {"/agent/too-many", test_too_many},
        {"/agent/flood", test_flood},
        {"/agent/unread", test_unread},
        {"/agent/cancel", test_cancel},
        {"/agent/signal", test_signal},
        {"/agent/stopped", test_stopped},
        {"/agent/restored", test_restored},
        {"/agent/pty", test_pty},
        {"/agent/pty-output", test_pty_output},
        {"/agent/left-behind", test_left_behind},
        {"/agent/written-behind", test_written_behind},
        {"/agent/hello-again", test_hello_again},
        {"/agent/garbage", test_garbage},
        {"/agent/truncated", test_truncated},
        {"/agent/hello-as-payload", test_hello_as_payload},
        {"/agent/byte-by-byte", test_byte_by_byte},
        {"/agent/channels", test_channels},
    };

    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, Peer, NULL, peer_up, tests[i].func, peer_down);
    return g_test_run();
}
