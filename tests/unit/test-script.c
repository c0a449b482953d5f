/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/wait.h"
#include "script-fixture.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static void test_globals(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f,
        "assert machine is gateway\n"
        "assert machines == [gateway] and driver.machines is machines\n"
        "assert isinstance(machine, Machine) and machine.name == 'gateway'\n"
        "assert str(machine.out_dir) == '/nowhere'\n"
        "assert t.maxDiff is None\n"
        "assert not machine.is_up()\n"
        "driver.start_all()\n"
        "assert machine.is_up()\n"
        "log('x'); log.log(message='y'); machine.log('z')\n"
        "log.info('x'); log.warning('y'); log.debug(message='z')\n"
        "from test_driver.errors import RequestedAssertionFailed, MachineError\n"
        "import slotproof, json, unittest\n"
        "assert slotproof.MachineError is MachineError\n"
        "assert slotproof.Machine is Machine\n"
        "assert __name__ == '__main__' and print('seen') is None\n"
        "try:\n    Machine()\nexcept TypeError:\n    pass\nelse:\n    assert False\n");
}

static void test_two_machines(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f, "assert [m.name for m in machines] == ['gateway', 'client']\n"
                            "assert 'machine' not in globals()\n"
                            "start_all()\n"
                            "assert client.is_up() and gateway.is_up()\n");
}

static void test_power(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f,
        "machine.start(allow_reboot=True)\nmachine.start()\nmachine.reboot()\n"
        "machine.crash()\nassert not machine.is_up()\nmachine.connect()\n"
        "assert machine.is_up()\nmachine.shutdown()\nmachine.wait_for_shutdown()\n"
        "machine.copy_from_host('a', target='b')\nmachine.copy_from_machine('c')\n"
        "machine.copy_from_machine('c', 'd')\nmachine.sleep(1.5)\n");
    script_expect_commands(f,
        "start 1\nstart 0\nreboot\ncrash\nshutdown\nwait_for_shutdown\n"
        "copy_from_host a b\ncopy_from_machine c ''\ncopy_from_machine c 'd'\n"
        "-2 sleep 1.500000");
}

static void test_commands(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f,
        "t.assertEqual('a\\nb\\n', machine.succeed('echo a', 'echo b'))\n"
        "t.assertEqual('', machine.succeed())\n"
        "t.assertEqual('', machine.fail('complain x'))\n"
        "t.assertEqual((3, ''), machine.execute('exit 3'))\n"
        "t.assertEqual((0, 'x\\n'), machine.execute(command='echo x'))\n"
        "t.assertEqual((-1, 'x\\n'), machine.execute('echo x', check_return=False))\n"
        "t.assertEqual((-1, ''), machine.execute('panic', check_return=False))\n"
        "t.assertEqual((-2, ''), machine.execute('echo x', check_output=False))\n"
        "t.assertEqual((124, ''), machine.execute('hang', timeout=0.01))\n"
        "t.assertEqual('a\\ufffdb', machine.succeed('bytes'))\n"
        "t.assertEqual('', machine.wait_until_succeeds('third'))\n"
        "t.assertEqual('', machine.wait_until_fails('exit 1'))\n");
}

/* Those of a call stay as they are, the default is stretched, None has none. */
static void test_timeouts(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f, "machine.succeed('echo')\nmachine.succeed('echo', timeout=5)\n"
                            "machine.execute('echo')\nmachine.execute('echo', timeout=None)\n"
                            "machine.wait_for_file('f')\nmachine.wait_for_file('f', 7)\n"
                            "machine.wait_for_unit('u')\nmachine.wait_for_unit('u', timeout=None)\n"
                            "machine.wait_for_open_port(22)\n"
                            "machine.wait_for_closed_port(22, 'h', 1)\n"
                            "machine.wait_for_console_text('x')\n"
                            "machine.wait_for_console_text('x', 2)\n");
    script_expect_commands(f, "-2 echo\n5000 echo\n1800000 echo\n-2 echo\n"
                              "wait_for_file f 1800000\nwait_for_file f 7000\n"
                              "wait_for_unit u 1800000\nwait_for_unit u -2\n"
                              "wait_for_port localhost 22 1 1800000\nwait_for_port h 22 0 1000\n"
                              "wait_for_console_text x -2\nwait_for_console_text x 2000");
}

