/* SPDX-License-Identifier: MIT */

/* The agent's waiting shell: what it runs behaves as if a new shell ran it. */

#include "agent-peer.h"

#include <signal.h>
#include <string.h>

/* A command that sets a variable of its own is run by a new shell. */
static const char *const own_env[] = {"SLOTPROOF_TEST=1", NULL};

static void peer_up(Peer *peer, gconstpointer data)
{
    peer_start(peer, NULL, NULL);
    peer_hello(peer, 1);
}

static void peer_down(Peer *peer, gconstpointer data)
{
    peer_stop(peer);
}

static PeerResult *run(Peer *peer, const char *script, bool is_new)
{
    const char *const argv[] = {"/bin/bash", "-euo", "pipefail", "-c", script, NULL};
    guint32 channel = peer_exec(peer, 0, argv, is_new ? own_env : NULL);

    peer_end(peer, channel);
    return peer_wait(peer, channel);
}

/* Returns the PID of the waiting shell, found by a new one. */
static pid_t find_shell(Peer *peer)
{
    PeerResult *result = run(peer, "pgrep -x -P $PPID bash | grep -vx $$", true);

    peer_assert_exit(result, 0);
    return (pid_t)g_ascii_strtoll(result->output->str, NULL, 10);
}

/* It is started before any command, and runs the first one. */
static void test_early(Peer *peer, gconstpointer data)
{
    pid_t pid = find_shell(peer);
    g_autofree char *script = g_strdup_printf("kill -0 %d && echo $PPID", pid);

    g_assert_cmpint(pid, >, 0);
    peer_assert_exit(run(peer, script, false), 0);
    g_assert_cmpint(find_shell(peer), ==, pid);
    /* the next driver finds it */
    peer_hello(peer, 2);
    g_assert_cmpint(find_shell(peer), ==, pid);
}

/* Killed before its first command, it is started again. */
static void test_killed_early(Peer *peer, gconstpointer data)
{
    pid_t pid = find_shell(peer);

    g_assert_cmpint(kill(pid, SIGKILL), ==, 0);
    g_assert_cmpstr(run(peer, "echo once", false)->output->str, ==, "once\n");
    peer_hello(peer, 2);
    g_assert_cmpint(find_shell(peer), !=, pid);
}

/* Each is run by a new shell, then by the waiting one. */
static void test_alike(Peer *peer, gconstpointer data)
{
    static const char *const scripts[] = {
        "echo out; echo err >&2; exit 7",
        "echo \"$0 $# $- $LINENO $BASH_SUBSHELL $SECONDS\"; shopt; set -o",
        "[ $$ = $BASHPID ]; cut -d' ' -f4,5,6 /proc/$$/stat | tr ' ' '\\n' | sed \"s/^$$\\$/own/\"",
        "echo $PPID",
        "echo \"$_ $HOSTNAME\"; type slotproof_shell",
        "echo \"$BASH_EXECUTION_STRING\"; enable; compgen -b",
        /* the last program of a line replaces the shell */
        "cut -d' ' -f4 /proc/self/stat",
        "grep -E '^(Sig[^Q]|Shd|Groups|Uid)' /proc/self/status; ls /proc/self/fd; pwd; umask",
        "env -u SLOTPROOF_TEST | grep -v ^_= | sort; ulimit -a",
        "false; echo not seen",
        "echo \"$not_set\"; echo not seen",
        "true\nfalse | true\necho not seen",
        "true\nno-such-program",
        "true\nif",
        "echo 'not ended",
        "kill -USR1 $$",
        "kill -KILL $$",
        "trap 'echo bye' EXIT; exit 3",
        "trap 'echo term; exit 4' TERM; kill -TERM $$; sleep 5",
        "exec sh -c 'echo $0 $1' x y",
        "sleep 0 & wait; jobs; echo $!x | tr -d 0-9",
        "cat; read -r line || echo none",
        "f() { return 5; }; f || echo $?; (exit 6) || echo $?; x=$(echo sub); echo $x "
        "${PIPESTATUS[*]}",
        "cat <<'END' | tr a-z A-Z\nhere\nEND",
        "return 0",
        "exit",
        " ",
        "#",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(scripts); i++) {
        PeerResult *new = run(peer, scripts[i], true), *ready = run(peer, scripts[i], false);

        g_test_message("%s", scripts[i]);
        g_assert_cmpstr(ready->output->str, ==, new->output->str);
        g_assert_cmpstr(ready->errors->str, ==, new->errors->str);
        g_assert_cmpuint(ready->how, ==, new->how);
        g_assert_cmpuint(ready->status, ==, new->status);
    }
    g_assert_cmpint(find_shell(peer), >, 0);
}

/* A command leaves nothing behind for the next one. */
static void test_apart(Peer *peer, gconstpointer data)
{
    g_autofree char *random = NULL;

    peer_assert_exit(run(peer, "cd /tmp; VAR=1; f() { :; }; umask 0; exec 9</dev/null", false), 0);
    peer_assert_exit(run(peer,
                         "[ $PWD = / ]; [ -z \"${VAR-}\" ]; ! type f; [ $(umask) = 0022 ]; "
                         "[ ! -e /proc/$$/fd/9 ]",
                         false),
        0);
    random = g_strdup(run(peer, "echo $RANDOM $RANDOM $RANDOM", false)->output->str);
    g_assert_cmpstr(run(peer, "echo $RANDOM $RANDOM $RANDOM", false)->output->str, !=, random);
}

/* Whatever happens to the waiting shell, each command is run once. */
static void test_killed(Peer *peer, gconstpointer data)
{
    static const int signals[] = {SIGKILL, SIGSTOP, SIGTERM};
    pid_t former = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(signals); i++) {
        pid_t pid;

        peer_assert_exit(run(peer, "true", false), 0);
        pid = find_shell(peer);
        g_assert_cmpint(pid, !=, former);
        g_assert_cmpint(kill(pid, signals[i]), ==, 0);
        g_assert_cmpstr(run(peer, "echo once", false)->output->str, ==, "once\n");
        former = pid;
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*test)(Peer *peer, gconstpointer data);
    } tests[] = {
        {"/agent-shell/early", test_early},
        {"/agent-shell/killed-early", test_killed_early},
        {"/agent-shell/alike", test_alike},
        {"/agent-shell/apart", test_apart},
        {"/agent-shell/killed", test_killed},
    };

    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, Peer, NULL, peer_up, tests[i].test, peer_down);
    return g_test_run();
}
