/* SPDX-License-Identifier: MIT */
#include "base/wait.h"
#include "network/switch.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define STATIONS 3

/* Three stations on stream sockets, and what was sent to each. */
typedef struct {
    SpSwitch *sw;
    SpPort *port[STATIONS];
    int fd[STATIONS];
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    f->sw = sp_switch_new("1", 7);
    for (int i = 0; i < STATIONS; i++) {
        int pair[2];

        g_assert_cmpint(
            socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), ==, 0);
        f->fd[i] = pair[0];
        f->port[i] = sp_switch_plug(f->sw, "station", pair[1]);
    }
}

static void tear_down(Fixture *f, gconstpointer data)
{
    for (int i = 0; i < STATIONS; i++) {
        if (f->fd[i] >= 0)
            close(f->fd[i]);
    }
    sp_switch_free(f->sw);
}

/* How far the switch's clock is ahead of the real one. */
static gint64 clock_ahead;

gint64 __real_g_get_monotonic_time(void);
gint64 __wrap_g_get_monotonic_time(void);
gint64 __wrap_g_get_monotonic_time(void)
{
    return __real_g_get_monotonic_time() + clock_ahead;
}

/* Run the main loop until nothing is left to do. */
static void turn(void)
{
    while (g_main_context_iteration(NULL, FALSE))
        ;
}

/* A frame from station @from (the last byte of its address) to @to (-1: to all). */
static GByteArray *make_frame(int from, int to, const char *text)
{
    guint8 header[SP_ETHERNET_FRAME_MIN] = {
        0x52, 0x54, 0, 0, 0, (guint8)to, 0x52, 0x54, 0, 0, 0, (guint8)from, 0x88, 0xb5};
    GByteArray *frame = g_byte_array_new();

    if (to < 0)
        memset(header, 0xff, 6);
    g_byte_array_append(frame, header, sizeof header);
    g_byte_array_append(frame, (const guint8 *)text, (guint)strlen(text));
    return frame;
}

static void send_bytes(int fd, const void *bytes, gsize length)
{
    g_assert_cmpint(send(fd, bytes, length, MSG_NOSIGNAL), ==, length);
}

static void send_raw(int fd, guint32 told, const guint8 *bytes, gsize length)
{
    guint32 header = GUINT32_TO_BE(told);

    send_bytes(fd, &header, sizeof header);
    send_bytes(fd, bytes, length);
}

static void send_frame(Fixture *f, int from, int to, const char *text)
{
    g_autoptr(GByteArray) frame = make_frame(from, to, text);

    send_raw(f->fd[from], frame->len, frame->data, frame->len);
    turn();
}

/* The texts of the frames that wait at the station, each followed by a space. */
static char *received(Fixture *f, int at)
{
    GString *texts = g_string_new(NULL);
    guint32 length;

    while (recv(f->fd[at], &length, sizeof length, 0) == sizeof length) {
        char frame[SP_ETHERNET_FRAME_MAX];

        length = GUINT32_FROM_BE(length);
        g_assert_cmpuint(length, <=, sizeof frame);
        for (gsize done = 0; done < length;) {
            ssize_t n = recv(f->fd[at], frame + done, length - done, 0);
            done += (gsize)MAX(n, 0);
            turn(); /* the rest may still be with the switch */
        }
        g_string_append_len(texts, frame + SP_ETHERNET_FRAME_MIN, length - SP_ETHERNET_FRAME_MIN);
        g_string_append_c(texts, ' ');
    }
    return g_string_free(texts, FALSE);
}

static void assert_received(Fixture *f, const char *at_0, const char *at_1, const char *at_2)
{
    const char *const expected[] = {at_0, at_1, at_2};

    for (int i = 0; i < STATIONS; i++) {
        g_autofree char *texts = received(f, i);
        g_assert_cmpstr(texts, ==, expected[i]);
    }
}

