/* SPDX-License-Identifier: MIT */
#include "script-fixture.h"

static void test_screenshot(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f,
        "machine.screenshot('boot')\nmachine.screenshot(filename='a.png')\n"
        "machine.screenshot('/tmp/x.y/b')\nmachine.screenshot('c/d')\n"
        "for name in ['', 'a/']:\n"
        "    with t.assertRaisesRegex(ValueError, 'not a name'):\n        "
        "machine.screenshot(name)\n"
        "with t.assertRaisesRegex(ValueError, 'too old'):\n    machine.screenshot('old')\n");
    script_expect_commands(f, "screenshot /nowhere/boot.png\nscreenshot /nowhere/a.png\n"
                              "screenshot /tmp/x.y/b.png\nscreenshot c/d.png\n"
                              "screenshot /nowhere/old.png");
}

static void test_text(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f,
        "import slotproof\n"
        "t.assertEqual('l0gin:', machine.get_screen_text())\n"
        "t.assertEqual(['l0gin:', 'login:', ''], machine.get_screen_text_variants())\n"
        "machine.wait_for_text('log')\nmachine.wait_for_text('b', timeout=2)\n"
        "machine.wait_for_text('b', None)\n"
        "with t.assertRaisesRegex(slotproof.RequestedAssertionFailed, 'no such text'):\n"
        "    machine.wait_for_text('absent', 1)\n");
    script_expect_commands(f, "screen_text 1\nscreen_text 3\nwait_for_text log 1800000\n"
                              "wait_for_text b 2000\nwait_for_text b -2\n"
                              "wait_for_text absent 1000");
}

static void test_keys(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f,
        "machine.send_key('ctrl-alt-delete')\nmachine.send_key('a', delay=None, log=False)\n"
        "for is_logged in [True, False]:\n"
        "    with t.assertRaisesRegex(ValueError, 'no key'):\n"
        "        machine.send_key('none', log=is_logged)\n"
        "machine.send_chars('root\\n')\nmachine.send_chars('\\u00e9', delay=0.5)\n"
        "machine.send_chars('x', 0)\n"
        "for delay in [-1, float('nan'), 1e9]:\n"
        "    with t.assertRaisesRegex(ValueError, 'delay'):\n"
        "        machine.send_chars('never', delay)\n"
        "with t.assertRaises(TypeError):\n    machine.send_key('never', 'x')\n"
        "machine.send_console('ls\\0\\n')\n");
    script_expect_commands(f, "send_key ctrl-alt-delete\nsend_key a\nsend_key none\nsend_key none\n"
                              "send_chars root\n 10\nsend_chars \u00e9 500\nsend_chars x 0\n"
                              "send_console 4 ls");
}

static void test_interact(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f,
        "machine.shell_interact()\nmachine.shell_interact(address=None)\n"
        "with t.assertRaisesRegex(NotImplementedError, 'slotproof debug'):\n"
        "    machine.shell_interact('tcp:localhost:1')\n"
        "with t.assertRaisesRegex(ValueError, 'no terminal'):\n    machine.console_interact()\n");
    script_expect_commands(f, "shell 0 1\nshell 0 1\nconsole 0 1");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/script-screen/screenshot", ScriptFixture, NULL, script_fixture_set_up,
        test_screenshot, script_fixture_tear_down);
    g_test_add("/script-screen/text", ScriptFixture, NULL, script_fixture_set_up, test_text,
        script_fixture_tear_down);
    g_test_add("/script-screen/keys", ScriptFixture, NULL, script_fixture_set_up, test_keys,
        script_fixture_tear_down);
    g_test_add("/script-screen/interact", ScriptFixture, NULL, script_fixture_set_up, test_interact,
        script_fixture_tear_down);
    return g_test_run();
}
