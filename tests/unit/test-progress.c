/* SPDX-License-Identifier: MIT */
#include "runner/progress.h"

#include <errno.h>
#include <pty.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* A terminal of which the test has the other end. */
typedef struct {
    int screen;
    int fd;
    SpProgress *progress;
} Fixture;

static void open_terminal(Fixture *f, guint rows, guint columns)
{
    const struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};

    g_assert_cmpint(openpty(&f->screen, &f->fd, NULL, NULL, &size), ==, 0);
    f->progress = sp_progress_new(f->fd, STDERR_FILENO, false);
}

static void set_up(Fixture *f, gconstpointer data)
{
    g_setenv("TERM", "xterm", TRUE);
    g_setenv("NO_COLOR", "1", TRUE);
    open_terminal(f, 10, 30);
}

static void close_terminal(Fixture *f)
{
    g_clear_pointer(&f->progress, sp_progress_free);
    close(f->screen);
    close(f->fd);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    close_terminal(f);
}

/* The output up to a mark that the test writes itself. */
static char *shown(Fixture *f)
{
    GString *text = g_string_new(NULL);

    g_assert_cmpint(write(f->fd, "@", 1), ==, 1);
    while (text->len == 0 || text->str[text->len - 1] != '@') {
        char buffer[4096];
        ssize_t n = read(f->screen, buffer, sizeof buffer);

        g_assert_cmpint(n, >, 0);
        g_string_append_len(text, buffer, n);
    }
    g_string_truncate(text, text->len - 1);
    g_string_replace(text, "\r\n", "\n", 0);
    g_string_replace(text, "\r\033[J", "<erase>", 0);
    g_string_replace(text, "\033[", "^", 0);
    return g_string_free(text, FALSE);
}

static void expect(Fixture *f, const char *expected)
{
    g_autofree char *text = shown(f);

    g_assert_cmpstr(text, ==, expected);
}

static void test_live(Fixture *f, gconstpointer data)
{
    g_assert_true(sp_progress_is_live(f->progress));
    sp_progress_begin(f->progress, "one");
    expect(f, "  one  0 s\n");
    sp_progress_begin(f->progress, "another");
    expect(f, "^1A<erase>  one      0 s\n  another  0 s\n");
    sp_progress_step(f->progress, "one", "gateway: wait\tfor\nunit \x1b[31mchrony.service");
    sp_progress_step(f->progress, "nobody", "x");
    sp_progress_print(f->progress, "a line\n");
    expect(f, "^2A<erase>a line\n  one      0 s  gateway: wai…\n  another  0 s\n");
    sp_progress_step(f->progress, "one", "");
    sp_progress_end(f->progress, "another");
    sp_progress_print(f->progress, "another passed\n");
    expect(f, "^2A<erase>another passed\n  one  0 s\n");
    sp_progress_end(f->progress, "one");
    g_clear_pointer(&f->progress, sp_progress_free);
    expect(f, "^1A<erase>");
}

/* Control characters in a step are made visible. */
static void test_controls(Fixture *f, gconstpointer data)
{
    sp_progress_begin(f->progress, "t");
    sp_progress_step(f->progress, "t", "\x1b[2Jx\ty");
    sp_progress_print(f->progress, "-\n");
    expect(f, "  t  0 s\n^1A<erase>-\n  t  0 s  \\x1b[2Jx y\n");
}

/* Lines drawn in a wide window take more rows in a narrow one; a low window does not show all. */
static void test_size(Fixture *f, gconstpointer data)
{
    struct winsize size = {.ws_row = 4, .ws_col = 9};

    sp_progress_begin(f->progress, "name");
    sp_progress_step(f->progress, "name", "a long thing to be done");
    sp_progress_print(f->progress, "-\n");
    expect(f, "  name  0 s\n^1A<erase>-\n  name  0 s  a long thing to…\n");
    g_assert_cmpint(ioctl(f->fd, TIOCSWINSZ, &size), ==, 0);
    sp_progress_print(f->progress, "-\n");
    expect(f, "^4A<erase>-\n  name …\n");
    sp_progress_begin(f->progress, "two");
    g_free(shown(f));
    sp_progress_begin(f->progress, "three");
    sp_progress_print(f->progress, "-\n");
    expect(f, "^2A<erase>-\n  name …\n  two  …\n");
}

static void test_colours(Fixture *f, gconstpointer data)
{
    g_autofree char *plain = sp_progress_paint(f->progress, SP_COLOUR_BAD, "x");
    g_autofree char *red = NULL;

    g_assert_cmpstr(plain, ==, "x");
    close_terminal(f);
    g_setenv("NO_COLOR", "", TRUE); /* as if it were not set */
    open_terminal(f, 10, 30);
    red = sp_progress_paint(f->progress, SP_COLOUR_BAD, "x");
    g_assert_cmpstr(red, ==, "\033[1;31mx\033[0m");
    sp_progress_begin(f->progress, "t");
    expect(f, "^2m  t  0 s^0m\n");
}

/* Plain lines on a dumb terminal, on request, and in a pipe. */
static void test_plain(Fixture *f, gconstpointer data)
{
    static const char *const terms[] = {"dumb", "", NULL, "xterm"};

    for (gsize i = 0; i < G_N_ELEMENTS(terms); i++) {
        close_terminal(f);
        if (terms[i])
            g_setenv("TERM", terms[i], TRUE);
        else
            g_unsetenv("TERM");
        open_terminal(f, 10, 30);
        if (i == 3) {
            sp_progress_free(f->progress);
            f->progress = sp_progress_new(f->fd, STDERR_FILENO, true);
        }
        g_assert_false(sp_progress_is_live(f->progress));
        sp_progress_begin(f->progress, "t");
        sp_progress_step(f->progress, "t", "x");
        sp_progress_print(f->progress, "a line\n");
        sp_progress_end(f->progress, "t");
        expect(f, "a line\n");
    }
}

static void test_pipe(void)
{
    SpProgress *progress;
    char buffer[64];
    int fds[2];

    g_assert_cmpint(pipe(fds), ==, 0);
    g_setenv("TERM", "xterm", TRUE);
    g_unsetenv("NO_COLOR");
    progress = sp_progress_new(fds[1], STDERR_FILENO, false);
    sp_progress_begin(progress, "t");
    sp_progress_print(progress, "a line\n");
    sp_progress_free(progress);
    close(fds[1]);
    g_assert_cmpint(read(fds[0], buffer, sizeof buffer), ==, 7);
    close(fds[0]);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/progress/live", Fixture, NULL, set_up, test_live, tear_down);
    g_test_add("/progress/controls", Fixture, NULL, set_up, test_controls, tear_down);
    g_test_add("/progress/size", Fixture, NULL, set_up, test_size, tear_down);
    g_test_add("/progress/colours", Fixture, NULL, set_up, test_colours, tear_down);
    g_test_add("/progress/plain", Fixture, NULL, set_up, test_plain, tear_down);
    g_test_add_func("/progress/pipe", test_pipe);
    return g_test_run();
}