static void test_learning(Fixture *f, gconstpointer data)
{
    send_frame(f, 0, 1, "unknown");
    assert_received(f, "", "unknown ", "unknown ");
    send_frame(f, 1, 0, "known");
    assert_received(f, "known ", "", "");
    send_frame(f, 0, 1, "now");
    assert_received(f, "", "now ", "");
    send_frame(f, 2, -1, "all");
    assert_received(f, "all ", "all ", "");
    /* a station that moved to another port */
    {
        g_autoptr(GByteArray) frame = make_frame(1, 0, "moved");
        send_raw(f->fd[2], frame->len, frame->data, frame->len);
        turn();
    }
    assert_received(f, "moved ", "", "");
    send_frame(f, 0, 1, "there");
    assert_received(f, "", "", "there ");
    /* to the sender itself: not sent back */
    send_frame(f, 0, 0, "self");
    assert_received(f, "", "", "");
    g_assert_cmpuint(sp_port_stats(f->port[0])->received, ==, 4);
    g_assert_cmpuint(sp_port_stats(f->port[0])->sent, ==, 3);
}

static void test_pieces(Fixture *f, gconstpointer data)
{
    g_autoptr(GByteArray) one = make_frame(0, -1, "one");
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    guint32 header = GUINT32_TO_BE(one->len);

    for (int i = 0; i < 3; i++) {
        g_byte_array_append(bytes, (const guint8 *)&header, sizeof header);
        g_byte_array_append(bytes, one->data, one->len);
    }
    /* wherever the stream is cut, each frame arrives whole */
    for (guint cut = 1; cut < bytes->len; cut++) {
        send_bytes(f->fd[0], bytes->data, cut);
        turn();
        send_bytes(f->fd[0], bytes->data + cut, bytes->len - cut);
        turn();
        assert_received(f, "", "one one one ", "one one one ");
    }
}

static void test_malformed(Fixture *f, gconstpointer data)
{
    g_autoptr(GByteArray) group = make_frame(0, 1, "from a group");
    g_autoptr(GByteArray) largest = make_frame(0, 1, "");
    guint8 runt[SP_ETHERNET_FRAME_MIN] = {0};

    send_raw(f->fd[0], 0, runt, 0);
    send_raw(f->fd[0], SP_ETHERNET_FRAME_MIN - 1, runt, SP_ETHERNET_FRAME_MIN - 1);
    group->data[6] |= 1;
    send_raw(f->fd[0], group->len, group->data, group->len);
    turn();
    assert_received(f, "", "", "");
    g_assert_cmpuint(sp_port_stats(f->port[0])->malformed, ==, 3);
    g_assert_cmpuint(sp_port_stats(f->port[0])->received, ==, 0);
    /* what follows is still understood */
    g_byte_array_set_size(largest, SP_ETHERNET_FRAME_MAX);
    memset(
        largest->data + SP_ETHERNET_FRAME_MIN, 'x', SP_ETHERNET_FRAME_MAX - SP_ETHERNET_FRAME_MIN);
    send_raw(f->fd[0], largest->len, largest->data, largest->len);
    turn();
    {
        g_autofree char *texts = received(f, 1);
        g_assert_cmpuint(strlen(texts), ==, SP_ETHERNET_FRAME_MAX - SP_ETHERNET_FRAME_MIN + 1);
        g_free(received(f, 2));
    }
    /* an overlong frame is skipped, and the next one is understood */
    g_byte_array_set_size(largest, SP_ETHERNET_FRAME_MAX + 1);
    send_raw(f->fd[0], largest->len, largest->data, largest->len);
    turn();
    g_byte_array_set_size(largest, SP_ETHERNET_LENGTH_MAX);
    send_raw(f->fd[0], largest->len, largest->data, largest->len);
    turn();
    assert_received(f, "", "", "");
    g_assert_cmpuint(sp_port_stats(f->port[0])->malformed, ==, 5);
    send_frame(f, 0, 1, "after");
    g_assert_true(sp_port_is_connected(f->port[0]));
    {
        g_autofree char *texts = received(f, 1);
        g_assert_cmpstr(texts, ==, "after ");
        g_free(received(f, 2));
    }
    /* a length that QEMU never announces ends this connection only */
    send_raw(f->fd[0], SP_ETHERNET_LENGTH_MAX + 1, runt, sizeof runt);
    turn();
    g_assert_false(sp_port_is_connected(f->port[0]));
    g_assert_cmpuint(sp_port_stats(f->port[0])->malformed, ==, 6);
    send_frame(f, 1, 2, "goes on");
    g_free(received(f, 2));
    g_assert_true(sp_port_is_connected(f->port[1]));
}

