/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "qemu/console.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void on_line(const char *line, void *data)
{
    g_string_append_printf(data, "<%s>", line);
}

static void feed(SpConsole *console, const char *text)
{
    sp_console_take(console, (const guint8 *)text, strlen(text));
}

static bool takes(SpConsole *console, const char *pattern)
{
    g_autoptr(GRegex) regex = sp_console_regex_new(pattern, NULL);

    g_assert_nonnull(regex);
    return sp_console_take_match(console, regex);
}

static void test_lines(void)
{
    g_autoptr(GString) lines = g_string_new(NULL);
    g_autoptr(SpConsole) console = sp_console_new(NULL, on_line, lines, NULL);
    g_autofree char *tail = NULL;

    feed(console, "one\r\ntw");
    g_assert_cmpstr(lines->str, ==, "<one>");
    g_assert_true(takes(console, "^tw$"));
    feed(console, "o\n\x1b[0;3");
    feed(console, "2m  OK  \x1b[0m\xff\n");
    g_assert_cmpstr(lines->str, ==, "<one><two><  OK  \xef\xbf\xbd>");
    g_assert_cmpuint(sp_console_next_line(console), ==, 3);
    feed(console, "login: ");
    tail = sp_console_tail(console, 2);
    g_assert_cmpstr(tail, ==, "two\n  OK  \xef\xbf\xbd\nlogin: \n");
}

/* A match is found once, with all that stands before it; what stands behind it is not lost. */
static void test_read(void)
{
    g_autoptr(SpConsole) console = sp_console_new(NULL, NULL, NULL, NULL);

    feed(console, "login: one\nlogin: two\nthree four\n\n");
    g_assert_true(takes(console, "login:"));
    g_assert_true(takes(console, "login:"));
    g_assert_false(takes(console, "login:"));
    /* nothing was read by that one */
    g_assert_true(takes(console, "two$"));
    g_assert_false(takes(console, "one"));
    g_assert_true(takes(console, "three"));
    g_assert_false(takes(console, "^ four"));
    g_assert_true(takes(console, "(?<=three) four$"));
    /* an empty line, too, is read once */
    g_assert_true(takes(console, "^$"));
    g_assert_false(takes(console, "^$"));
    feed(console, "five\nsix\nseven");
    g_assert_true(takes(console, "six"));
    g_assert_false(takes(console, "five"));
    g_assert_true(takes(console, "seven"));
}

/* What comes in the same line later is matched from there on. */
static void test_read_unfinished(void)
{
    g_autoptr(SpConsole) console = sp_console_new(NULL, NULL, NULL, NULL);

    feed(console, "host login: ");
    g_assert_true(takes(console, "login: $"));
    g_assert_false(takes(console, "login: "));
    feed(console, "ro");
    g_assert_false(takes(console, "login"));
    g_assert_true(takes(console, "ro$"));
    feed(console, "ot\r\nPassword: ");
    g_assert_false(takes(console, "root"));
    g_assert_false(takes(console, "^ot$"));
    g_assert_true(takes(console, "ot$"));
    g_assert_true(takes(console, "^Password: $"));
    /* half a character is none, and its other half does not move what is read */
    feed(console, "x\xe2\x86");
    g_assert_true(takes(console, "x$"));
    feed(console, "\x92y");
    g_assert_true(takes(console, "^Password: x\xe2\x86\x92y|\xe2\x86\x92"));
    g_assert_true(takes(console, "y$"));
    feed(console, "\xff\xff");
    g_assert_true(takes(console, "\xef\xbf\xbd"));
    feed(console, "z\n");
    g_assert_true(takes(console, "z$"));
}

/* After a reset nothing of the boot before it is found, not even its unfinished line. */
static void test_read_anew(void)
{
    g_autoptr(GString) lines = g_string_new(NULL);
    g_autoptr(SpConsole) console = sp_console_new(NULL, on_line, lines, NULL);

    feed(console, "booting\nlogin: ");
    sp_console_begin_anew(console);
    g_assert_false(takes(console, "login: $"));
    g_assert_false(takes(console, "booting"));
    feed(console, "[    0.000000] Linux\n");
    g_assert_true(takes(console, "^\\[    0.000000\\] Linux$"));
    g_assert_cmpstr(lines->str, ==, "<booting><login: ><[    0.000000] Linux>");
    feed(console, "login: ");
    sp_console_read_all(console);
    g_assert_false(takes(console, "login: $"));
    feed(console, "root");
    g_assert_true(takes(console, "root"));
}

