/* SPDX-License-Identifier: MIT */
#include "agent/loop.h"

#include <glib.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct {
    struct loop *loop;
    struct loop_source *sources[3];
    int ends[3][2]; /* socket pairs; the loop watches the first of each */
    GString *calls;
} Fixture;

/* Each notes its call by a letter, and reads nothing, so that its socket stays ready. */
static void on_a(void *data, uint32_t events)
{
    g_string_append_c(((Fixture *)data)->calls, 'a');
}

static void on_b(void *data, uint32_t events)
{
    g_string_append_c(((Fixture *)data)->calls, 'b');
}

static void on_c(void *data, uint32_t events)
{
    g_string_append_c(((Fixture *)data)->calls, 'c');
}

static void fixture_up(Fixture *f, gconstpointer data)
{
    static const loop_func funcs[] = {on_a, on_b, on_c};

    f->calls = g_string_new(NULL);
    g_assert_cmpint(loop_new(&f->loop), ==, 0);
    for (int i = 0; i < 3; i++) {
        g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, f->ends[i]), ==, 0);
        g_assert_cmpint(
            loop_add_fd(f->loop, f->ends[i][0], EPOLLIN, funcs[i], f, &f->sources[i]), ==, 0);
    }
}

static void fixture_down(Fixture *f, gconstpointer data)
{
    loop_free(f->loop);
    for (int i = 0; i < 3; i++) {
        close(f->ends[i][0]);
        close(f->ends[i][1]);
    }
    g_string_free(f->calls, TRUE);
}

static void make_ready(Fixture *f, int i)
{
    g_assert_cmpint(write(f->ends[i][1], "x", 1), ==, 1);
}

static void turn(Fixture *f, int n)
{
    g_string_truncate(f->calls, 0);
    for (int i = 0; i < n; i++)
        g_assert_cmpint(loop_turn(f->loop), ==, 0);
    g_assert_cmpuint(f->calls->len, ==, n);
}

static gsize count_calls(Fixture *f, char letter)
{
    gsize n = 0;

    for (gsize i = 0; i < f->calls->len; i++)
        n += f->calls->str[i] == letter;
    return n;
}

/* What is always ready has its turn as often as the others, and no oftener. */
static void test_turns(Fixture *f, gconstpointer data)
{
    for (int i = 0; i < 3; i++)
        make_ready(f, i);
    turn(f, 9);
    g_assert_cmpuint(count_calls(f, 'a'), ==, 3);
    g_assert_cmpuint(count_calls(f, 'b'), ==, 3);
}

static void on_again(void *data, uint32_t events)
{
    Fixture *f = data;

    g_string_append_c(f->calls, 't');
    loop_source_start(f->sources[2], 0);
}

/* A timer that is always due is no exception. */
static void test_timer_always_due(Fixture *f, gconstpointer data)
{
    f->sources[2] = loop_source_free(f->sources[2]);
    g_assert_cmpint(loop_add_timer(f->loop, 0, on_again, f, &f->sources[2]), ==, 0);
    make_ready(f, 0);
    turn(f, 10);
    g_assert_cmpuint(count_calls(f, 'a'), >=, 4);
    g_assert_cmpuint(count_calls(f, 't'), >=, 4);
}

/* Off, it is not served: neither for what is there already nor for a hang-up. */
static void test_off(Fixture *f, gconstpointer data)
{
    for (int i = 0; i < 3; i++)
        make_ready(f, i);
    turn(f, 1); /* the others are known to be ready now */
    for (int i = 0; i < 2; i++)
        loop_source_set_events(f->sources[i], 0);
    shutdown(f->ends[1][1], SHUT_RDWR);
    turn(f, 5);
    g_assert_cmpuint(count_calls(f, 'c'), ==, 5);
    loop_source_set_events(f->sources[1], EPOLLIN);
    turn(f, 6);
    g_assert_cmpuint(count_calls(f, 'b'), >=, 2);
}

static void on_free_all(void *data, uint32_t events)
{
    Fixture *f = data;

    g_string_append_c(f->calls, 'f');
    for (int i = 0; i < 3; i++)
        f->sources[i] = loop_source_free(f->sources[i]);
}

/* A source may free itself, and others that are ready. */
static void test_freed_in_call(Fixture *f, gconstpointer data)
{
    struct loop_source *timer;

    for (int i = 0; i < 3; i++) {
        loop_source_free(f->sources[i]);
        g_assert_cmpint(
            loop_add_fd(f->loop, f->ends[i][0], EPOLLIN, on_free_all, f, &f->sources[i]), ==, 0);
        make_ready(f, i);
    }
    g_assert_cmpint(loop_add_timer(f->loop, 1000, on_c, f, &timer), ==, 0);
    turn(f, 2);
    g_assert_cmpstr(f->calls->str, ==, "fc");
    loop_source_free(timer);
}

/* Timers run in their order, once, and not before their time. */
static void test_timers(Fixture *f, gconstpointer data)
{
    struct loop_source *timers[3];
    gint64 begin = g_get_monotonic_time();

    g_assert_cmpint(loop_add_timer(f->loop, 40000, on_b, f, &timers[0]), ==, 0);
    g_assert_cmpint(loop_add_timer(f->loop, 20000, on_a, f, &timers[1]), ==, 0);
    g_assert_cmpint(loop_add_timer(f->loop, LOOP_NEVER, on_c, f, &timers[2]), ==, 0);
    turn(f, 1);
    g_assert_cmpstr(f->calls->str, ==, "a");
    g_assert_cmpint(g_get_monotonic_time() - begin, >=, 20000);
    loop_source_start(timers[0], LOOP_NEVER);
    loop_source_start(timers[2], 50000);
    turn(f, 1);
    g_assert_cmpstr(f->calls->str, ==, "c");
    g_assert_cmpint(g_get_monotonic_time() - begin, >=, 70000);
}

static void on_destroy(void *data)
{
    g_string_append_c(((Fixture *)data)->calls, 'd');
}

static void test_destroy(Fixture *f, gconstpointer data)
{
    struct loop *loop;

    for (int i = 0; i < 2; i++)
        loop_source_set_destroy(f->sources[i], on_destroy);
    f->sources[0] = loop_source_free(f->sources[0]);
    g_assert_cmpstr(f->calls->str, ==, "d");
    g_assert_cmpint(loop_new(&loop), ==, 0);
    loop_free(f->loop);
    f->loop = loop;
    g_assert_cmpstr(f->calls->str, ==, "dd");
    g_assert_false(loop_has_ended(loop));
    loop_end(loop);
    g_assert_true(loop_has_ended(loop));
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(Fixture *, gconstpointer);
    } tests[] = {
        {"/agent-loop/turns", test_turns},
        {"/agent-loop/timer-always-due", test_timer_always_due},
        {"/agent-loop/off", test_off},
        {"/agent-loop/freed-in-call", test_freed_in_call},
        {"/agent-loop/timers", test_timers},
        {"/agent-loop/destroy", test_destroy},
    };

    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, Fixture, NULL, fixture_up, tests[i].func, fixture_down);
    return g_test_run();
}
