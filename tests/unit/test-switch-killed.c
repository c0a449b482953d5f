/* SPDX-License-Identifier: MIT */

/* The other stations of a switch when one dies at the worst moment; test-switch.c has the rest. */

#include "network/switch.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SENDER, RECEIVER, VICTIM, STATIONS };
#define TEXT_SIZE 1400
#define FRAMES 20000u

typedef struct {
    SpSwitch *sw;
    SpPort *port[STATIONS];
    int fd[STATIONS];
    GByteArray *input; /* of the receiver */
    guint32 next;      /* the number that it expects */
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    f->sw = sp_switch_new("1", 7);
    f->input = g_byte_array_new();
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
    g_byte_array_unref(f->input);
}

static void turn(void)
{
    while (g_main_context_iteration(NULL, FALSE))
        ;
}

static void kill_victim(Fixture *f)
{
    close(f->fd[VICTIM]);
    f->fd[VICTIM] = -1;
}

typedef struct {
    guint8 length[4];
    guint8 target[6], source[6], type[2];
    guint8 number[4];
    guint8 text[TEXT_SIZE];
} Frame;

static Frame make_frame(int from, int to, guint32 number)
{
    Frame frame = {.target = {0x52, 0x54, 0, 0, 0, (guint8)to},
        .source = {0x52, 0x54, 0, 0, 0, (guint8)from},
        .type = {0x88, 0xb5}};
    guint32 length = GUINT32_TO_BE(sizeof frame - sizeof frame.length);

    memcpy(frame.length, &length, sizeof length);
    memcpy(frame.number, &number, sizeof number);
    memset(frame.text, (int)(number & 0xff), sizeof frame.text);
    return frame;
}

static void send_frame(Fixture *f, int from, int to, guint32 number)
{
    Frame frame = make_frame(from, to, number);
    const guint8 *bytes = (const guint8 *)&frame;

    for (gsize done = 0; done < sizeof frame;) {
        ssize_t n = send(f->fd[from], bytes + done, sizeof frame - done, MSG_NOSIGNAL);

        done += (gsize)MAX(n, 0);
        if (n < 0)
            turn();
    }
}

/* The receiver reads all that waits: the next frames, each whole and once. */
static void receive(Fixture *f)
{
    static guint8 bytes[1024 * 1024];
    ssize_t n;

    turn();
    while ((n = recv(f->fd[RECEIVER], bytes, sizeof bytes, 0)) > 0) {
        g_byte_array_append(f->input, bytes, (guint)n);
        turn();
    }
    while (f->input->len >= sizeof(Frame)) {
        Frame expected = make_frame(SENDER, RECEIVER, f->next++);

        g_assert_cmpmem(f->input->data, sizeof expected, &expected, sizeof expected);
        g_byte_array_remove_range(f->input, 0, sizeof expected);
    }
}

/* Its queue is full, since it does not read, while another sends to it and a third at full speed.
 */
static void test_at_full_speed(Fixture *f, gconstpointer data)
{
    Frame flooded;

    /* so that the switch knows each station; the first frame is flooded */
    send_frame(f, SENDER, SENDER, 0);
    send_frame(f, RECEIVER, SENDER, 0);
    send_frame(f, VICTIM, SENDER, 0);
    turn();
    g_assert_cmpint(recv(f->fd[RECEIVER], &flooded, sizeof flooded, 0), ==, -1);
    for (guint32 i = 0; i < FRAMES; i++) {
        send_frame(f, SENDER, RECEIVER, i);
        send_frame(f, SENDER, VICTIM, i);
        if (i == FRAMES / 2) {
            g_assert_cmpuint(sp_port_stats(f->port[VICTIM])->overflown, >, 0);
            kill_victim(f);
        }
        if (i % 50 == 0)
            receive(f);
    }
    receive(f);
    g_assert_cmpuint(f->next, ==, FRAMES);
    g_assert_cmpuint(f->input->len, ==, 0);
    g_assert_cmpuint(sp_port_stats(f->port[RECEIVER])->overflown, ==, 0);
    g_assert_true(sp_port_is_connected(f->port[RECEIVER]));
    g_assert_true(sp_port_is_connected(f->port[SENDER]));
    g_assert_false(sp_port_is_connected(f->port[VICTIM]));
}

/* Its last frame, truncated at any byte, is not forwarded. */
static void test_in_a_frame(gconstpointer data)
{
    for (gsize cut = 1; cut < sizeof(Frame); cut += cut < 32 ? 1 : 199) {
        Frame frame = make_frame(VICTIM, RECEIVER, 0);
        Fixture f = {0};

        set_up(&f, NULL);
        g_assert_cmpint(send(f.fd[VICTIM], &frame, cut, 0), ==, cut);
        turn();
        kill_victim(&f);
        turn();
        g_assert_false(sp_port_is_connected(f.port[VICTIM]));
        send_frame(&f, SENDER, RECEIVER, 0);
        receive(&f);
        g_assert_cmpuint(f.next, ==, 1);
        g_assert_cmpuint(f.input->len, ==, 0);
        tear_down(&f, NULL);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add(
        "/switch-killed/at-full-speed", Fixture, NULL, set_up, test_at_full_speed, tear_down);
    g_test_add_data_func("/switch-killed/in-a-frame", NULL, test_in_a_frame);
    return g_test_run();
}