static void test_units(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f,
        "info = machine.get_unit_info('a')\n"
        "t.assertEqual('active', info['ActiveState'])\n"
        "t.assertEqual('A=B', info['Environment'])\n"
        "t.assertEqual('active', machine.get_unit_property('a', 'ActiveState'))\n"
        "t.assertEqual((0, 'No jobs running.\\n'), machine.systemctl('list-jobs'))\n"
        "machine.wait_for_unit('a', user='al ice')\n");
    /* the time that is left stands before it */
    g_assert_true(g_str_has_suffix(fake_machine_commands(f->machines[0])[3],
        " su -l 'al ice' --shell /bin/sh -c 'XDG_RUNTIME_DIR=/run/user/$(id -u) systemctl --user "
        "--no-pager show '\\''a'\\'' --property='\\''ActiveState'\\'''"));
    SCRIPT_EXPECT_FAILED(
        f, "machine.wait_for_unit('broken', 'u')\n", "'broken' of user 'u' is failed");
    SCRIPT_EXPECT_FAILED(
        f, "machine.wait_for_unit('idle', 'u')\n", "is inactive and no job is pending");
    SCRIPT_EXPECT_FAILED(
        f, "machine.get_unit_info('absent')\n", "unit 'absent' failed with exit status 1");
    SCRIPT_EXPECT_FAILED(f, "machine.get_unit_property('a', 'Nope')\n", "has no property 'Nope'");
}

static void test_failing_command(ScriptFixture *f, gconstpointer data)
{
    SCRIPT_EXPECT_FAILED(f,
        "def check(text):\n    machine.succeed('complain ' + text)\n\n\nmachine.start()\n"
        "check('so bad')\n",
        "assertion failed: machine.succeed('complain ' + text)\n  at ",
        "script.py:2, in check()\n  called from ", "script.py:6: check('so bad')\n",
        "RequestedAssertionFailed: machine 'gateway': command `complain so bad`\n"
        "expected: exit status 0\nseen:     exit status 1\n",
        "stderr:\nso bad\n", "console of 'gateway':\nlast words of gateway\n", "out/here");
    SCRIPT_EXPECT_FAILED(f, "machine.fail('echo x')\n",
        "expected: another exit status than 0\nseen:     exit status 0\nstdout:\nx\n");
    SCRIPT_EXPECT_FAILED(
        f, "machine.succeed('big 9000')\n", "xxx\n[... 4904 bytes left out ...]\nxxx");
    SCRIPT_EXPECT_FAILED(f, "machine.succeed('hang', timeout=0.01)\n",
        "expected: exit status 0\nseen:     exit status 124: did it time out?");
    SCRIPT_EXPECT_FAILED(f, "machine.wait_until_succeeds('complain no', timeout=0.05)\n",
        "expected: exit status 0 within 0.1 s\nseen:     exit status 1, the last time of ",
        "stderr:\nno\n");
    SCRIPT_EXPECT_FAILED(f, "machine.wait_until_fails('echo no', timeout=0.05)\n",
        "expected: another exit status than 0 within 0.1 s\nseen:     exit status 0, the last");
    SCRIPT_EXPECT_FAILED(f, "machine.wait_until_fails('hang', timeout=0.05)\n",
        "expected: another exit status than 0 within", "exit status 124");
}

static void test_exceptions(ScriptFixture *f, gconstpointer data)
{
    SCRIPT_EXPECT_FAILED(f, "machine.succeed('panic')\n", "MachineError: the kernel gave up");
    SCRIPT_EXPECT_FAILED(
        f, "machine.succeed('refuse')\n", "RequestedAssertionFailed: the guest refused");
    SCRIPT_EXPECT_FAILED(
        f, "machine.wait_for_file('absent')\n", "RequestedAssertionFailed: no such file");
    SCRIPT_EXPECT_FAILED(
        f, "machine.wait_for_console_text('(')\n", "ValueError: not a valid regular expression");
    SCRIPT_EXPECT_FAILED(f, "machine.succeed('echo', timeout=-1)\n", "ValueError", "-1");
    SCRIPT_EXPECT_FAILED(f, "machine.succeed('echo', timeout='x')\n", "TypeError");
    SCRIPT_EXPECT_FAILED(f, "machine.succeed(3)\n", "TypeError: a command must be a str, not int");
    SCRIPT_EXPECT_FAILED(f, "machine.succeed('a\\0b')\n", "ValueError", "null");
    SCRIPT_EXPECT_FAILED(f, "machine.succeed('echo', nope=1)\n", "TypeError", "nope");
    SCRIPT_EXPECT_FAILED(f, "machine.wait_for_open_port(70000)\n", "ValueError: port is 70000");
    SCRIPT_EXPECT_FAILED(f, "\nt.assertEqual([1], [2])\n",
        "assertion failed: t.assertEqual([1], [2])\n  at ", "script.py:2\n",
        "RequestedAssertionFailed: Lists differ: [1] != [2]");
    SCRIPT_EXPECT_FAILED(f, "import json\njson.loads('{')\n", "failed: json.loads('{')\n  at ",
        "script.py:2\n", "JSONDecodeError");
    SCRIPT_EXPECT_FAILED(f, "raise SystemExit(4)\n", "SystemExit: 4");
    script_expect_passed(f, "raise SystemExit\n");
    script_expect_passed(f, "import sys\nsys.exit(0)\n");
}

