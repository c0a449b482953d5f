/* SPDX-License-Identifier: MIT */
#include "base/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE 4096
#define INPUT_MAX 64
#define OUTPUT_MAX (4u * 1024 * 1024)

ssize_t __real_read(int fd, void *buffer, size_t size);
ssize_t __wrap_read(int fd, void *buffer, size_t size);

static guint interrupted_reads; /* how many of the next ones a signal interrupts */

ssize_t __wrap_read(int fd, void *buffer, size_t size)
{
    if (interrupted_reads == 0)
        return __real_read(fd, buffer, size);
    interrupted_reads--;
    errno = EINTR;
    return -1;
}

typedef enum { FREE_NEVER, FREE_IN_INPUT, FREE_IN_DISCONNECTED, FREE_IN_WRITTEN } FreeIn;

/* A stream and the descriptor at its other end; the test says what the handlers do. */
typedef struct {
    SpStream *stream;
    int peer;
    FreeIn free_in;
    bool is_line_based; /* takes whole lines only */
    const char *answer; /* written by the input handler; NULL: nothing */
    GString *input;
    guint inputs;
    guint writes;
    guint ends;
    int error_number;
} Fixture;

static void free_if(Fixture *f, FreeIn where)
{
    if (f->free_in == where)
        g_clear_pointer(&f->stream, sp_stream_free);
}

static gsize on_input(const guint8 *bytes, gsize length, void *data)
{
    Fixture *f = data;
    const guint8 *end = memrchr(bytes, '\n', length);

    g_assert_cmpuint(f->ends, ==, 0);
    f->inputs++;
    free_if(f, FREE_IN_INPUT);
    if (f->answer && f->stream)
        g_assert_true(sp_stream_write(f->stream, f->answer, strlen(f->answer)));
    if (f->is_line_based)
        length = end ? (gsize)(end + 1 - bytes) : 0;
    /* even if the stream is gone */
    g_string_append_len(f->input, (const char *)bytes, (gssize)length);
    return length;
}

static void on_disconnected(int error_number, void *data)
{
    Fixture *f = data;

    g_assert_false(sp_stream_is_connected(f->stream));
    g_assert_cmpuint(sp_stream_pending(f->stream), ==, 0);
    f->ends++;
    f->error_number = error_number;
    free_if(f, FREE_IN_DISCONNECTED);
}

static void on_written(void *data)
{
    Fixture *f = data;

    f->writes++;
    free_if(f, FREE_IN_WRITTEN);
}

static const SpStreamFuncs all_funcs = {on_input, on_disconnected, on_written};
static const SpStreamFuncs write_funcs = {NULL, on_disconnected, on_written};

static void open_stream(Fixture *f, int fd, const SpStreamFuncs *funcs)
{
    const SpStreamConfig config = {.funcs = funcs,
        .data = f,
        .read_size = READ_SIZE,
        .input_max = INPUT_MAX,
        .output_max = OUTPUT_MAX};

    f->stream = sp_stream_new(fd, &config);
}

static void set_up(Fixture *f, gconstpointer funcs)
{
    int pair[2];

    g_assert_cmpint(
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), ==, 0);
    f->peer = pair[0];
    f->input = g_string_new(NULL);
    open_stream(f, pair[1], funcs);
}

static void close_peer(Fixture *f)
{
    if (f->peer >= 0)
        close(f->peer);
    f->peer = -1;
}

static void tear_down(Fixture *f, gconstpointer funcs)
{
    sp_stream_free(f->stream);
    close_peer(f);
    g_string_free(f->input, TRUE);
}

static void turn(void)
{
    while (g_main_context_iteration(NULL, FALSE))
        ;
}

static void send_text(Fixture *f, const char *text)
{
    g_assert_cmpint(send(f->peer, text, strlen(text), MSG_NOSIGNAL), ==, strlen(text));
}

/* All that the peer can read, while the stream writes on. */
static GByteArray *receive_all(Fixture *f)
{
    GByteArray *all = g_byte_array_new();
    guint8 bytes[10000];
    ssize_t n;

    while ((n = read(f->peer, bytes, sizeof bytes)) > 0) {
        g_byte_array_append(all, bytes, (guint)n);
        turn();
    }
    return all;
}

