/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/json.h"
#include "base/log.h"

#include <fcntl.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    char *dir;
    int stream[2]; /* what goes to the user comes out of the first */
    SpLog *log;
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    SpLogConfig config = {.with_consoles = false};

    f->dir = g_dir_make_tmp("slotproof-test-XXXXXX", &error);
    g_assert_no_error(error);
    g_assert_true(g_unix_open_pipe(f->stream, FD_CLOEXEC, NULL));
    g_unix_set_fd_nonblocking(f->stream[0], TRUE, NULL);
    config.dir = f->dir;
    config.stream_fd = f->stream[1];
    f->log = sp_log_new(&config, &error);
    g_assert_no_error(error);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    const char *const names[] = {"log.txt", "events.jsonl"};

    sp_log_free(f->log);
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = g_build_filename(f->dir, names[i], NULL);
        unlink(path);
    }
    g_assert_cmpint(rmdir(f->dir), ==, 0);
    g_free(f->dir);
    close(f->stream[0]);
    close(f->stream[1]);
}

static char *contents(Fixture *f, const char *name)
{
    g_autofree char *path = g_build_filename(f->dir, name, NULL);
    char *text = NULL;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return text;
}

static char *streamed(Fixture *f)
{
    char buffer[4096];
    ssize_t n = read(f->stream[0], buffer, sizeof buffer);

    return g_strndup(buffer, n > 0 ? (gsize)n : 0);
}

/* The time in front is the only thing that is not the same each time. */
static char *without_times(const char *text)
{
    g_autoptr(GRegex) lead = g_regex_new("^ *\\d+\\.\\d\\d  ", G_REGEX_MULTILINE, 0, NULL);
    g_autoptr(GRegex) taken = g_regex_new(", \\d+\\.\\d\\d s\\)", 0, 0, NULL);
    g_autofree char *half = g_regex_replace_literal(lead, text, -1, 0, "", 0, NULL);

    return g_regex_replace_literal(taken, half, -1, 0, ", T)", 0, NULL);
}

static void test_steps(Fixture *f, gconstpointer data)
{
    g_autofree char *text = NULL;
    g_autofree char *file = NULL;
    g_autofree char *stream = NULL;

    sp_log_begin(f->log, "gateway", "command", "run %s", "ls");
    g_assert_cmpuint(sp_log_depth(f->log), ==, 1);
    sp_log_begin(f->log, NULL, "wait", "inner");
    sp_log(f->log, "gateway", "first\n\nsecond\n");
    sp_log_end(f->log, "no luck");
    sp_log_console(f->log, "gateway", "login:");
    sp_log_end(f->log, NULL);
    g_assert_cmpuint(sp_log_depth(f->log), ==, 0);
    sp_log_end(f->log, NULL); /* one too many is nothing */
    file = contents(f, "log.txt");
    text = without_times(file);
    g_assert_cmpstr(text, ==,
        "gateway: run ls\n"
        "  inner\n"
        "    gateway: first\n"
        "    gateway: \n"
        "    gateway: second\n"
        "  (failed: inner, T)\n"
        "  gateway: # login:\n"
        "gateway: (finished: run ls, T)\n");
    stream = streamed(f);
    g_assert_nonnull(strstr(stream, "gateway: second\n"));
    g_assert_null(strstr(stream, "login:")); /* consoles were not asked for */
}

static json_t *parse_event(char **lines, guint i)
{
    json_t *event = sp_json_parse_flat(lines[i], strlen(lines[i]));

    g_assert_nonnull(event);
    return event;
}

