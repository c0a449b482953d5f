/* SPDX-License-Identifier: MIT */

/* Scripts in the words of nixpkgs' own: what they call there is there, and means the same. */

#include "base/error.h"
#include "script-fixture.h"

#include <glib/gstdio.h>
#include <string.h>

/* All that needs datetime is in one script: a process that has loaded it again in a further
 * interpreter has leaked some of it, by Python's fault. */
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
        "with is_up:\n    machine.succeed('exit 0')\n"
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
    script_expect_commands(f,
        "120000 exit 0\n1500 exit 1\nwait_for_unit a.service 3000\n"
        "wait_for_port localhost 22 1 4000\nwait_for_file /f 5000\n"
        "-2 sleep 2.000000\n-2 sleep 0.500000\n-2 sleep 1.000000\n-2 sleep 3.000000\n"
        "set_cable 1 0.000 20\nsend_chars x 30\n-2 exit 0");
}

/* A try that blocks is given up and made anew, as long as the whole may take. */
static void test_attempt_timeout(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f,
        "with t.assertRaises(Exception):\n"
        "    machine.wait_until_succeeds('hang', timeout=1, attempt_timeout=0.05)\n"
        "machine.wait_until_fails('hang', timeout=None, attempt_timeout=0.05)\n"
        "machine.wait_until_succeeds('third', attempt_timeout=7)\n");
    char **commands = fake_machine_commands(f->machines[0]);

    g_assert_cmpstr(commands[0], ==, "50 hang");
    g_assert_cmpstr(commands[1], ==, "50 hang");
    g_assert_cmpstr(commands[g_strv_length(commands) - 4], ==, "50 hang");
    g_assert_cmpstr(commands[g_strv_length(commands) - 1], ==, "7000 third");
}

static void test_paths(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f,
        "from pathlib import Path\n"
        "assert isinstance(machine.out_dir, Path) and isinstance(machine.image_dir, Path)\n"
        "t.assertEqual('/nowhere/a', str(machine.out_dir / 'a'))\n"
        "machine.wait_for_file(Path('/run') / 'f', timeout=1)\n"
        "machine.copy_from_host(Path('a'), Path('/b'))\n"
        "machine.copy_from_host_via_shell(Path('a'), '/b')\n"
        "machine.copy_from_machine(Path('/c'))\n"
        "machine.copy_from_vm(Path('/c'), target_dir=Path('d'))\n"
        "machine.wait_for_open_unix_socket(Path('/s'), timeout=1)\n"
        "machine.screenshot(Path('boot'))\n"
        "t.assertEqual(machine.out_dir / 'r', machine.record_disk(Path('r')))\n"
        "machine.wait_for_file('caf\\udce9', 1)\n"
        "for bad in [5, None, 'a\\0b']:\n"
        "    with t.assertRaises((TypeError, ValueError)):\n"
        "        machine.copy_from_host(bad, '/b')\n"
        "    with t.assertRaises((TypeError, ValueError)):\n"
        "        machine.copy_from_host('/b', bad)\n");
    script_expect_commands(f,
        "wait_for_file /run/f 1000\ncopy_from_host a /b\ncopy_from_host a /b\n"
        "copy_from_machine /c ''\ncopy_from_machine /c 'd'\nwait_for_unix_socket /s 0 1000\n"
        "screenshot /nowhere/boot.png\nrecord_disk r\nwait_for_file caf\xe9 1000");
}