/* A carriage return begins a line as far as waits go, and overwrites it for who reads it. */
static void test_returned(void)
{
    static const char text[] = "10%\r20%\r30% done\r\nnext\r\r\n\r\x1b[Kgone\r\x1b[K\0\nend\r\n";

    for (gsize cut = 0; cut < sizeof text; cut++) {
        g_autoptr(GString) lines = g_string_new(NULL);
        g_autoptr(SpConsole) console = sp_console_new(NULL, on_line, lines, NULL);
        g_autofree char *tail = NULL;

        sp_console_take(console, (const guint8 *)text, cut);
        sp_console_take(console, (const guint8 *)text + cut, sizeof text - 1 - cut);
        g_assert_cmpuint(sp_console_next_line(console), ==, 4);
        g_assert_true(takes(console, "^10%$"));
        g_assert_false(takes(console, "10%.*30%"));
        g_assert_true(takes(console, "^30%"));
        g_assert_false(takes(console, "^20%"));
        g_assert_true(takes(console, "^ ?done$|done"));
        g_assert_true(takes(console, "^next$"));
        g_assert_true(takes(console, "^end$"));
        g_assert_cmpstr(lines->str, ==, "<30% done><next><gone><end>");
        tail = sp_console_tail(console, 4);
        g_assert_cmpstr(tail, ==, "30% done\nnext\ngone\nend\n");
    }
}

/* Progress that goes on and on costs few lines, and none of its parts is cut. */
static void test_returned_bounds(void)
{
    g_autoptr(GString) lines = g_string_new(NULL);
    g_autoptr(SpConsole) console = sp_console_new(NULL, on_line, lines, NULL);

    for (guint i = 0; i < 100000; i++) {
        g_autofree char *part = g_strdup_printf("\r%u of 100000", i);
        g_autofree char *pattern = g_strdup_printf("^%u of 100000$", i);

        feed(console, part);
        g_assert_true(takes(console, pattern));
        g_assert_false(takes(console, "of"));
    }
    g_assert_cmpuint(sp_console_next_line(console), <, SP_CONSOLE_LINES_MAX / 8);
    g_assert_cmpuint(lines->len, <, 16384);
    feed(console, "\n");
    g_assert_true(g_str_has_suffix(lines->str, "<99999 of 100000>"));
}

/* Lines that are no longer kept are passed over, and those that are are not. */
static void test_read_dropped(void)
{
    g_autoptr(SpConsole) console = sp_console_new(NULL, NULL, NULL, NULL);

    feed(console, "first\nsecond\n");
    g_assert_true(takes(console, "fir"));
    for (guint i = 0; i < SP_CONSOLE_LINES_MAX; i++)
        feed(console, "x\n");
    feed(console, "last");
    g_assert_false(takes(console, "rst|second"));
    g_assert_true(takes(console, "last"));
    feed(console, "\nmore\n");
    g_assert_true(takes(console, "more"));
}

/* Everything, with the place up to which it is read. */
static void test_text(void)
{
    g_autoptr(SpConsole) console = sp_console_new(NULL, NULL, NULL, NULL);
    g_autofree char *text = NULL;
    g_autofree char *later = NULL;
    gsize read;

    feed(console, "one\n10%\r20%\nthree");
    text = sp_console_text(console, &read);
    g_assert_cmpstr(text, ==, "one\n10%\n20%\nthree\n");
    g_assert_cmpuint(read, ==, 0);
    g_assert_true(takes(console, "^2"));
    later = sp_console_text(console, &read);
    g_assert_cmpstr(text + read, ==, "0%\nthree\n");
    g_assert_true(takes(console, "three"));
    g_free(later);
    later = sp_console_text(console, &read);
    g_assert_cmpstr(text + read, ==, "\n");
}