static void test_dying(Fixture *f, gconstpointer data)
{
    send_frame(f, 0, 1, "before");
    send_frame(f, 1, 0, "before");
    g_free(received(f, 0));
    g_free(received(f, 2));
    /* in the middle of a frame */
    send_bytes(f->fd[0], "\0\0\1", 3);
    close(f->fd[0]);
    f->fd[0] = -1;
    turn();
    g_assert_false(sp_port_is_connected(f->port[0]));
    send_frame(f, 1, 0, "to the dead");
    send_frame(f, 1, -1, "to all");
    {
        g_autofree char *texts = received(f, 2);
        g_assert_cmpstr(texts, ==, "to all ");
    }
    sp_port_unplug(f->port[0]);
    send_frame(f, 1, 0, "flooded");
    {
        g_autofree char *texts = received(f, 2);
        g_assert_cmpstr(texts, ==, "flooded ");
    }
}

/* A receiver that does not read loses its own frames, and takes no more memory than the limit. */
static void test_slow(Fixture *f, gconstpointer data)
{
    g_autofree char *text = g_strnfill(60000, 'x');
    g_autofree char *texts = NULL;
    guint64 sent = 0;
    gsize bytes = 0;

    send_frame(f, 1, 2, "here");
    send_frame(f, 2, 1, "here");
    for (int i = 0; i < 1000; i++) {
        send_frame(f, 0, 1, text);
        if (i % 100 == 0) {
            send_frame(f, 0, 2, "quick");
            sent++;
        }
    }
    g_assert_cmpuint(sp_port_stats(f->port[1])->overflown, >, 500);
    g_assert_cmpuint(sp_port_stats(f->port[2])->overflown, ==, 0);
    texts = received(f, 2);
    g_assert_cmpuint(strlen(texts), ==, strlen("here ") + sent * strlen("quick "));
    /* once it reads again, the waiting frames arrive in order, then new ones */
    for (;;) {
        g_autofree char *more = received(f, 1);
        if (!*more)
            break;
        bytes += strlen(more);
        turn();
    }
    g_assert_cmpuint(bytes, >, SP_PORT_QUEUE_MAX / 2);
    g_assert_cmpuint(bytes, <, SP_PORT_QUEUE_MAX + 2 * 1024 * 1024);
    send_frame(f, 0, 1, "new");
    {
        g_autofree char *more = received(f, 1);
        g_assert_cmpstr(more, ==, "new ");
    }
}

static void test_blocked(Fixture *f, gconstpointer data)
{
    sp_port_set_blocked(f->port[1], true);
    send_frame(f, 0, -1, "out");
    send_frame(f, 1, -1, "in");
    assert_received(f, "", "", "out ");
    g_assert_cmpuint(sp_port_stats(f->port[1])->blocked, ==, 2);
    sp_port_set_blocked(f->port[1], false);
    send_frame(f, 0, -1, "out");
    send_frame(f, 1, -1, "in");
    assert_received(f, "in ", "out ", "out in ");
}

static char *lose(Fixture *f)
{
    GString *texts = g_string_new(NULL);

    sp_port_set_loss(f->port[1], 0.3);
    for (int i = 0; i < 1000; i++) {
        g_autofree char *got = NULL;
        send_frame(f, 0, 1, "x");
        got = received(f, 1);
        g_string_append_c(texts, *got ? 'x' : '-');
        g_free(received(f, 2));
    }
    return g_string_free(texts, FALSE);
}

static void test_loss(Fixture *f, gconstpointer data)
{
    g_autofree char *first = lose(f);
    g_autofree char *second = NULL;
    guint64 lost = sp_port_stats(f->port[1])->lost;

    g_assert_cmpuint(lost, >, 220);
    g_assert_cmpuint(lost, <, 380);
    /* the same seed loses the same frames */
    tear_down(f, NULL);
    set_up(f, NULL);
    second = lose(f);
    g_assert_cmpstr(first, ==, second);
    sp_port_set_loss(f->port[1], 1);
    send_frame(f, 0, 1, "x");
    send_frame(f, 1, 0, "x");
    assert_received(f, "", "", "x ");
}

static bool has_sent(void *data, GError **error)
{
    return sp_port_stats(data)->sent == 2;
}