/* Attributes that are there, and those that say what to use in their place. */
static void test_attributes(ScriptFixture *f, gconstpointer data)
{
    g_autofree char *tmp = g_build_filename(f->dir, "tmp", NULL);
    g_autofree char *shared = g_build_filename(tmp, "shared-xchg", NULL);
    g_autofree char *state = g_build_filename(tmp, "vm-state-gateway", NULL);
    SpMachineConfig config = *sp_machine_config(f->machines[0]);

    config.out_dir = f->dir;
    sp_machine_free(f->machines[0]);
    f->machines[0] = sp_machine_new(&config, NULL);
    script_expect_passed(f,
        "assert machine.pid is None\nmachine.start()\nt.assertEqual(4711, machine.pid)\n"
        "t.assertEqual(machine.out_dir, machine.tmp_dir.parent)\n"
        "for path in [machine.tmp_dir, machine.shared_dir, machine.state_dir]:\n"
        "    assert path.is_dir(), path\n"
        "t.assertEqual('vm-state-gateway', machine.state_dir.name)\n"
        "machine.logger.info('x')\n"
        "t.assertEqual(['last words of gateway'], machine.full_console_log)\n"
        "for name in ['process', 'start_command', 'script', 'monitor', 'qmp_path', 'shell']:\n"
        "    assert not hasattr(machine, name)\n"
        "    with t.assertRaisesRegex(AttributeError, \"machine 'gateway': .*: \"):\n"
        "        getattr(machine, name)\n"
        "with t.assertRaises(AttributeError):\n    machine.pid = 5\n");
    g_assert_cmpint(g_rmdir(shared) | g_rmdir(state) | g_rmdir(tmp), ==, 0);
}

static void test_names(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f,
        "def use(a: Machine, b: BaseMachine, c: QemuMachine, d: NspawnMachine, e: VLan,\n"
        "        g: Driver, h: PollingCondition) -> None:\n    pass\n"
        "assert isinstance(machine, BaseMachine) and isinstance(machine, QemuMachine)\n"
        "assert not isinstance(machine, NspawnMachine) and isinstance(driver, Driver)\n"
        "assert machines_qemu == [gateway] == driver.machines_qemu and machines_nspawn == []\n"
        "t.assertEqual([], vlans)\n"
        "assert driver.vlans is vlans and driver.start_all is start_all\n"
        "assert driver.log is log and driver.create_machine is create_machine\n"
        "driver.logger.info('x')\nt.assertEqual(machine.out_dir, driver.out_dir)\n"
        "from test_driver.machine import BaseMachine as B, QemuMachine, NspawnMachine, retry as r\n"
        "assert B is Machine and r is retry\n"
        "from test_driver.errors import RequestedAssertionFailed, MachineError\n"
        "from test_driver.driver import Driver as D\nassert D is Driver\n"
        "from test_driver.vlan import VLan as V\nassert V is VLan\n"
        "from test_driver.logger import AbstractLogger\nassert isinstance(log, AbstractLogger)\n"
        "from test_driver.polling_condition import PollingCondition, PollingConditionError\n"
        "import test_driver.machine\nassert test_driver.machine.Machine is Machine\n"
        "if 'again' not in globals():\n    again = True\n    run_tests()\n");
}

static void test_assertions(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f,
        "import unittest\n"
        "from test_driver.errors import RequestedAssertionFailed\n"
        "assert isinstance(t, unittest.TestCase)\n"
        "assert t.failureException is RequestedAssertionFailed\n"
        "for wrong in [lambda: t.assertEqual(1, 2), lambda: t.assertIn('a', []), t.fail,\n"
        "        lambda: t.assertRaises(KeyError, list), lambda: t.assertRegex('a', 'b')]:\n"
        "    try:\n        wrong()\n"
        "    except RequestedAssertionFailed:\n        pass\n"
        "    else:\n        assert False\n"
        "with t.subTest('a'):\n    t.assertTrue(True)\n");
}

static void test_decorators(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f,
        "@subtest('adds')\n"
        "def add(a, b=2):\n    'Adds.'\n    return a + b\n"
        "t.assertEqual(('add', 'Adds.'), (add.__name__, add.__doc__))\n"
        "t.assertEqual(3, add(1))\nt.assertEqual(5, add(1, b=4))\n"
        "@subtest('recurs')\n"
        "def recur(n):\n    return n and recur(n - 1)\n"
        "recur(2)\n"
        "@machine.nested('step')\n"
        "def step():\n    raise KeyError(1)\n"
        "with t.assertRaises(KeyError):\n    step()\n"
        "@log.subtest('fails')\n"
        "def fails():\n    step()\n"
        "with t.assertRaises(KeyError):\n    fails()\n"
        "with t.assertRaisesRegex(TypeError, 'decorates a function'):\n    subtest('a')(5)\n");
    g_assert_cmpstr(f->subtests->str, ==, "+adds +adds +recurs +recurs +recurs -fails ");
}

