/* SPDX-License-Identifier: MIT */
#include "base/error.h"
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

static void test_fatal(void)
{
    static const char *const fatal[] = {
        "[    3.141592] Kernel panic - not syncing: VFS: Unable to mount root fs",
        "Kernel panic - not syncing: sysrq triggered crash",
        "[   12.000001] BUG: kernel NULL pointer dereference, address: 0000000000000000",
        "[   12.000001] general protection fault, probably for non-canonical address",
        "[   12.000001] Oops: 0002 [#1] PREEMPT SMP",
        "[   12.000001] kernel BUG at fs/inode.c:12!",
        "[   12.000001] general protection fault: 0000 [#1] SMP",
        "general protection fault: 0000 [#1] SMP",
        "[   12.000001] Internal error: Oops: 96000004 [#1] SMP",
        "[   12.000001] Internal error: synchronous external abort: 96000010 [#1] SMP",
        "[   12.000001] Unable to handle kernel NULL pointer dereference at virtual address 0",
        "[    3.141592][    T1] Kernel panic - not syncing: Attempted to kill init!",
        "[    3.141592][    C0] Kernel panic - not syncing: Fatal exception in interrupt",
        /* its beginning stands behind a prompt */
        "[    3.141592] ---[ end Kernel panic - not syncing: sysrq triggered crash ]---",
    };
    static const char *const harmless[] = {
        "[    0.000000] Command line: console=ttyS0 panic=1",
        "[    0.000000] Kernel command line: BUG: unable to handle",
        "Started kernel-panic-collector.service - Kernel panic - not syncing",
        "[   12.000001] traps: x[12] trap invalid opcode ip:1 sp:2 error:0",
        "[   12.000001] audit: type=1400 msg=Kernel panic - not syncing",
        "[  OK  ] Kernel panic - not syncing",
        /* a program's words */
        "Oops: this did not work",
        "Internal error: no such table",
        "general protection fault",
        "[   12.000001] INFO: task mount:200 blocked for more than 120 seconds.",
        "[   12.000001] ---[ end trace 0000000000000000 ]---",
        "[   12.000001] BUG: scheduling while atomic: swapper/0/1/0x00000002",
        "[    3.141592][    T1 Kernel panic - not syncing",
        "[    3.141592][  OK  ] Kernel panic - not syncing",
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
    g_test_add_func("/console/escapes", test_escapes);
    g_test_add_func("/console/write", test_write);
    g_test_add_func("/console/bounds", test_bounds);
    g_test_add_func("/console/tap", test_tap);
    g_test_add_func("/console/attach", test_attach);
    g_test_add_func("/console/log-file", test_log_file);
    g_test_add_func("/console/fatal", test_fatal);
    return g_test_run();
}
