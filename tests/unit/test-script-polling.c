/* SPDX-License-Identifier: MIT */

/* Conditions that must hold all along. */

#include "script-fixture.h"

#include <string.h>

static void test_wait(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f,
        "import slotproof\n"
        "calls = 0\n"
        "@polling_condition\n"
        "def third():\n    global calls\n    calls += 1\n    assert calls >= 3\n"
        "third.wait()\nt.assertEqual(3, calls)\n"
        "third.wait(timeout=1)\nt.assertEqual(4, calls)\n"
        "@polling_condition(description='it is so', seconds_interval=0)\n"
        "def never():\n    return False\n"
        "with t.assertRaisesRegex(slotproof.RequestedAssertionFailed, \"'it is so'.*in time\"):\n"
        "    never.wait(0)\n"
        "assert not never.check() and not never.check(force=True)\n"
        "with t.assertRaises(ValueError):\n    never.wait(-1)\n"
        "for bad in [-1, float('nan'), 1e9]:\n"
        "    with t.assertRaises(ValueError):\n"
        "        polling_condition(never.check, seconds_interval=bad)\n"
        "with t.assertRaises(TypeError):\n    polling_condition(3)\n");
}

/* As often as its interval says, before commands. */
static void test_commands(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f,
        "calls = 0\n"
        "def count():\n    global calls\n    calls += 1\n"
        "always, hourly = polling_condition(count, 0.0), polling_condition(count, 3600)\n"
        "machine.succeed('echo')\nt.assertEqual(0, calls)\n"
        "with always:\n    machine.succeed('echo', 'echo')\n"
        "t.assertEqual(2, calls)\n"
        "machine.succeed('echo')\nt.assertEqual(2, calls)\n"
        "with hourly:\n    machine.succeed('echo', 'echo')\n"
        "t.assertEqual(3, calls)\nassert hourly.check()\nt.assertEqual(3, calls)\n"
        "assert hourly.check(force=True)\nt.assertEqual(4, calls)\n"
        "with always, always:\n    machine.succeed('echo')\n"
        "t.assertEqual(6, calls)\n");
}

static void test_broken(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f,
        "import slotproof\n"
        "holds = True\n"
        "@polling_condition(seconds_interval=0)\n"
        "def holding():\n"
        "    'the tap is open'\n"
        "    machine.succeed('echo asked')\n"
        "    return holds\n"
        "with holding:\n"
        "    machine.succeed('echo one')\n"
        "    holds = False\n"
        "    for call in [lambda: machine.succeed('echo two'),\n"
        "                 lambda: machine.wait_for_unit('two'),\n"
        "                 lambda: machine.wait_for_file('two')]:\n"
        "        with t.assertRaisesRegex(slotproof.RequestedAssertionFailed, 'the tap is open'):\n"
        "            call()\n"
        "    machine.crash()\n"
        "machine.succeed('echo three')\n");
    script_expect_commands(f,
        "-2 echo asked\n-2 echo one\n-2 echo asked\n-2 echo asked\n-2 echo asked\ncrash\n"
        "-2 echo three");
}

/* Why is in the failure, with the line, and the exception is its cause. */
static void test_reason(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f,
        "import slotproof\n"
        "def divide():\n    return 1 / 0\n"
        "@polling_condition(seconds_interval=0)\n"
        "def cond():\n    return divide()\n"
        "def expect(call, pattern, cause):\n"
        "    with t.assertRaisesRegex(slotproof.RequestedAssertionFailed, pattern) as caught:\n"
        "        call()\n"
        "    t.assertIsInstance(caught.exception.__cause__, cause)\n"
        "with cond:\n"
        "    expect(lambda: machine.succeed('echo'),\n"
        "           r\"'cond' no longer holds: ZeroDivisionError: division by zero \"\n"
        "           r'\\(script.py, line 3\\)$', ZeroDivisionError)\n"
        "expect(lambda: cond.wait(0), r\"'cond' did not .* in time: ZeroDiv.*line 3\", "
        "ZeroDivisionError)\n"
        "@polling_condition(seconds_interval=0)\n"
        "def empty():\n    assert False\n"
        "with empty:\n"
        "    expect(lambda: machine.succeed('echo'), r'no longer holds: AssertionError "
        "\\(script.py, "
        "line 18\\)$', AssertionError)\n"
        "class Odd(Exception):\n    def __str__(self): raise ValueError\n"
        "@polling_condition(seconds_interval=0)\n"
        "def odd():\n    raise Odd\n"
        "expect(lambda: odd.wait(0), r'in time: Odd \\(script', Odd)\n"
        "@polling_condition(seconds_interval=0)\n"
        "def false():\n    return False\n"
        "expect(lambda: false.wait(0), 'in time$', type(None))\n");
}

/* One that breaks during a wait ends it, and nested ones are not asked by each other. */
static void test_during_wait(ScriptFixture *f, gconstpointer data)
{
    static const char text[] = "import time\n"
                               "begin = time.monotonic()\n"
                               "@polling_condition(seconds_interval=0.2)\n"
                               "def soon_over():\n"
                               "    machine.wait_for_unit('fine')\n"
                               "    return time.monotonic() - begin < 0.5\n"
                               "with polling_condition(soon_over.check, 0.1), soon_over:\n"
                               "    machine.wait_for_file('slow')\n";

    SCRIPT_EXPECT_FAILED(f, text, "script.py:8\n", "RequestedAssertionFailed", "no longer holds");
    g_assert_null(strstr(f->report, "Interrupted"));
}

/* An exception that is to end the script is not taken for an answer. */
static void test_exit(ScriptFixture *f, gconstpointer data)
{
    SCRIPT_EXPECT_FAILED(
        f, "@polling_condition\ndef stop():\n    raise SystemExit(3)\nstop.wait()\n", "SystemExit");
    script_expect_passed(f, "@polling_condition\ndef stop():\n    raise SystemExit(0)\n"
                            "with stop:\n    machine.succeed('echo')\n");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*test)(ScriptFixture *f, gconstpointer data);
    } tests[] = {
        {"/script-polling/wait", test_wait},
        {"/script-polling/commands", test_commands},
        {"/script-polling/broken", test_broken},
        {"/script-polling/reason", test_reason},
        {"/script-polling/during-wait", test_during_wait},
        {"/script-polling/exit", test_exit},
    };

    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, ScriptFixture, NULL, script_fixture_set_up, tests[i].test,
            script_fixture_tear_down);
    return g_test_run();
}
