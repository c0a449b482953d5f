/* SPDX-License-Identifier: MIT */

/* Scripts in the words of nixpkgs' own: what they call there is there, and means the same. */

#include "base/error.h"
#include "script-fixture.h"

#include <glib/gstdio.h>
#include <string.h>

static void test_durations(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f,
        "import datetime as dt\n"
        "machine.succeed('exit 0', timeout=dt.timedelta(minutes=2))\n"
        "machine.execute('exit 1', timeout=dt.timedelta(milliseconds=1500))\n"
        "machine.wait_for_unit('a.service', timeout=dt.timedelta(seconds=3))\n"
        "machine.wait_for_open_port(22, 'localhost', dt.timedelta(seconds=4))\n"
        "machine.wait_for_file('/f', dt.timedelta(seconds=5))\n"
        "machine.sleep(dt.timedelta(seconds=2))\n"
        "machine.sleep(duration=0.5)\n"
        "machine.sleep(secs=1)\n"
        "machine.sleep(3)\n"
        "machine.set_link(1, delay=dt.timedelta(milliseconds=20))\n"
        "machine.send_chars('x', dt.timedelta(milliseconds=30))\n"
        "retry(lambda last: True, timeout=dt.timedelta(seconds=9))\n"
        "retry(lambda last: True, timeout_seconds=9)\n"
        "retry(lambda last: True, 9)\n"
        "with t.assertRaisesRegex(AssertionError, 'not true in 0 s'):\n"
        "    retry(lambda last: False, timeout=dt.timedelta(0))\n"
        "@polling_condition(interval=dt.timedelta(seconds=1), description='it is up')\n"
        "def is_up():\n    return True\n"
        "is_up.wait(timeout=dt.timedelta(seconds=7))\n"
        "with is_up:\n    machine.succeed('exit 0')\n");
    script_expect_commands(f,
        "120000 exit 0\n1500 exit 1\nwait_for_unit a.service 3000\n"
        "wait_for_port localhost 22 1 4000\nwait_for_file /f 5000\n"
        "-2 sleep 2.000000\n-2 sleep 0.500000\n-2 sleep 1.000000\n-2 sleep 3.000000\n"
        "set_cable 1 0.000 20\nsend_chars x 30\n-2 exit 0");
}

static void test_bad_durations(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f,
        "import datetime as dt\n"
        "calls = [lambda d: machine.succeed('exit 0', timeout=d), lambda d: machine.sleep(d),\n"
        "    lambda d: machine.set_link(1, delay=d), lambda d: machine.send_key('a', d),\n"
        "    lambda d: retry(lambda last: True, timeout=d),\n"
        "    lambda d: polling_condition(interval=d),\n"
        "    lambda d: polling_condition(seconds_interval=d)]\n"
        "for call in calls:\n"
        "    for bad in [-1, float('nan'), float('inf'), 10**400, dt.timedelta(seconds=-1),\n"
        "            dt.timedelta.max]:\n"
        "        with t.assertRaisesRegex(ValueError, '[a-z_]+ is .*: expected seconds from 0'):\n"
        "            call(bad)\n"
        "    for bad in ['5', True, [], dt.timedelta]:\n"
        "        with t.assertRaisesRegex(TypeError, 'number or a datetime.timedelta'):\n"
        "            call(bad)\n"
        "for call in [lambda: machine.sleep(), lambda: machine.sleep(1, secs=1),\n"
        "        lambda: retry(len, 1, timeout_seconds=1),\n"
        "        lambda: polling_condition(interval=1, seconds_interval=1)]:\n"
        "    with t.assertRaises(TypeError):\n        call()\n");
    script_expect_commands(f, "");
}

/* A try that blocks is given up and made anew, as long as the whole may take. */
static void test_attempt_timeout(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f,
        "import datetime as dt\n"
        "with t.assertRaises(Exception):\n"
        "    machine.wait_until_succeeds('hang', timeout=dt.timedelta(seconds=1),\n"
        "        attempt_timeout=dt.timedelta(milliseconds=50))\n"
        "machine.wait_until_fails('hang', timeout=None, attempt_timeout=0.05)\n"
        "machine.wait_until_succeeds('third', attempt_timeout=7)\n");
    char **commands = fake_machine_commands(f->machines[0]);

    g_assert_cmpstr(commands[0], ==, "50 hang");
    g_assert_cmpstr(commands[1], ==, "50 hang");
    g_assert_cmpstr(commands[g_strv_length(commands) - 4], ==, "50 hang");
    g_assert_cmpstr(commands[g_strv_length(commands) - 1], ==, "7000 third");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*test)(ScriptFixture *f, gconstpointer data);
    } tests[] = {
        {"/script-nixos/durations", test_durations},
        {"/script-nixos/bad-durations", test_bad_durations},
        {"/script-nixos/attempt-timeout", test_attempt_timeout},
    };

    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, ScriptFixture, NULL, script_fixture_set_up, tests[i].test,
            script_fixture_tear_down);
    return g_test_run();
}