static void test_events(Fixture *f, gconstpointer data)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    json_auto_t *begin = NULL, *console = NULL, *end = NULL;

    sp_log_begin(f->log, "gateway", "boot", "start");
    sp_log_console(f->log, "gateway", "a\"\x1b[31m\xff\xe2\x82");
    sp_log_end(f->log, "why\nnot");
    text = contents(f, "events.jsonl");
    lines = g_strsplit(text, "\n", -1);
    g_assert_cmpuint(g_strv_length(lines), ==, 4);
    g_assert_cmpstr(lines[3], ==, "");
    begin = parse_event(lines, 0);
    g_assert_cmpstr(sp_json_text(begin, "event"), ==, "begin");
    g_assert_cmpstr(sp_json_text(begin, "kind"), ==, "boot");
    g_assert_cmpstr(sp_json_text(begin, "machine"), ==, "gateway");
    console = parse_event(lines, 1);
    g_assert_cmpstr(sp_json_text(console, "event"), ==, "console");
    /* as it came, but for what is no UTF-8 */
    g_assert_true(g_str_has_prefix(sp_json_text(console, "text"), "a\"\x1b[31m\xef\xbf\xbd"));
    end = parse_event(lines, 2);
    g_assert_cmpstr(sp_json_text(end, "text"), ==, "why\nnot");
    g_assert_nonnull(json_object_get(end, "seconds"));
}

/* What a command came to stands at its end, and what happens to a machine is marked. */
static void test_results(Fixture *f, gconstpointer data)
{
    g_autoptr(GString) output = g_string_new("out\xff");
    g_autoptr(GString) errors = g_string_new(NULL);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    json_auto_t *end = NULL, *mark = NULL, *own = NULL;

    sp_log_result(f->log, 1, output, errors); /* of no step */
    sp_log_begin(f->log, "gateway", "command", "ls");
    sp_log_result(f->log, 7, output, errors);
    sp_log_result(f->log, 8, output, errors);
    sp_log_end(f->log, NULL);
    sp_log_mark(f->log, "gateway", "reset", "QEMU: %s", "RESET");
    sp_log_event(f->log, "own", json_pack("{s:s}", "mine", "yes"));
    text = contents(f, "events.jsonl");
    lines = g_strsplit(text, "\n", -1);
    g_assert_cmpuint(g_strv_length(lines), ==, 5);
    end = parse_event(lines, 1);
    g_assert_cmpint(sp_json_int(end, "status", -1), ==, 8);
    g_assert_cmpstr(sp_json_text(end, "output"), ==, "out\xef\xbf\xbd");
    g_assert_null(json_object_get(end, "errors"));
    mark = parse_event(lines, 2);
    g_assert_cmpstr(sp_json_text(mark, "event"), ==, "mark");
    g_assert_cmpstr(sp_json_text(mark, "kind"), ==, "reset");
    own = parse_event(lines, 3);
    g_assert_cmpstr(sp_json_text(own, "event"), ==, "own");
    g_assert_cmpstr(sp_json_text(own, "mine"), ==, "yes");
    g_assert_nonnull(json_object_get(own, "time"));
}

/* Console lines stop where they have filled their part; the steps after them are still told. */
static void test_limits(Fixture *f, gconstpointer data)
{
    g_autofree char *line = g_strnfill(4000, 'x');
    g_autofree char *text = NULL;
    g_autofree char *events = NULL;

    for (guint i = 0; i < 2 * SP_LOG_FILE_MAX / 4 / 4000; i++)
        sp_log_console(f->log, "gateway", line);
    sp_log(f->log, NULL, "and on");
    text = contents(f, "log.txt");
    g_assert_cmpuint(strlen(text), <, SP_LOG_FILE_MAX / 3);
    g_assert_nonnull(
        strstr(text, "\n[further console lines are only in the consoles' own files]\n"));
    g_assert_true(g_str_has_suffix(text, "and on\n"));
    events = contents(f, "events.jsonl");
    g_assert_cmpuint(strlen(events), <, SP_LOG_FILE_MAX / 3);
    g_assert_nonnull(strstr(events, "\n{\"event\":\"full\"}\n{"));
    g_assert_nonnull(strstr(events, "and on"));
}

static void on_step(const char *machine, const char *text, void *data)
{
    g_string_append_printf(data, "%s %s;", machine ? machine : "-", text ? text : "-");
}

static void test_step_func(void)
{
    g_autoptr(GString) told = g_string_new(NULL);
    const SpLogConfig config = {.stream_fd = -1, .step_func = on_step, .step_data = told};
    g_autoptr(SpLog) log = sp_log_new(&config, NULL);

    sp_log_begin(log, "m", "wait", "one");
    sp_log_begin(log, NULL, "wait", "two");
    sp_log(log, NULL, "no step");
    sp_log_end(log, NULL);
    sp_log_end(log, NULL);
    g_assert_cmpstr(told->str, ==, "m one;- two;m one;- -;");
}