static guint8 *make_pattern(gsize length)
{
    guint8 *bytes = g_malloc(length);

    for (gsize i = 0; i < length; i++)
        bytes[i] = (guint8)(i * 7 + i / 251);
    return bytes;
}

static void assert_received(Fixture *f, const void *expected, gsize length)
{
    g_autoptr(GByteArray) all = receive_all(f);

    g_assert_cmpmem(all->data, all->len, expected, length);
}

static void test_input(Fixture *f, gconstpointer data)
{
    f->answer = "answer ";
    send_text(f, "one");
    turn();
    send_text(f, "two");
    turn();
    g_assert_cmpstr(f->input->str, ==, "onetwo");
    g_assert_cmpuint(f->inputs, ==, 2);
    assert_received(f, "answer answer ", strlen("answer answer "));
}

static void test_untaken_input_is_passed_again(Fixture *f, gconstpointer data)
{
    f->is_line_based = true;
    send_text(f, "one\ntw");
    turn();
    g_assert_cmpstr(f->input->str, ==, "one\n");
    send_text(f, "o\nthr");
    turn();
    g_assert_cmpstr(f->input->str, ==, "one\ntwo\n");
    sp_stream_discard_input(f->stream);
    send_text(f, "four\n");
    turn();
    g_assert_cmpstr(f->input->str, ==, "one\ntwo\nfour\n");
}

static void test_input_cut_anywhere(Fixture *f, gconstpointer data)
{
    g_autoptr(GString) expected = g_string_new(NULL);

    f->is_line_based = true;
    for (gsize length = 0; length < INPUT_MAX; length++) {
        g_autofree char *text = g_strnfill(length, (char)('A' + length % 26));

        g_string_append_printf(expected, "%s\n", text);
        send_text(f, text);
        turn();
        send_text(f, "\n");
        if (length % 3 == 0)
            turn();
    }
    turn();
    g_assert_cmpstr(f->input->str, ==, expected->str);
}

static void test_input_limit(Fixture *f, gconstpointer data)
{
    char text[INPUT_MAX + 2] = "";

    f->is_line_based = true;
    memset(text, 'x', INPUT_MAX);
    send_text(f, text);
    turn();
    g_assert_cmpuint(f->ends, ==, 0);
    send_text(f, "y");
    turn();
    g_assert_cmpuint(f->ends, ==, 1);
    g_assert_cmpint(f->error_number, ==, EMSGSIZE);
    send_text(f, "z\n");
    turn();
    g_assert_cmpstr(f->input->str, ==, "");
}

/* A peer that never pauses gets a limited part of a turn. */
static void test_reads_per_turn(Fixture *f, gconstpointer data)
{
    g_autofree guint8 *bytes = make_pattern(2 * SP_STREAM_READS_PER_TURN * READ_SIZE);

    g_assert_cmpint(send(f->peer, bytes, 2 * SP_STREAM_READS_PER_TURN * READ_SIZE, 0), ==,
        2 * SP_STREAM_READS_PER_TURN * READ_SIZE);
    g_main_context_iteration(NULL, FALSE);
    g_assert_cmpuint(f->inputs, ==, SP_STREAM_READS_PER_TURN);
    turn();
    g_assert_cmpmem(f->input->str, f->input->len, bytes, 2 * SP_STREAM_READS_PER_TURN * READ_SIZE);
}

static void test_input_before_end(Fixture *f, gconstpointer data)
{
    send_text(f, "last words");
    close_peer(f);
    turn();
    g_assert_cmpstr(f->input->str, ==, "last words");
    g_assert_cmpuint(f->ends, ==, 1);
    g_assert_cmpint(f->error_number, ==, 0);
    g_assert_false(sp_stream_write(f->stream, "x", 1));
    g_assert_null(sp_stream_reserve(f->stream, 1));
    g_assert_cmpuint(sp_stream_pending(f->stream), ==, 0);
}