static void test_delay(Fixture *f, gconstpointer data)
{
    gint64 begin = g_get_monotonic_time();

    sp_port_set_delay(f->port[1], 60);
    send_frame(f, 0, 1, "a");
    send_frame(f, 0, 1, "b");
    assert_received(f, "", "", "a b ");
    /* frames sent after the delay was switched off do not overtake others */
    g_assert_true(sp_wait(has_sent, f->port[1], sp_deadline(10000), NULL, NULL));
    g_assert_cmpint(g_get_monotonic_time() - begin, >=, 60000);
    turn();
    assert_received(f, "", "a b ", "");
    send_frame(f, 0, 1, "c");
    sp_port_set_delay(f->port[1], 0);
    send_frame(f, 0, 1, "d");
    while (sp_port_stats(f->port[1])->sent < 4)
        g_main_context_iteration(NULL, TRUE);
    turn();
    assert_received(f, "", "c d ", "c d ");
    /* cut with frames on the way */
    sp_port_set_delay(f->port[1], 20);
    send_frame(f, 0, 1, "f");
    sp_port_set_blocked(f->port[1], true);
    while (sp_port_stats(f->port[1])->blocked == 0)
        g_main_context_iteration(NULL, TRUE);
    sp_port_set_blocked(f->port[1], false);
    turn();
    assert_received(f, "", "", "f ");
    /* unplugged with frames on the way */
    sp_port_set_delay(f->port[1], 60);
    send_frame(f, 0, 1, "e");
    sp_port_unplug(f->port[1]);
    turn();
}

static void on_frame(const guint8 *frame, gsize length, void *data)
{
    g_string_append_len(data, (const char *)frame + SP_ETHERNET_FRAME_MIN,
        (gssize)(length - SP_ETHERNET_FRAME_MIN));
}

static void test_own_port(Fixture *f, gconstpointer data)
{
    g_autoptr(GString) heard = g_string_new(NULL);
    SpPort *own = sp_switch_plug_func(f->sw, "driver", on_frame, heard);
    g_autoptr(GByteArray) frame = make_frame(9, -1, "from us");

    sp_port_send(own, frame->data, frame->len);
    turn();
    assert_received(f, "from us ", "from us ", "from us ");
    g_assert_cmpstr(heard->str, ==, "");
    send_frame(f, 0, 9, "to us");
    g_assert_cmpstr(heard->str, ==, "to us");
    assert_received(f, "", "", "");
    sp_port_send(own, frame->data, 5);
    g_assert_cmpuint(sp_port_stats(own)->malformed, ==, 1);
}

/* The driver's own port, and its answer to each frame. */
typedef struct {
    SpPort *port;
    GByteArray *answer;
    guint heard;
} Answerer;

static void answer(const guint8 *frame, gsize length, void *data)
{
    Answerer *answerer = data;

    answerer->heard++;
    sp_port_send(answerer->port, answerer->answer->data, answerer->answer->len);
}

/* The sender of many frames is gone when the first is answered. */
static void test_dying_while_answered(Fixture *f, gconstpointer data)
{
    g_autoptr(GByteArray) question = make_frame(0, 9, "question");
    g_autoptr(GByteArray) reply = make_frame(9, 0, "reply");
    Answerer answerer = {.answer = reply};

    answerer.port = sp_switch_plug_func(f->sw, "driver", answer, &answerer);
    sp_port_send(answerer.port, reply->data, reply->len);
    turn();
    for (int i = 0; i < 100; i++)
        send_raw(f->fd[0], question->len, question->data, question->len);
    close(f->fd[0]);
    f->fd[0] = -1;
    turn();
    g_assert_false(sp_port_is_connected(f->port[0]));
    g_assert_cmpuint(answerer.heard, ==, 100);
    g_assert_cmpuint(sp_port_stats(f->port[0])->malformed, ==, 0);
    send_frame(f, 1, 2, "goes on");
    g_free(received(f, 2));
}

/* The port behind which the station @number of make_frame() was last heard. */
static SpPort *port_of(Fixture *f, guint8 number)
{
    return sp_switch_find(f->sw, &(SpMac){{0x52, 0x54, 0, 0, 0, number}});
}

static void test_find(Fixture *f, gconstpointer data)
{
    g_assert_null(port_of(f, 0));
    send_frame(f, 0, 1, "x");
    g_assert_true(port_of(f, 0) == f->port[0]);
    g_assert_null(port_of(f, 1));
    sp_port_unplug(f->port[0]);
    g_assert_null(port_of(f, 0));
}