/* What a guest prints must not steer the terminal, in one byte or in two (ECMA-48's C1). */
static void test_controls(Fixture *f, gconstpointer data)
{
    g_autofree char *stream = NULL;

    sp_log(f->log, NULL,
        "tab\there \x1b[2J\a\x7f \xc2\x9b"
        "31m caf\xc3\xa9 \xff");
    stream = streamed(f);
    g_assert_nonnull(
        strstr(stream, "tab\there \\x1b[2J\\x07\\x7f \\x9b31m caf\xc3\xa9 \xef\xbf\xbd\n"));
}

/* A full disk costs the files, is told once, and the lines still reach the user. */
static void test_full_disk(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *dir = g_dir_make_tmp("slotproof-test-XXXXXX", &error);
    Fixture f = {.dir = dir};
    SpLogConfig config = {.dir = dir};
    int full[2], files[2];
    g_autofree char *stream = NULL;
    const char *warning;

    g_assert_no_error(error);
    g_assert_true(g_unix_open_pipe(f.stream, FD_CLOEXEC, NULL));
    config.stream_fd = f.stream[1];
    full[0] = open("/dev/full", O_WRONLY | O_CLOEXEC);
    g_assert_cmpint(full[0], >=, 0);
    /* the next two numbers are those of the log's files */
    files[0] = dup(full[0]);
    files[1] = dup(full[0]);
    close(files[0]);
    close(files[1]);
    f.log = sp_log_new(&config, &error);
    g_assert_no_error(error);
    g_assert_cmpint(dup3(full[0], files[0], O_CLOEXEC), ==, files[0]);
    g_assert_cmpint(dup3(full[0], files[1], O_CLOEXEC), ==, files[1]);
    sp_log(f.log, NULL, "one");
    sp_log(f.log, NULL, "two");
    stream = streamed(&f);
    warning = strstr(stream, "warning: ");
    g_assert_nonnull(warning);
    g_assert_null(strstr(warning + 1, "warning: "));
    g_assert_nonnull(strstr(stream, "No space left"));
    g_assert_nonnull(strstr(stream, "two\n"));
    close(full[0]);
    tear_down(&f, NULL);
    g_steal_pointer(&dir);
}

static void test_nowhere(void)
{
    g_autoptr(GError) error = NULL;
    SpLogConfig config = {.dir = "/nowhere/at-all", .stream_fd = -1};
    g_autoptr(SpLog) log = NULL;

    g_assert_null(sp_log_new(&config, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_HOST);
    g_assert_nonnull(strstr(error->message, "/nowhere/at-all"));
    g_clear_error(&error);
    config.dir = NULL;
    log = sp_log_new(&config, &error);
    g_assert_no_error(error);
    sp_log(log, "m", "nobody hears");
    sp_log_begin(log, NULL, "wait", "nobody sees");
    g_assert_cmpuint(sp_log_depth(log), ==, 1);
    sp_log(NULL, "m", "nor this");
    sp_log_begin(NULL, NULL, "wait", "nor this");
    sp_log_console(NULL, "m", "nor this");
    sp_log_end(NULL, NULL);
    g_assert_cmpuint(sp_log_depth(NULL), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/log/steps", Fixture, NULL, set_up, test_steps, tear_down);
    g_test_add("/log/events", Fixture, NULL, set_up, test_events, tear_down);
    g_test_add("/log/controls", Fixture, NULL, set_up, test_controls, tear_down);
    g_test_add("/log/results", Fixture, NULL, set_up, test_results, tear_down);
    g_test_add("/log/limits", Fixture, NULL, set_up, test_limits, tear_down);
    g_test_add_func("/log/step-func", test_step_func);
    g_test_add_func("/log/full-disk", test_full_disk);
    g_test_add_func("/log/nowhere", test_nowhere);
    return g_test_run();
}