/* The write fails first, but no input is lost. */
static void test_input_after_failed_write(Fixture *f, gconstpointer data)
{
    send_text(f, "last words");
    close_peer(f);
    g_assert_true(sp_stream_write(f->stream, "x", 1));
    sp_stream_flush(f->stream);
    turn();
    g_assert_cmpstr(f->input->str, ==, "last words");
    g_assert_cmpuint(f->ends, ==, 1);
}

static void test_read_rest(Fixture *f, gconstpointer data)
{
    g_autofree char *text = g_strnfill(2 * READ_SIZE + 10, 'x');

    send_text(f, text);
    sp_stream_read_rest(f->stream);
    g_assert_cmpuint(f->input->len, ==, strlen(text));
    g_assert_cmpuint(f->ends, ==, 0);
    send_text(f, "y");
    close_peer(f);
    sp_stream_read_rest(f->stream);
    g_assert_cmpuint(f->input->len, ==, strlen(text) + 1);
    g_assert_cmpuint(f->ends, ==, 1);
}

/* A signal ends no reading. */
static void test_interrupted_read(Fixture *f, gconstpointer data)
{
    send_text(f, "last words");
    interrupted_reads = 2;
    sp_stream_read_rest(f->stream);
    g_assert_cmpuint(interrupted_reads, ==, 0);
    g_assert_cmpstr(f->input->str, ==, "last words");
}

static void test_partial_writes(Fixture *f, gconstpointer data)
{
    const gsize length = 3 * 1024 * 1024;
    g_autofree guint8 *bytes = make_pattern(length);

    for (gsize at = 0; at < length; at += 1000)
        g_assert_true(sp_stream_write(f->stream, bytes + at, MIN(length - at, 1000)));
    g_assert_cmpuint(sp_stream_pending(f->stream), ==, length);
    turn();
    g_assert_cmpuint(sp_stream_pending(f->stream), >, 0);
    g_assert_cmpuint(sp_stream_pending(f->stream), <, length);
    assert_received(f, bytes, length);
    g_assert_cmpuint(sp_stream_pending(f->stream), ==, 0);
    g_assert_cmpuint(f->writes, >, 1);
}

/* Queued while the peer takes some of it, so that the queue is moved and grows. */
static void test_write_while_peer_reads(Fixture *f, gconstpointer data)
{
    const gsize length = 8 * 1024 * 1024;
    g_autofree guint8 *bytes = make_pattern(length);
    g_autoptr(GByteArray) all = g_byte_array_new();
    guint8 part[7919];

    for (gsize at = 0; at < length; at += 4096) {
        guint8 *space = sp_stream_reserve(f->stream, 5000);
        ssize_t n;

        g_assert_nonnull(space);
        memcpy(space, bytes + at, 4096);
        sp_stream_commit(f->stream, 4096);
        sp_stream_flush(f->stream);
        if (at % 8192 == 0 && (n = read(f->peer, part, sizeof part)) > 0)
            g_byte_array_append(all, part, (guint)n);
        g_main_context_iteration(NULL, FALSE);
    }
    {
        g_autoptr(GByteArray) rest = receive_all(f);
        g_byte_array_append(all, rest->data, rest->len);
    }
    g_assert_cmpmem(all->data, all->len, bytes, length);
}

static void test_output_limit(Fixture *f, gconstpointer data)
{
    g_autofree guint8 *bytes = make_pattern(OUTPUT_MAX);

    g_assert_false(sp_stream_write(f->stream, bytes, OUTPUT_MAX + 1));
    g_assert_true(sp_stream_write(f->stream, bytes, OUTPUT_MAX - 1));
    g_assert_false(sp_stream_write(f->stream, bytes, 2));
    g_assert_null(sp_stream_reserve(f->stream, G_MAXSIZE));
    g_assert_cmpuint(sp_stream_pending(f->stream), ==, OUTPUT_MAX - 1);
    g_assert_true(sp_stream_write(f->stream, bytes + OUTPUT_MAX - 1, 1));
    g_assert_false(sp_stream_write(f->stream, bytes, 1));
    /* there is space again for what the socket took, and no more */
    turn();
    {
        gsize space = OUTPUT_MAX - sp_stream_pending(f->stream);

        g_assert_cmpuint(space, >, 0);
        g_assert_null(sp_stream_reserve(f->stream, space + 1));
        g_assert_nonnull(sp_stream_reserve(f->stream, space));
    }
    assert_received(f, bytes, OUTPUT_MAX);
}