/* No frames of other files, and a message once. */
static void test_report_is_short(ScriptFixture *f, gconstpointer data)
{
    g_assert_cmpint(script_run(f, "machine.start()\nt.assertTrue(False)\n"), ==, SP_SCRIPT_FAILED);
    g_autofree char *expected =
        g_strdup_printf("assertion failed: t.assertTrue(False)\n"
                        "  at %s:2\n"
                        "RequestedAssertionFailed: False is not true\n"
                        "The last lines of the console of 'gateway':\n"
                        "last words of gateway\n"
                        "More is in out/here: the log, consoles, journals, screenshots\n",
            f->path);
    g_assert_cmpstr(f->report, ==, expected);
    g_assert_cmpint(script_run(f, "def f():\n    f()\nf()\n"), ==, SP_SCRIPT_FAILED);
    g_assert_nonnull(strstr(f->report, "calls left out"));
    g_assert_cmpuint(strlen(f->report), <, 4096);
}

/* What a bare assertion was about is told, without asking again. */
static void test_values(ScriptFixture *f, gconstpointer data)
{
    SCRIPT_EXPECT_FAILED(f,
        "LIMIT = 3\n\n\ndef check(seen, lines):\n    assert (len(seen) <=\n        LIMIT), ''\n\n\n"
        "check(['a'] * 4, machine)\n",
        "assertion failed: assert (len(seen) <=\n    LIMIT), ''\n  at ",
        "script.py:5, in check()\n  called from ", "AssertionError\n",
        "  seen = ['a', 'a', 'a', 'a']\n  LIMIT = 3\nMore is");
    SCRIPT_EXPECT_FAILED(f, "x = 'y' * 5000\nassert not x\n", "AssertionError\n", "  x = 'yyy",
        "bytes left out", "yyy'\nMore is");
    SCRIPT_EXPECT_FAILED(f,
        "class Bad:\n    def __repr__(self):\n        raise ValueError\nbad, x = Bad(), 1\n"
        "assert bad is x\n",
        "AssertionError\n  x = 1\nMore is");
    /* one that says what is wrong says enough */
    SCRIPT_EXPECT_FAILED(f, "x = 1\nassert x == 2, 'not so'\n", "AssertionError: not so\nMore is");
}

/* Modules beside the script are the test's; Python's own are not. */
static void test_frames_of_modules(ScriptFixture *f, gconstpointer data)
{
    g_autofree char *path = g_build_filename(f->dir, "helper.py", NULL);

    g_assert_true(g_file_set_contents(
        path, "def check(t):\n\n    t.assertEqual(\n        1,\n        2)\n", -1, NULL));
    SCRIPT_EXPECT_FAILED(f, "import helper\nhelper.check(t)\n",
        "assertion failed: t.assertEqual(\n    1,\n    2)\n  at ",
        "helper.py:3, in check()\n  called from ",
        "script.py:2: helper.check(t)\nRequestedAssertionFailed: 1");
    g_assert_null(strstr(f->report, "unittest"));
    g_unlink(path);
}

static void test_syntax(ScriptFixture *f, gconstpointer data)
{
    g_autofree char *expected = g_strdup_printf("%s:2: ", f->path);

    g_assert_cmpint(script_run(f, "x = 1\ndef oops(:\n"), ==, SP_SCRIPT_INVALID);
    g_assert_true(g_str_has_prefix(f->report, expected));
    g_assert_nonnull(strstr(f->report, "invalid syntax: def oops(:"));
    g_assert_cmpint(script_run(f, "x = '\xff'\n"), ==, SP_SCRIPT_INVALID);
    g_assert_nonnull(strstr(f->report, "UTF-8"));
}

