/* SPDX-License-Identifier: MIT */

/* What a script asks of QEMU, whose monitor the test is. */

#include "base/error.h"
#include "base/json.h"
#include "machine/machine-disk.h"
#include "machine/machine-monitor.h"
#include "machine/machine-private.h"

#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GREETING "{\"QMP\": {}}\n"
#define WAIT_MS 200

typedef struct {
    SpAccel accel;
    SpMachine machine;
    int fd;
    GSource *source;
    const char *answer; /* to every command */
    guint commands;
} Fixture;

static void answer_command(Fixture *f, const char *line)
{
    json_auto_t *command = sp_json_parse(line, strlen(line));
    g_autofree char *text = g_strdup_printf(
        "{%s, \"id\": %" G_GINT64_FORMAT "}\n", f->answer, sp_json_int(command, "id", -1));

    f->commands++;
    g_assert_cmpint(write(f->fd, text, strlen(text)), ==, strlen(text));
}

static gboolean on_commands(int fd, GIOCondition condition, void *data)
{
    Fixture *f = data;
    char buffer[4096];
    ssize_t n = read(fd, buffer, sizeof buffer - 1);
    g_auto(GStrv) lines = NULL;

    g_assert_cmpint(n, >, 0);
    buffer[n] = 0;
    lines = g_strsplit(buffer, "\n", -1);
    for (char **line = lines; *line && **line; line++)
        answer_command(f, *line);
    return G_SOURCE_CONTINUE;
}

static void set_up(Fixture *f, gconstpointer data)
{
    const char *const argv[] = {"sleep", "100", NULL};
    g_autoptr(GError) error = NULL;
    int pair[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
    f->fd = pair[1];
    f->source = g_unix_fd_source_new(f->fd, G_IO_IN);
    g_source_set_callback(f->source, G_SOURCE_FUNC(on_commands), f, NULL);
    g_source_attach(f->source, NULL);
    f->answer = "\"return\": {}";
    f->accel.time_factor = 1;
    f->machine.config.name = "m";
    f->machine.config.accel = &f->accel;
    f->machine.console = sp_console_new(NULL, NULL, NULL, NULL);
    f->machine.qmp = sp_qmp_new(pair[0], NULL, NULL);
    f->machine.qemu = sp_process_start(argv, NULL, 0, &error);
    g_assert_no_error(error);
    g_assert_cmpint(write(f->fd, GREETING, strlen(GREETING)), ==, strlen(GREETING));
    g_assert_true(sp_machine_command(&f->machine, &error, "query-status", NULL));
    g_assert_no_error(error);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    sp_process_free(f->machine.qemu);
    sp_qmp_free(f->machine.qmp);
    sp_console_free(f->machine.console);
    g_source_destroy(f->source);
    g_source_unref(f->source);
    close(f->fd);
}

static void test_refusal(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    char *answer = NULL;

    f->answer = "\"error\": {\"class\": \"GenericError\", \"desc\": \"not so\"}";
    g_assert_false(sp_machine_qmp(&f->machine, "device_del", "{\"id\": \"x\"}", &answer, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_GUEST);
    g_assert_cmpstr(error->message, ==, "machine 'm': QEMU refused 'device_del': not so");
}

/* A guest that writes nothing is not kept busy by queries. */
static void test_idle_disk(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    f->answer = "\"return\": [{\"stats\": {\"wr_bytes\": 4096}}]";
    f->commands = 0;
    g_assert_false(sp_machine_wait_for_disk_written(&f->machine, 8192, WAIT_MS, &error));
    g_assert_error(error, SP_ERROR, SP_ERROR_TIMEOUT);
    g_assert_nonnull(strstr(error->message, "only 4096 bytes"));
    g_assert_cmpuint(f->commands, >, 1);
    g_assert_cmpuint(f->commands, <=, WAIT_MS + 1);
    g_clear_error(&error);
    g_assert_true(sp_machine_wait_for_disk_written(&f->machine, 4096, WAIT_MS, &error));
    g_assert_no_error(error);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/machine-monitor/refusal", Fixture, NULL, set_up, test_refusal, tear_down);
    g_test_add("/machine-monitor/idle-disk", Fixture, NULL, set_up, test_idle_disk, tear_down);
    return g_test_run();
}