static void test_flush(Fixture *f, gconstpointer data)
{
    guint8 *space = sp_stream_reserve(f->stream, 10);

    memcpy(space, "at once", 7);
    sp_stream_commit(f->stream, 7);
    /* nothing is sent before a flush */
    turn();
    assert_received(f, "", 0);
    sp_stream_flush(f->stream);
    g_assert_cmpuint(sp_stream_pending(f->stream), ==, 0);
    assert_received(f, "at once", 7);
    g_assert_cmpuint(f->writes, ==, 0);
}

static void test_discarded_output(Fixture *f, gconstpointer data)
{
    g_assert_true(sp_stream_write(f->stream, "old", 3));
    sp_stream_discard_output(f->stream);
    g_assert_cmpuint(sp_stream_pending(f->stream), ==, 0);
    turn();
    g_assert_true(sp_stream_write(f->stream, "new", 3));
    turn();
    assert_received(f, "new", 3);
}

static void test_no_sigpipe(Fixture *f, gconstpointer data)
{
    g_assert_true(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    close_peer(f);
    g_assert_true(sp_stream_write(f->stream, "x", 1));
    sp_stream_flush(f->stream);
    /* handlers are called by the main context only */
    g_assert_cmpuint(f->ends, ==, 0);
    turn();
    g_assert_cmpuint(f->ends, ==, 1);
    if (data == &write_funcs)
        g_assert_cmpint(f->error_number, ==, EPIPE);
}

static void test_free_in_handler(Fixture *f, gconstpointer data)
{
    send_text(f, "input");
    if (f->free_in == FREE_IN_DISCONNECTED)
        close_peer(f);
    if (f->free_in == FREE_IN_WRITTEN)
        g_assert_true(sp_stream_write(f->stream, "x", 1));
    turn();
    g_assert_null(f->stream);
    g_assert_cmpuint(f->ends, ==, f->free_in == FREE_IN_DISCONNECTED);
    if (f->free_in != FREE_IN_WRITTEN)
        g_assert_cmpstr(f->input->str, ==, "input");
    /* closed */
    if (f->peer >= 0) {
        g_autoptr(GByteArray) all = receive_all(f);
        g_assert_true(recv(f->peer, &(char){0}, 1, 0) == 0 || errno == ECONNRESET);
    }
}

static void test_free_in_input(Fixture *f, gconstpointer data)
{
    f->free_in = FREE_IN_INPUT;
    test_free_in_handler(f, data);
}

static void test_free_in_disconnected(Fixture *f, gconstpointer data)
{
    f->free_in = FREE_IN_DISCONNECTED;
    test_free_in_handler(f, data);
}

static void test_free_in_written(Fixture *f, gconstpointer data)
{
    f->free_in = FREE_IN_WRITTEN;
    test_free_in_handler(f, data);
}

static void test_free_in_read_rest(Fixture *f, gconstpointer data)
{
    f->free_in = FREE_IN_INPUT;
    send_text(f, "input");
    sp_stream_read_rest(f->stream);
    g_assert_null(f->stream);
    g_assert_cmpstr(f->input->str, ==, "input");
}

static void test_free_with_output(Fixture *f, gconstpointer data)
{
    g_autofree guint8 *bytes = make_pattern(OUTPUT_MAX);

    g_assert_true(sp_stream_write(f->stream, bytes, OUTPUT_MAX));
    turn();
    g_clear_pointer(&f->stream, sp_stream_free);
    turn();
    g_assert_cmpuint(f->ends, ==, 0);
    sp_stream_free(NULL);
}

/* Descriptors that can't be read or sent to end the stream; nothing aborts, and nothing spins. */
static void test_descriptor_errors(Fixture *f, gconstpointer data)
{
    sp_stream_free(f->stream);
    open_stream(f, open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), &all_funcs);
    turn();
    g_assert_cmpuint(f->ends, ==, 1);
    g_assert_cmpint(f->error_number, ==, EISDIR);
    sp_stream_free(f->stream);
    f->ends = 0;
    open_stream(f, open("/dev/null", O_WRONLY | O_CLOEXEC), &write_funcs);
    g_assert_true(sp_stream_write(f->stream, "x", 1));
    turn();
    g_assert_cmpuint(f->ends, ==, 1);
    g_assert_cmpint(f->error_number, ==, ENOTSOCK);
}