static void test_subtests(ScriptFixture *f, gconstpointer data)
{
    SCRIPT_EXPECT_FAILED(f,
        "with subtest('one'):\n    pass\nwith subtest('two'):\n    with driver.subtest('three'):\n"
        "        machine.succeed('exit 1')\nwith subtest('four'):\n    pass\n",
        "assertion failed: machine.succeed('exit 1')\n  at ", "script.py:5, in subtest 'three'\n");
    g_assert_cmpstr(f->subtests->str, ==, "+one -three -two ");
}

static void test_retry(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f,
        "seen = []\ndef fn(last):\n    seen.append(last)\n    return len(seen) == 3\n"
        "retry(fn)\nt.assertEqual([False, False, False], seen)\n");
    script_expect_passed(f, "def fn(last):\n    return last\nretry(fn, timeout_seconds=0.05)\n");
    SCRIPT_EXPECT_FAILED(f, "retry(lambda last: False, 0)\n", "RequestedAssertionFailed: retry():");
    SCRIPT_EXPECT_FAILED(f, "def fn(last):\n    raise KeyError('k')\nretry(fn)\n", "KeyError: 'k'");
}

/* Of what was tried again and again, the last try that ended by itself is told of. */
static void test_last_try(ScriptFixture *f, gconstpointer data)
{
    SCRIPT_EXPECT_FAILED(f, "machine.wait_until_succeeds('once', timeout=0.3)\n",
        "exit status 127, the last time of 1; the one after it was killed", "ping: not found");
    SCRIPT_EXPECT_FAILED(f, "machine.wait_until_succeeds('hang', timeout=0.1)\n",
        "it was killed at the end of its time");
}

/* A boot that ends by other means than reboot(). */
static void test_boots(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f,
        "t.assertEqual((None, False, False), (machine.boot_id, machine.booted, "
        "machine.connected))\n"
        "machine.connect()\n"
        "t.assertEqual((True, True), (machine.booted, machine.connected))\n"
        "t.assertEqual(36, len(machine.boot_id))\n"
        "machine.connected = False\nassert not machine.connected\n"
        "machine.connect(timeout=3)\nassert machine.connected\n"
        "machine.connected = True\nmachine.booted = False\nassert machine.booted\n"
        "machine.wait_for_boot(7)\n"
        "with t.assertRaises(AttributeError):\n    del machine.connected\n"
        "with t.assertRaises(ValueError):\n    machine.reboot(timeout=-1)\n");
    script_expect_commands(f, "wait_for_boot 7000");
}

static void test_interrupt(ScriptFixture *f, gconstpointer data)
{
    g_assert_cmpint(script_run(f, "machine.succeed('sigint')\n"), ==, SP_SCRIPT_INTERRUPTED);
    g_assert_nonnull(strstr(f->report, "interrupted: machine.succeed('sigint')\n  at "));
    g_assert_nonnull(strstr(f->report, "script.py:1\nKeyboardInterrupt"));
    g_assert_cmpint(script_run(f, "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\n"
                                  "retry(lambda last: False)\n"),
        ==, SP_SCRIPT_INTERRUPTED);
    g_assert_cmpint(script_run(f, "import os, signal\nsignal.raise_signal(signal.SIGINT)\n"), ==,
        SP_SCRIPT_INTERRUPTED);
}

static bool is_never(void *data, GError **error)
{
    return false;
}

/* As machines that take long to go on from a checkpoint. */
static bool begin_slowly(void *data, GError **error)
{
    SpInterrupt interrupt = sp_script_interrupt();

    raise(SIGTERM);
    return sp_wait(is_never, NULL, sp_deadline(20000), &interrupt, error);
}

static void test_interrupt_begin(ScriptFixture *f, gconstpointer data)
{
    f->begin_func = begin_slowly;
    g_assert_cmpint(script_run(f, "machine.succeed('true')\n"), ==, SP_SCRIPT_INTERRUPTED);
    g_assert_nonnull(strstr(f->report, "KeyboardInterrupt"));
    script_expect_commands(f, "");
}