/* More stations than the table holds: all frames are flooded again, nothing breaks. */
static void test_many_stations(Fixture *f, gconstpointer data)
{
    for (guint i = 0; i < SP_SWITCH_STATIONS_MAX + 10; i++) {
        g_autoptr(GByteArray) frame = make_frame(0, 1, "");
        frame->data[8] = (guint8)(i >> 8);
        frame->data[9] = (guint8)i;
        send_raw(f->fd[0], frame->len, frame->data, frame->len);
        if (i % 64 == 0) {
            turn();
            g_free(received(f, 1));
            g_free(received(f, 2));
        }
    }
    turn();
    g_free(received(f, 1));
    g_free(received(f, 2));
    {
        static const SpMac first = {{0x52, 0x54, 0, 0, 0, 0}};
        static const SpMac last = {{0x52, 0x54, (SP_SWITCH_STATIONS_MAX + 9) >> 8,
            (SP_SWITCH_STATIONS_MAX + 9) & 0xff, 0, 0}};

        g_assert_null(sp_switch_find(f->sw, &first));
        g_assert_true(sp_switch_find(f->sw, &last) == f->port[0]);
    }
    send_frame(f, 1, 0, "x");
    send_frame(f, 0, 1, "y");
    {
        g_autofree char *texts = received(f, 1);
        g_assert_cmpstr(texts, ==, "y ");
    }
}

/* Frames to a station that has been silent for long are flooded. */
static void test_ageing(Fixture *f, gconstpointer data)
{
    send_frame(f, 0, 1, "x");
    assert_received(f, "", "x ", "x ");
    clock_ahead += SP_SWITCH_AGE_US - G_TIME_SPAN_SECOND;
    send_frame(f, 1, 0, "still there");
    assert_received(f, "still there ", "", "");
    clock_ahead += G_TIME_SPAN_SECOND;
    send_frame(f, 1, 0, "forgotten");
    assert_received(f, "forgotten ", "", "forgotten ");
    g_assert_null(port_of(f, 0));
}

static void test_capture(Fixture *f, gconstpointer data)
{
    g_autofree char *path = NULL;
    g_autofree char *dir = g_dir_make_tmp("slotproof-test-XXXXXX", NULL);
    g_autofree char *tshark = g_find_program_in_path("tshark");
    g_autoptr(GError) error = NULL;
    SpCapture *capture;

    path = g_build_filename(dir, "net.pcapng", NULL);
    capture = sp_capture_new(path, &error);
    g_assert_no_error(error);
    sp_switch_set_capture(f->sw, capture);
    send_frame(f, 0, 1, "odd");
    send_frame(f, 1, 0, "even");
    send_frame(f, 2, -1, "");
    g_assert_null(sp_capture_error(capture));
    sp_switch_set_capture(f->sw, NULL);
    sp_capture_free(capture);
    if (tshark) {
        const char *const argv[] = {tshark, "-r", path, "-T", "fields", "-e",
            "frame.interface_name", "-e", "frame.len", "-e", "eth.src", NULL};
        g_autofree char *output = NULL, *errors = NULL;
        int status;

        g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, &output,
            &errors, &status, &error));
        g_assert_cmpint(status, ==, 0);
        g_assert_cmpstr(output, ==,
            "station\t17\t52:54:00:00:00:00\nstation\t18\t52:54:00:00:00:01\n"
            "station\t14\t52:54:00:00:00:02\n");
    } else {
        g_test_skip("tshark is not there to read the capture");
    }
    g_unlink(path);
    g_rmdir(dir);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*test)(Fixture *f, gconstpointer data);
    } tests[] = {
        {"/switch/learning", test_learning},
        {"/switch/pieces", test_pieces},
        {"/switch/malformed", test_malformed},
        {"/switch/dying", test_dying},
        {"/switch/slow", test_slow},
        {"/switch/blocked", test_blocked},
        {"/switch/loss", test_loss},
        {"/switch/delay", test_delay},
        {"/switch/own-port", test_own_port},
        {"/switch/dying-while-answered", test_dying_while_answered},
        {"/switch/find", test_find},
        {"/switch/many-stations", test_many_stations},
        {"/switch/ageing", test_ageing},
        {"/switch/capture", test_capture},
    };

    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, Fixture, NULL, set_up, tests[i].test, tear_down);
    return g_test_run();
}