static void test_log(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f,
        "log.info('x', {'machine': 'm'})\nlog.debug(message='x', attributes={})\n"
        "log.warning(5)\nlog.log(None)\nmachine.log(5)\nmachine.log(b'x')\n"
        "log.info('caf\\udce9 \\0 x')\nmachine.log('caf\\udce9')\n"
        "class Odd:\n    def __str__(self):\n        return 1 / 0\n"
        "with t.assertRaises(ZeroDivisionError):\n    log.info(Odd())\n"
        "with log.nested('a', {}), machine.nested(msg='b', attrs={}), log.nested(message='c'):\n"
        "    pass\n"
        "with subtest('d', {}), log.subtest(name='e', attributes={}):\n    pass\n");
    /* it ends the test, and is caught by nothing that catches an Exception */
    SCRIPT_EXPECT_FAILED(f,
        "try:\n    log.error('it is over')\nexcept Exception:\n    pass\nmachine.start()\n",
        "log.error('it is over')", "script.py:2", "it is over");
    script_expect_commands(f, "");
}

/* As pythonize_name() of NixOS' driver has it. */
static void test_hyphens(ScriptFixture *f, gconstpointer data)
{
    SpMachineConfig config = *sp_machine_config(f->machines[0]);

    config.name = "my-box";
    sp_machine_free(f->machines[0]);
    f->machines[0] = sp_machine_new(&config, NULL);
    script_expect_passed(f, "assert my_box is machine is driver.my_box\n"
                            "t.assertEqual('my-box', my_box.name)\n"
                            "assert \"'my-box'\" in repr(my_box)\n"
                            "for taken in ['my-box', 'my_box']:\n"
                            "    with t.assertRaisesRegex(ValueError, \"'my-box' already\"):\n"
                            "        create_machine(taken)\n"
                            "with t.assertRaisesRegex(ValueError, 'something else'):\n"
                            "    create_machine('run-tests')\n");
}

static void test_expansion(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f,
        "from test_driver.errors import RequestedAssertionFailed\n"
        "machine.wait_for_file('/run/*.pid')\n"
        "machine.wait_for_file('~/a')\n"
        "machine.wait_for_file('$HOME/late?', timeout=60)\n"
        "machine.wait_for_file('/run/a b')\n"
        "machine.wait_for_file('/run/a~')\n"
        "with t.assertRaisesRegex(RequestedAssertionFailed, \"no file '/absent.'\"):\n"
        "    machine.wait_for_file('/absent?', timeout=0)\n"
        "machine.copy_from_host_via_shell('a', '~/x')\n"
        "machine.copy_from_host('a', '~/x')\n"
        "with t.assertRaisesRegex(RequestedAssertionFailed, \"can't expand '~nobody/x'\"):\n"
        "    machine.copy_from_host_via_shell('a', target='~nobody/x')\n");
    char **commands = fake_machine_commands(f->machines[0]);

    g_assert_cmpuint(g_strv_length(commands), ==, 12);
    g_assert_nonnull(strstr(commands[0], "for file in /run/*.pid; do"));
    g_assert_nonnull(strstr(commands[1], "for file in ~/a; do"));
    g_assert_nonnull(strstr(commands[4], "for file in $HOME/late?; do"));
    g_assert_cmpstr(commands[5], ==, "wait_for_file /run/a b 1800000");
    g_assert_cmpstr(commands[6], ==, "wait_for_file /run/a~ 1800000");
    g_assert_cmpstr(commands[8], ==, "900000 printf %s ~/x");
    g_assert_cmpstr(commands[9], ==, "copy_from_host a /root/x");
    g_assert_cmpstr(commands[10], ==, "copy_from_host a ~/x");
}