/* The environment has no say in which Python it is. */
static void test_isolated(ScriptFixture *f, gconstpointer data)
{
    g_setenv("PYTHONHOME", "/nowhere", TRUE);
    g_setenv("PYTHONPATH", "/nowhere/else", TRUE);
    script_expect_passed(f, "import sys, json\n"
                            "assert '/nowhere/else' not in sys.path, sys.path\n"
                            "assert json.__file__.startswith('/usr/lib/python3'), json.__file__\n"
                            "assert sys.flags.ignore_environment and sys.flags.utf8_mode\n");
    g_unsetenv("PYTHONHOME");
    g_unsetenv("PYTHONPATH");
}

static void test_monitor(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f,
        "t.assertEqual({'status': [1, '\\u00e9']}, machine.qmp('query', a=[1], b={'c': None}))\n"
        "machine.qmp('bare')\n"
        "with t.assertRaisesRegex(Exception, 'QEMU refused'):\n"
        "    machine.qmp('refused')\n"
        "with t.assertRaises(TypeError):\n    machine.qmp('query', a=machine)\n"
        "t.assertEqual({}, machine.wait_for_qmp_event('WATCHDOG', timeout=3))\n"
        "t.assertEqual(5000000000, machine.disk_written())\n"
        "machine.wait_for_disk_written(6000000000, timeout=1)\n"
        "with t.assertRaises(ValueError):\n    machine.wait_for_disk_written(-1)\n"
        "machine.save_snapshot('s')\nmachine.load_snapshot(name='s')\n"
        "machine.save_snapshot('d', memory=False)\nmachine.load_snapshot('d', False)\n"
        "with t.assertRaises(ValueError):\n    machine.load_snapshot('')\n"
        "t.assertEqual('/images/fake', str(machine.image_dir))\n"
        "t.assertIsInstance(machine.get_console_log(), str)\n");
    script_expect_commands(f,
        "qmp query {\"a\": [1], \"b\": {\"c\": null}}\nqmp bare \nqmp refused \n"
        "wait_for_event WATCHDOG 1\nwait_for_disk_written 6000000000 1000\n"
        "save_snapshot s\nload_snapshot s\nsave_disk_snapshot d\nload_disk_snapshot d");
}

static void test_network(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f,
        "machine.block()\nmachine.unblock()\nmachine.block(2)\n"
        "machine.unblock(network=2)\nmachine.block(None)\n"
        "machine.set_link(1)\nmachine.set_link(2, 0.25, delay=0.0125)\n"
        "machine.set_link(network=2, loss=1, delay=3600)\n"
        "with t.assertRaisesRegex(ValueError, 'its networks are 1, 2'):\n"
        "    machine.set_link(9)\n"
        "nan = float('nan')\n"
        "for loss, delay in [(-.1, 0), (1.1, 0), (nan, 0), (0, -.1), (0, 3601), (0, nan)]:\n"
        "    with t.assertRaises(ValueError):\n"
        "        machine.set_link(1, loss, delay)\n"
        "for call in [machine.block, machine.unblock, machine.set_link]:\n"
        "    with t.assertRaises(TypeError):\n"
        "        call('lan')\n");
    script_expect_commands(f, "set_links all 0\nset_links all 1\nset_links 2 0\nset_links 2 1\n"
                              "set_links all 0\nset_cable 1 0.000 0\nset_cable 2 0.250 13\n"
                              "set_cable 2 1.000 3600000\nset_cable 9 0.000 0");
}

static void test_forward_port(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f, "t.assertEqual(8080, machine.forward_port())\n"
                            "t.assertEqual(40000, machine.forward_port(0, guest_port=65535))\n"
                            "with t.assertRaisesRegex(ValueError, 'port 9 is in use'):\n"
                            "    machine.forward_port(host_port=9)\n"
                            "for ports in [(-1, 1), (65536, 1), (1, 0), (1, 65536)]:\n"
                            "    with t.assertRaises(ValueError):\n"
                            "        machine.forward_port(*ports)\n");
    script_expect_commands(f, "forward_port 8080 80\nforward_port 0 65535\nforward_port 9 80");
}

/* Modules come from the script's directory, and else from the one above. */
static void test_modules(ScriptFixture *f, gconstpointer data)
{
    g_autofree char *inner = g_build_filename(f->dir, "inner", NULL);
    g_autofree char *own = g_build_filename(inner, "one.py", NULL);
    g_autofree char *shared = g_build_filename(f->dir, "one.py", NULL);
    g_autofree char *other = g_build_filename(f->dir, "two.py", NULL);

    g_assert_cmpint(g_mkdir(inner, 0700), ==, 0);
    g_assert_true(g_file_set_contents(own, "where = 'inner'\n", -1, NULL));
    g_assert_true(g_file_set_contents(shared, "where = 'shared'\n", -1, NULL));
    g_assert_true(g_file_set_contents(other, "def add(a, b):\n    return a + b\n", -1, NULL));
    g_free(f->path);
    f->path = g_build_filename(inner, "script.py", NULL);
    script_expect_passed(
        f, "import one, two\nassert one.where == 'inner' and two.add(1, 2) == 3\n");
    g_unlink(own);
    g_unlink(shared);
    g_unlink(other);
    g_unlink(f->path);
    g_rmdir(inner);
}