static void test_reset(Fixture *f, gconstpointer data)
{
    g_assert_true(sp_stream_write(f->stream, "unread", 6));
    turn();
    close_peer(f);
    turn();
    g_assert_cmpuint(f->ends, ==, 1);
    g_assert_cmpint(f->error_number, ==, ECONNRESET);
}

static void test_passed_fd(Fixture *f, gconstpointer data)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    char text[8] = "";
    struct iovec part = {text, sizeof text - 1};
    struct msghdr message = {.msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof control.bytes};
    int fd;

    sp_stream_pass_fd(f->stream, f->peer);
    g_assert_true(sp_stream_write(f->stream, "fd", 2));
    turn();
    g_assert_true(sp_stream_write(f->stream, "no", 2));
    g_assert_cmpint(recvmsg(f->peer, &message, MSG_CMSG_CLOEXEC), ==, 2);
    g_assert_nonnull(CMSG_FIRSTHDR(&message));
    memcpy(&fd, CMSG_DATA(&control.header), sizeof fd);
    close(fd);
    turn();
    message.msg_controllen = sizeof control.bytes;
    g_assert_cmpint(recvmsg(f->peer, &message, MSG_CMSG_CLOEXEC), ==, 2);
    g_assert_null(CMSG_FIRSTHDR(&message));
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(Fixture *f, gconstpointer data);
        const SpStreamFuncs *funcs;
    } tests[] = {
        {"/stream/input", test_input, &all_funcs},
        {"/stream/untaken-input-is-passed-again", test_untaken_input_is_passed_again, &all_funcs},
        {"/stream/input-cut-anywhere", test_input_cut_anywhere, &all_funcs},
        {"/stream/input-limit", test_input_limit, &all_funcs},
        {"/stream/reads-per-turn", test_reads_per_turn, &all_funcs},
        {"/stream/input-before-end", test_input_before_end, &all_funcs},
        {"/stream/input-after-failed-write", test_input_after_failed_write, &all_funcs},
        {"/stream/interrupted-read", test_interrupted_read, &all_funcs},
        {"/stream/read-rest", test_read_rest, &all_funcs},
        {"/stream/partial-writes", test_partial_writes, &all_funcs},
        {"/stream/write-while-peer-reads", test_write_while_peer_reads, &write_funcs},
        {"/stream/output-limit", test_output_limit, &all_funcs},
        {"/stream/flush", test_flush, &all_funcs},
        {"/stream/discarded-output", test_discarded_output, &all_funcs},
        {"/stream/no-sigpipe/read", test_no_sigpipe, &all_funcs},
        {"/stream/no-sigpipe/not-read", test_no_sigpipe, &write_funcs},
        {"/stream/free-in-input", test_free_in_input, &all_funcs},
        {"/stream/free-in-disconnected", test_free_in_disconnected, &all_funcs},
        {"/stream/free-in-written", test_free_in_written, &all_funcs},
        {"/stream/free-in-read-rest", test_free_in_read_rest, &all_funcs},
        {"/stream/free-with-output", test_free_with_output, &all_funcs},
        {"/stream/descriptor-errors", test_descriptor_errors, &all_funcs},
        {"/stream/reset", test_reset, &all_funcs},
        {"/stream/passed-fd", test_passed_fd, &all_funcs},
    };

    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, Fixture, tests[i].funcs, set_up, tests[i].func, tear_down);
    return g_test_run();
}
