/* SPDX-License-Identifier: MIT */
#include "machine/console.h"

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

static bool matches(SpConsole *console, const char *pattern, guint64 from)
{
    g_autoptr(GRegex) regex = g_regex_new(pattern, 0, 0, NULL);

    return sp_console_match(console, regex, from);
}

static void test_lines(void)
{
    g_autoptr(GString) lines = g_string_new(NULL);
    g_autoptr(SpConsole) console = sp_console_new(NULL, on_line, lines, NULL);
    g_autofree char *tail = NULL;

    feed(console, "one\r\ntw");
    g_assert_cmpstr(lines->str, ==, "<one>");
    g_assert_true(matches(console, "^tw$", 0));
    feed(console, "o\n\x1b[0;3");
    feed(console, "2m  OK  \x1b[0m\xff\n");
    g_assert_cmpstr(lines->str, ==, "<one><two><  OK  \xef\xbf\xbd>");
    g_assert_cmpuint(sp_console_next_line(console), ==, 3);
    g_assert_true(matches(console, "two", 1));
    g_assert_false(matches(console, "two", 2));
    feed(console, "login: ");
    tail = sp_console_tail(console, 2);
    g_assert_cmpstr(tail, ==, "two\n  OK  \xef\xbf\xbd\nlogin: \n");
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
    g_assert_false(matches(console, "^line 9$", 0));
    g_assert_true(matches(console, "^line 10$", 0));
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

static void test_fatal(void)
{
    static const char *const fatal[] = {
        "[    3.141592] Kernel panic - not syncing: VFS: Unable to mount root fs",
        "Kernel panic - not syncing: sysrq triggered crash",
        "[   12.000001] BUG: kernel NULL pointer dereference, address: 0000000000000000",
        "[   12.000001] general protection fault, probably for non-canonical address",
        "[   12.000001] Oops: 0002 [#1] PREEMPT SMP",
        "[   12.000001] kernel BUG at fs/inode.c:12!",
    };
    static const char *const harmless[] = {
        "[    0.000000] Command line: console=ttyS0 panic=1",
        "[    0.000000] Kernel command line: BUG: unable to handle",
        "Started kernel-panic-collector.service - Kernel panic - not syncing",
        "[   12.000001] traps: x[12] trap invalid opcode ip:1 sp:2 error:0",
        "[   12.000001] audit: type=1400 msg=Kernel panic - not syncing",
        "[  OK  ] Kernel panic - not syncing",
        "[   12.000001] watchdog: BUG: soft lockup - CPU#0 stuck for 22s!",
        "",
        "[",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(fatal); i++)
        g_assert_true(sp_console_line_is_fatal(fatal[i]));
    for (gsize i = 0; i < G_N_ELEMENTS(harmless); i++)
        g_assert_false(sp_console_line_is_fatal(harmless[i]));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/console/lines", test_lines);
    g_test_add_func("/console/bounds", test_bounds);
    g_test_add_func("/console/attach", test_attach);
    g_test_add_func("/console/fatal", test_fatal);
    return g_test_run();
}