static void test_active_state(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f,
        "import slotproof\n"
        "machine.wait_for_unit_active_state('idle.service', 'inactive', timeout=10)\n"
        "machine.wait_for_unit_active_state('slow.service', 'activating',\n"
        "    timeout=10)\n"
        "machine.wait_for_unit_active_state('slow.service', 'active')\n"
        "machine.wait_for_unit_active_state('broken.service', 'failed', user='bob')\n"
        "with t.assertRaisesRegex(slotproof.RequestedAssertionFailed,\n"
        "        \"unit 'good.service' was not inactive in time, but is active\"):\n"
        "    machine.wait_for_unit_active_state('good.service', 'inactive', timeout=0)\n"
        "with t.assertRaisesRegex(ValueError, \"'activ' is not a unit state\"):\n"
        "    machine.wait_for_unit_active_state('good.service', 'activ')\n");
}

/* NixOS' driver has another create_machine(). */
static void test_create_machine(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f,
        "for call in [lambda: create_machine('/nix/store/x/bin/run-a-vm'),\n"
        "        lambda: create_machine('qemu-kvm -m 1', name='a'),\n"
        "        lambda: create_machine(start_command='run-a-vm', name='a'),\n"
        "        lambda: driver.create_machine(start_command='run-a-vm')]:\n"
        "    with t.assertRaisesRegex(NotImplementedError, 'start_command.*image='):\n"
        "        call()\n"
        "with t.assertRaisesRegex(NotImplementedError, 'keep_machine_state'):\n"
        "    create_machine('a', keep_machine_state=True)\n"
        "with t.assertRaisesRegex(Exception, \"can't be made here\"):\n"
        "    create_machine(name='a', keep_machine_state=False)\n"
        "with t.assertRaises(TypeError):\n    create_machine()\n");
}

static void test_qmp_api_error(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f,
        "from test_driver.machine.qmp import QMPAPIError\n"
        "assert machine.qmp_client is None\n"
        "machine.start()\n"
        "assert machine.qmp_client is not None\n"
        "try:\n    machine.qmp_client.send('refused')\n"
        "except QMPAPIError as error:\n"
        "    assert error.class_name == 'CommandNotFound'\n"
        "    assert error.description\n"
        "    assert error.transaction_id is None\n"
        "    assert error.description in str(error)\n"
        "else:\n    raise AssertionError('expected QMPAPIError')\n"
        "t.assertEqual({'status': [1, '\u00e9']}, machine.qmp_client.send('query', {'a-b': 1}))\n"
        "t.assertEqual({'status': [1, '\u00e9']}, machine.qmp_client.send(cmd='query', args={}))\n"
        "with t.assertRaises(TypeError):\n    machine.qmp_client.send('query', [1])\n");
    script_expect_commands(f, "start 0\nqmp refused \nqmp query {\"a-b\": 1}\nqmp query ");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*test)(ScriptFixture *f, gconstpointer data);
    } tests[] = {
        {"/script-nixos/durations", test_durations},
        {"/script-nixos/attempt-timeout", test_attempt_timeout},
        {"/script-nixos/paths", test_paths},
        {"/script-nixos/attributes", test_attributes},
        {"/script-nixos/names", test_names},
        {"/script-nixos/assertions", test_assertions},
        {"/script-nixos/decorators", test_decorators},
        {"/script-nixos/log", test_log},
        {"/script-nixos/hyphens", test_hyphens},
        {"/script-nixos/expansion", test_expansion},
        {"/script-nixos/active-state", test_active_state},
        {"/script-nixos/create-machine", test_create_machine},
        {"/script-nixos/qmp-api-error", test_qmp_api_error},
    };

    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, ScriptFixture, NULL, script_fixture_set_up, tests[i].test,
            script_fixture_tear_down);
    return g_test_run();
}
