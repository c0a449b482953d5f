/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/terminal.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* A terminal, and the end of it at which the user sits. */
typedef struct {
    int user;
    int fd;
    struct termios former;
    gsize room;
    GString *typed;
    SpTerminal *terminal;
} Fixture;

static gsize get_room(void *data)
{
    return ((Fixture *)data)->room;
}

static void on_typed(const guint8 *bytes, gsize length, void *data)
{
    Fixture *f = data;

    g_assert_cmpuint(length, <=, f->room);
    f->room -= length;
    g_string_append_len(f->typed, (const char *)bytes, (gssize)length);
}

static void on_resized(guint rows, guint columns, void *data)
{
    g_string_append_printf(((Fixture *)data)->typed, "<%u %u>", rows, columns);
}

static const SpTerminalOps ops = {get_room, on_typed, on_resized};

static void set_up(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    char name[64];

    f->user = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    g_assert_cmpint(f->user, >=, 0);
    g_assert_cmpint(grantpt(f->user), ==, 0);
    g_assert_cmpint(unlockpt(f->user), ==, 0);
    g_assert_cmpint(ptsname_r(f->user, name, sizeof name), ==, 0);
    f->fd = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    g_assert_cmpint(tcgetattr(f->fd, &f->former), ==, 0);
    f->typed = g_string_new(NULL);
    f->room = 100;
    f->terminal = sp_terminal_open(f->fd, f->fd, &ops, f, &error);
    g_assert_no_error(error);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    sp_terminal_free(f->terminal);
    g_string_free(f->typed, TRUE);
    close(f->fd);
    if (f->user >= 0)
        close(f->user);
}

static void type(Fixture *f, const char *text)
{
    g_assert_cmpint(write(f->user, text, strlen(text)), ==, (ssize_t)strlen(text));
    while (g_main_context_iteration(NULL, FALSE))
        ;
}

/* Keys that mean something to a terminal that is not raw, and none is echoed. */
static void test_raw(Fixture *f, gconstpointer data)
{
    struct termios now;
    char seen[8] = "";

    type(f, "a\x03\x04\x1a\r\n");
    g_assert_cmpstr(f->typed->str, ==, "a\x03\x04\x1a\r\n");
    sp_terminal_write(f->terminal, "b\n", 2);
    g_assert_cmpint(read(f->user, seen, sizeof seen), ==, 2);
    g_assert_cmpstr(seen, ==, "b\n");
    g_assert_false(sp_terminal_was_left(f->terminal));
    g_clear_pointer(&f->terminal, sp_terminal_free);
    g_assert_cmpint(tcgetattr(f->fd, &now), ==, 0);
    g_assert_cmpuint(now.c_lflag, ==, f->former.c_lflag);
    g_assert_cmpuint(now.c_iflag, ==, f->former.c_iflag);
    g_assert_cmpuint(now.c_oflag, ==, f->former.c_oflag);
}

static void test_leave(Fixture *f, gconstpointer data)
{
    type(f, "ab\x1dnever");
    g_assert_true(sp_terminal_was_left(f->terminal));
    type(f, "nor this");
    sp_terminal_continue(f->terminal);
    type(f, "nor this");
    g_assert_cmpstr(f->typed->str, ==, "ab");
}

static void test_hang_up(Fixture *f, gconstpointer data)
{
    close(f->user);
    f->user = -1;
    while (!sp_terminal_was_left(f->terminal))
        g_main_context_iteration(NULL, TRUE);
    sp_terminal_write(f->terminal, "to nobody", 9);
}

static void test_room(Fixture *f, gconstpointer data)
{
    f->room = 2;
    type(f, "abcd");
    g_assert_cmpstr(f->typed->str, ==, "ab");
    sp_terminal_continue(f->terminal);
    type(f, "e");
    g_assert_cmpstr(f->typed->str, ==, "ab");
    f->room = 100;
    sp_terminal_continue(f->terminal);
    sp_terminal_continue(f->terminal);
    type(f, "f");
    g_assert_cmpstr(f->typed->str, ==, "abcdef");
}

static void test_size(Fixture *f, gconstpointer data)
{
    struct winsize size = {.ws_row = 33, .ws_col = 111};
    guint rows, columns;

    sp_terminal_size(f->terminal, &rows, &columns);
    g_assert_cmpuint(rows, ==, 24); /* of one that does not tell */
    g_assert_cmpuint(columns, ==, 80);
    g_assert_cmpint(ioctl(f->user, TIOCSWINSZ, &size), ==, 0);
    raise(SIGWINCH);
    while (f->typed->len == 0)
        g_main_context_iteration(NULL, TRUE);
    g_assert_cmpstr(f->typed->str, ==, "<33 111>");
}

static void test_no_terminal(void)
{
    g_autoptr(GError) error = NULL;
    int pipe[2];

    g_assert_cmpint(pipe2(pipe, O_CLOEXEC), ==, 0);
    g_assert_null(sp_terminal_open(pipe[0], pipe[1], &ops, NULL, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_USAGE);
    g_assert_nonnull(strstr(error->message, "slotproof debug"));
    close(pipe[0]);
    close(pipe[1]);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*test)(Fixture *f, gconstpointer data);
    } tests[] = {
        {"/terminal/raw", test_raw},
        {"/terminal/leave", test_leave},
        {"/terminal/hang-up", test_hang_up},
        {"/terminal/room", test_room},
        {"/terminal/size", test_size},
    };

    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, Fixture, NULL, set_up, tests[i].test, tear_down);
    g_test_add_func("/terminal/no-terminal", test_no_terminal);
    return g_test_run();
}