static void on_tap(const guint8 *data, gsize length, void *user_data)
{
    g_string_append_len(user_data, (const char *)data, (gssize)length);
}

/* Every byte, escape sequences too, and only for as long as it is asked for. */
static void test_tap(void)
{
    g_autoptr(GString) seen = g_string_new(NULL);
    g_autoptr(GString) lines = g_string_new(NULL);
    g_autoptr(SpConsole) console = sp_console_new(NULL, on_line, lines, NULL);

    feed(console, "one\n");
    sp_console_set_tap(console, on_tap, seen);
    feed(console, "\x1b[1mtw");
    feed(console, "o\r\n");
    sp_console_set_tap(console, NULL, NULL);
    feed(console, "three\n");
    g_assert_cmpstr(seen->str, ==, "\x1b[1mtwo\r\n");
    g_assert_cmpstr(lines->str, ==, "<one><two><three>");
}

static void test_escapes(void)
{
    static const struct {
        const char *text, *lines;
    } cases[] = {
        {"\x1b[1;31mred\x1b[0m\n", "<red>"},
        {"\x1b(Bplain\x1b)0\x1bMx\n", "<plainx>"},
        {"\x1b]0;a title\atext\n", "<text>"},
        {"\x1b]3008;start=1\x1b\\text\n", "<text>"},
        {"\x1bP1$r0m\x1b\\\x1b^x\x1b\\\x1b_y\x1b\\text\n", "<text>"},
        {"\x1b[\x1b[0mtext\n", "<text>"},
        /* broken off: the next line is whole */
        {"a\x1b[\nKernel\n", "<a><Kernel>"},
        {"a\x1b\nKernel\n", "<a><Kernel>"},
        {"a\x1b]0;\nKernel\n", "<a><Kernel>"},
        {"a\x1b]0;\x1b\nKernel\n", "<a><Kernel>"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        /* cut at every byte, as it may come */
        for (gsize cut = 0; cut <= strlen(cases[i].text); cut++) {
            g_autoptr(GString) lines = g_string_new(NULL);
            g_autoptr(SpConsole) console = sp_console_new(NULL, on_line, lines, NULL);

            sp_console_take(console, (const guint8 *)cases[i].text, cut);
            feed(console, cases[i].text + cut);
            g_assert_cmpstr(lines->str, ==, cases[i].lines);
        }
    }
}

static void test_write(void)
{
    g_autoptr(SpConsole) console = sp_console_new(NULL, NULL, NULL, NULL);
    g_autoptr(GError) error = NULL;
    g_autofree char *much = g_strnfill(SP_CONSOLE_INPUT_MAX, 'x');
    g_autoptr(GString) got = g_string_new(NULL);
    int pair[2], small = 4096;

    g_assert_false(sp_console_write(console, (const guint8 *)"root\n", 5, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_MACHINE);
    g_clear_error(&error);
    g_assert_cmpint(
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), ==, 0);
    g_assert_cmpint(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), ==, 0);
    sp_console_attach(console, pair[0]);
    g_assert_true(sp_console_write(console, (const guint8 *)"root\n", 5, &error));
    g_assert_false(sp_console_write(console, (const guint8 *)much, SP_CONSOLE_INPUT_MAX, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_MACHINE);
    g_assert_true(sp_console_write(console, (const guint8 *)much, SP_CONSOLE_INPUT_MAX - 5, NULL));
    while (got->len < SP_CONSOLE_INPUT_MAX) {
        char buffer[4096];
        ssize_t n;

        g_main_context_iteration(NULL, TRUE);
        while ((n = read(pair[1], buffer, sizeof buffer)) > 0)
            g_string_append_len(got, buffer, n);
    }
    g_assert_true(g_str_has_prefix(got->str, "root\nxxx"));
    g_assert_cmpuint(got->len, ==, SP_CONSOLE_INPUT_MAX);
    /* one that hangs up is noticed by the reading side */
    close(pair[1]);
    g_assert_true(sp_console_write(console, (const guint8 *)"x", 1, NULL));
    while (sp_console_write(console, (const guint8 *)"", 0, NULL))
        g_main_context_iteration(NULL, TRUE);
}

static void test_bounds(void)
{
    g_autoptr(SpConsole) console = sp_console_new(NULL, NULL, NULL, NULL);
    g_autofree char *tail = NULL;

    for (guint i = 0; i < SP_CONSOLE_LINES_MAX + 10; i++) {
        g_autofree char *line = g_strdup_printf("line %u\n", i);
        feed(console, line);
    }
    g_assert_cmpuint(sp_console_next_line(console), ==, SP_CONSOLE_LINES_MAX + 10);
    g_assert_false(takes(console, "^line 9$"));
    g_assert_true(takes(console, "^line 10$"));
    for (guint i = 0; i < 2 * SP_CONSOLE_LINE_MAX + 5; i++)
        feed(console, "x");
    g_assert_cmpuint(sp_console_next_line(console), ==, SP_CONSOLE_LINES_MAX + 12);
    tail = sp_console_tail(console, 1);
    g_assert_cmpuint(strlen(tail), ==, SP_CONSOLE_LINE_MAX + 1 + 5 + 1);
}

/* All that a socket held comes out, and a file that can't be written harms nobody. */
static void test_attach(void)
{
    g_autoptr(GString) lines = g_string_new(NULL);
    g_autoptr(SpConsole) console = sp_console_new("/dev/full", on_line, lines, NULL);
    int pair[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
    sp_console_attach(console, pair[0]);
    g_assert_cmpint(write(pair[1], "last words", 10), ==, 10);
    close(pair[1]);
    sp_console_attach(console, -1);
    g_assert_nonnull(strstr(lines->str, "<last words>"));
    g_assert_nonnull(strstr(lines->str, "log ends here: No space left"));
}

/* The file has every byte as it came, escapes and NULs too, behind what was in it. */
static void test_log_file(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *dir = g_dir_make_tmp("slotproof-test-XXXXXX", &error);
    g_autofree char *path = g_build_filename(dir, "console.log", NULL);
    g_autofree char *link = g_build_filename(dir, "link", NULL);
    g_autofree char *found = NULL;
    g_autoptr(GByteArray) all = g_byte_array_new();
    gsize length;

    g_assert_no_error(error);
    for (guint boot = 0; boot < 2; boot++) {
        g_autoptr(SpConsole) console = sp_console_new(path, NULL, NULL, &error);

        g_assert_no_error(error);
        for (guint i = 0; i < 3 * 256; i++) {
            guint8 byte = (guint8)(i + boot);
            g_byte_array_append(all, &byte, 1);
        }
        sp_console_take(console, all->data + boot * 768, 100);
        sp_console_take(console, all->data + boot * 768 + 100, 668);
        /* there at once, for who looks while the machine runs */
        g_clear_pointer(&found, g_free);
        g_assert_true(g_file_get_contents(path, &found, &length, NULL));
        g_assert_cmpmem(found, length, all->data, all->len);
    }
    /* nor is another's file written to */
    g_assert_cmpint(symlink(path, link), ==, 0);
    g_assert_null(sp_console_new(link, NULL, NULL, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_HOST);
    g_assert_nonnull(strstr(error->message, link));
    unlink(link);
    unlink(path);
    g_assert_cmpint(rmdir(dir), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/console/lines", test_lines);
    g_test_add_func("/console/escapes", test_escapes);
    g_test_add_func("/console/write", test_write);
    g_test_add_func("/console/bounds", test_bounds);
    g_test_add_func("/console/tap", test_tap);
    g_test_add_func("/console/attach", test_attach);
    g_test_add_func("/console/log-file", test_log_file);
    g_test_add_func("/console/read", test_read);
    g_test_add_func("/console/read/unfinished", test_read_unfinished);
    g_test_add_func("/console/read/anew", test_read_anew);
    g_test_add_func("/console/read/returned", test_returned);
    g_test_add_func("/console/read/returned-bounds", test_returned_bounds);
    g_test_add_func("/console/read/dropped", test_read_dropped);
    g_test_add_func("/console/text", test_text);
    return g_test_run();
}
