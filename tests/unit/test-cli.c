/* SPDX-License-Identifier: MIT */

/* The command line: exit statuses and messages, without a machine. */

#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/wait.h>

/* Fails at the images, after the test was found. */
#define DEBUG_NOWHERE "debug --tests " SOURCE_ROOT "/tests/e2e --images /nowhere/at/all"

typedef struct {
    const char *arguments;
    int status;
    const char *out;    /* is in what it writes to stdout; NULL: that is empty */
    const char *errors; /* the same for stderr */
} Case;

static void check_stream(const Case *c, const char *text, const char *words)
{
    if (words ? !strstr(text, words) : *text != 0)
        g_error(
            "slotproof %s: expected '%s', got: %s", c->arguments, words ? words : "nothing", text);
}

static void check(gconstpointer data)
{
    const Case *c = data;
    g_autofree char *line = g_strdup_printf("'%s' %s", SLOTPROOF, c->arguments);
    g_autofree char *out = NULL;
    g_autofree char *errors = NULL;
    g_autoptr(GError) error = NULL;
    int status;

    g_assert_true(g_spawn_command_line_sync(line, &out, &errors, &status, &error));
    g_assert_no_error(error);
    g_assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) != c->status)
        g_error("slotproof %s: status %d: %s%s", c->arguments, WEXITSTATUS(status), out, errors);
    check_stream(c, out, c->out);
    check_stream(c, errors, c->errors);
}

/* A list is written to a full disk. */
static void test_full(void)
{
    g_autofree char *line = g_strdup_printf(
        "sh -c \"'%s' list --tests '%s/tests/e2e' >/dev/full\"", SLOTPROOF, SOURCE_ROOT);
    g_autofree char *errors = NULL;
    int status;

    g_assert_true(g_spawn_command_line_sync(line, NULL, &errors, &status, NULL));
    g_assert_true(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, 2);
    g_assert_nonnull(strstr(errors, "No space left"));
}

int main(int argc, char **argv)
{
    static const Case cases[] = {
        {"--help", 0, "usage: slotproof COMMAND", NULL},
        {"--version", 0, "slotproof 0.", NULL},
        {"", 2, NULL, "usage: slotproof COMMAND"},
        {"fly", 2, NULL, "there is no command 'fly'"},
        {"fly", 2, NULL, "slotproof --help"},
        {"--fly", 2, NULL, "there is no option '--fly'"},
        {"-h", 0, "usage: slotproof COMMAND", NULL},
        {"-V", 0, "slotproof 0.", NULL},
        {"help", 0, "usage: slotproof COMMAND", NULL},
        {"help run", 0, "--debug-on-failure", NULL},
        {"help fly", 2, NULL, "there is no command 'fly'"},
        {"help _worker", 2, NULL, "there is no command '_worker'"},
        {"run --vm", 2, NULL, "--vm"},
        {"cache --help", 0, "--lima", NULL},
        {"run --help", 0, "--tests", NULL},
        {"list --help", 0, "--tests", NULL},
        {"image --help", 0, "--check", NULL},
        {"run --nope", 2, NULL, "--nope"},
        {"list --tests " SOURCE_ROOT "/tests/e2e extra", 2, NULL, "no test 'extra'"},
        {"list --tests " SOURCE_ROOT "/tests/e2e --tag nine2", 2, NULL, "did you mean nine"},
        {"run --tests /nowhere/at/all", 2, NULL, "/nowhere/at/all"},
        {"list --tests /nowhere/at/all", 2, NULL, "/nowhere/at/all"},
        {"image --images /nowhere/at/all", 2, NULL, "/nowhere/at/all"},
        {"list --tests " SOURCE_ROOT "/tests/e2e", 0, "rauc-slots", NULL},
        {"run --tests " SOURCE_ROOT "/tests/e2e nope", 2, NULL, "there is no test 'nope'"},
        {"run --tests " SOURCE_ROOT "/tests/e2e --images /nowhere/at/all rauc-slots", 2, NULL,
            "/nowhere/at/all"},
        {"run --debug-on-failure", 2, NULL, "no terminal"},
        {"debug --help", 0, "--keep", NULL},
        {"debug extra", 2, NULL, "extra"},
        {"debug --tests " SOURCE_ROOT "/tests/e2e -t nope", 2, NULL, "there is no test 'nope'"},
        {"debug --tests " SOURCE_ROOT "/tests/driver", 2, NULL, "there is no test in"},
        {DEBUG_NOWHERE, 2, NULL, "/nowhere/at/all"},
        {DEBUG_NOWHERE " -t slots", 2, NULL, "/nowhere/at/all"},
        {DEBUG_NOWHERE " -t update", 2, NULL, "/nowhere/at/all"},
        {DEBUG_NOWHERE " -t rollback", 2, NULL, "/nowhere/at/all"},
        {DEBUG_NOWHERE " -t confirm", 2, NULL, "/nowhere/at/all"},
        {DEBUG_NOWHERE " -t power-loss", 2, NULL, "/nowhere/at/all"},
        {DEBUG_NOWHERE " -t watchdog", 2, NULL, "/nowhere/at/all"},
        {DEBUG_NOWHERE " -t firewall", 2, NULL, "/nowhere/at/all"},
        {DEBUG_NOWHERE " -t net-iso", 2, NULL, "/nowhere/at/all"},
        {DEBUG_NOWHERE " -t ssh-toggle", 2, NULL, "/nowhere/at/all"},
        {DEBUG_NOWHERE " -t machine-api", 2, NULL, "/nowhere/at/all"},
        {"_worker", 2, NULL, "_worker"},
        {"_worker a b c", 2, NULL, "'a' is not an option of a worker"},
        {"_worker --test=/a --images=/b --out=/c", 1, NULL, "it has no descriptor 3"},
        {"run --engine=cloud", 2, NULL, "there is no engine 'cloud': expected one of local"},
    };

    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strdup_printf("/cli/%02zu", i);
        g_test_add_data_func(path, &cases[i], check);
    }
    g_test_add_func("/cli/full", test_full);
    return g_test_run();
}