/* Whatever a script finds under a name without its own doing. */
static void test_taken_names(ScriptFixture *f, gconstpointer data)
{
    g_autofree char *path = g_build_filename(f->dir, "names", NULL);
    g_autofree char *text = NULL;
    g_auto(GStrv) names = NULL;

    script_expect_passed(f, "import builtins, keyword\n"
                            "names = {*dir(builtins), *keyword.kwlist, *globals()} - "
                            "{'machine', 'gateway', 'builtins', 'keyword'}\n"
                            "with open(os.path.dirname(__file__) + '/names', 'w') as file:\n"
                            "    file.write(' '.join(names))\n");
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_unlink(path);
    names = g_strsplit(text, " ", -1);
    g_assert_cmpuint(g_strv_length(names), >, 150);
    for (char **name = names; *name; name++) {
        if (!sp_script_name_fault(*name))
            g_error("a machine may be called '%s'", *name);
    }
}

static void test_names(void)
{
    static const char *const others[] = {"vlan1", "vlan12", "vlans", "run_tests", "QemuMachine"};

    for (gsize i = 0; i < G_N_ELEMENTS(others); i++)
        g_assert_nonnull(sp_script_name_fault(others[i]));
    g_assert_null(sp_script_name_fault("vlan"));
    g_assert_null(sp_script_name_fault("vlan1b"));
    g_assert_null(sp_script_name_fault("gateway_2"));
    g_assert_null(sp_script_name_fault("machine"));
    g_assert_nonnull(sp_script_name_fault("2nd"));
    g_assert_nonnull(sp_script_name_fault(""));
    g_assert_null(sp_script_name_fault("a-b"));
    g_assert_nonnull(sp_script_name_fault("-b"));
    g_assert_nonnull(sp_script_name_fault("a.b"));
    g_assert_nonnull(sp_script_name_fault("start-all"));
    g_assert_nonnull(sp_script_name_fault("_-x"));
    g_assert_nonnull(sp_script_name_fault("vlan12"));
    g_assert_null(sp_script_name_fault("vlan"));
    g_assert_nonnull(sp_script_name_fault("machines_qemu"));
    g_assert_nonnull(sp_script_name_fault("../x"));
    g_assert_nonnull(sp_script_name_fault("driver"));
    g_assert_nonnull(sp_script_name_fault("while"));
    g_assert_nonnull(sp_script_name_fault("__builtins__"));
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*test)(ScriptFixture *f, gconstpointer data);
        bool two;
    } tests[] = {
        {"/script/interrupt-begin", test_interrupt_begin, false},
        {"/script/globals", test_globals, false},
        {"/script/two-machines", test_two_machines, true},
        {"/script/power", test_power, false},
        {"/script/commands", test_commands, false},
        {"/script/timeouts", test_timeouts, false},
        {"/script/units", test_units, false},
        {"/script/failing-command", test_failing_command, false},
        {"/script/exceptions", test_exceptions, false},
        {"/script/report", test_report_is_short, false},
        {"/script/values", test_values, false},
        {"/script/frames-of-modules", test_frames_of_modules, false},
        {"/script/syntax", test_syntax, false},
        {"/script/subtests", test_subtests, false},
        {"/script/retry", test_retry, false},
        {"/script/interrupt", test_interrupt, false},
        {"/script/last-try", test_last_try, false},
        {"/script/boots", test_boots, false},
        {"/script/isolated", test_isolated, false},
        {"/script/monitor", test_monitor, false},
        {"/script/network", test_network, false},
        {"/script/forward-port", test_forward_port, false},
        {"/script/modules", test_modules, false},
        {"/script/taken-names", test_taken_names, false},
    };

    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, ScriptFixture, tests[i].two ? "two" : NULL, script_fixture_set_up,
            tests[i].test, script_fixture_tear_down);
    g_test_add_func("/script/names", test_names);
    return g_test_run();
}
