/* SPDX-License-Identifier: MIT */

/* What scripts for NixOS' driver call beyond the core: names, arguments and meaning. */

#include "base/error.h"
#include "script-fixture.h"

#include <glib/gstdio.h>
#include <string.h>

static void test_units(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f,
        "import slotproof\n"
        "machine.require_unit_state('good.service')\n"
        "machine.require_unit_state('broken.service', 'failed')\n"
        "with t.assertRaisesRegex(slotproof.RequestedAssertionFailed, 'is inactive.*be active'):\n"
        "    machine.require_unit_state('idle.service')\n"
        "with t.assertRaises(slotproof.RequestedAssertionFailed):\n"
        "    machine.require_unit_state('absent.service')\n");
    script_expect_commands(f,
        "1800000 systemctl --no-pager show 'good.service' --property='ActiveState'\n"
        "1800000 systemctl --no-pager show 'broken.service' --property='ActiveState'\n"
        "1800000 systemctl --no-pager show 'idle.service' --property='ActiveState'\n"
        "1800000 systemctl --no-pager show 'absent.service' --property='ActiveState'");
}

static void test_jobs(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f, "t.assertEqual((0, ''), machine.start_job('a b')[:1] + ('',))\n"
                            "machine.stop_job('c')\n"
                            "t.assertEqual(1, machine.stop_job(jobname='absent')[0])\n"
                            "machine.start_job('d', user='bob')\n");
    script_expect_commands(f,
        "1800000 systemctl start 'a b'\n1800000 systemctl stop 'c'\n"
        "1800000 systemctl stop 'absent'\n"
        "1800000 su -l 'bob' --shell /bin/sh -c 'XDG_RUNTIME_DIR=/run/user/$(id -u) "
        "systemctl --user start '\\''d'\\'''");
}

static void test_other_names(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f,
        "machine.copy_from_host_via_shell('a', 'b')\nmachine.copy_from_vm('c')\n"
        "machine.copy_from_vm(source='c', target_dir='d')\n"
        "machine.switch_root()\n"
        "machine.wait_for_open_unix_socket('/s')\n"
        "machine.wait_for_open_unix_socket(addr='/d', is_datagram=True, timeout=2)\n"
        "import os as other\nassert other is os\n");
    script_expect_commands(f,
        "copy_from_host a b\ncopy_from_machine c ''\ncopy_from_machine c 'd'\nswitch_root\n"
        "wait_for_unix_socket /s 0 1800000\nwait_for_unix_socket /d 1 2000");
}

static void test_monitor(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f,
        "machine.send_monitor_command('info \"x\"')\n"
        "seen = []\n"
        "def is_third(event):\n    seen.append(event)\n    return len(seen) == 3\n"
        "t.assertEqual(seen[2:], [machine.wait_for_qmp_event(is_third, timeout=5)][1:])\n"
        "t.assertEqual(3, len(seen))\nassert all('event' in event for event in seen)\n"
        "with t.assertRaises(ZeroDivisionError):\n"
        "    machine.wait_for_qmp_event(lambda event: 1 / 0)\n"
        "with t.assertRaises(TypeError):\n    machine.wait_for_qmp_event(3)\n");
    script_expect_commands(f,
        "qmp human-monitor-command {\"command-line\": \"info \\\"x\\\"\"}\n"
        "wait_for_event any 1\nwait_for_event any 1\nwait_for_event any 1\nwait_for_event any 1");
}

static void test_recording(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f,
        "t.assertEqual(machine.out_dir / 'recording', machine.record_disk())\n"
        "t.assertEqual(machine.out_dir / 'r', machine.record_disk(folder='r'))\n"
        "t.assertEqual(6000000000, machine.mark_recording('installed'))\n"
        "machine.stop_recording()\n"
        "for name in ['', 'a/b', '..']:\n"
        "    with t.assertRaises(ValueError):\n        machine.record_disk(name)\n"
        "with t.assertRaisesRegex(Exception, 'there already'):\n"
        "    machine.record_disk('there')\n"
        "with t.assertRaisesRegex(Exception, 'not being recorded'):\n"
        "    machine.mark_recording(name='late')\n");
    script_expect_commands(f, "record_disk recording\nrecord_disk r\nmark_recording installed\n"
                              "stop_recording\nrecord_disk there\nmark_recording late");
}

static void test_tty(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f,
        "import slotproof\n"
        "t.assertEqual('screen 2\\n', machine.get_tty_text('1'))\n"
        "machine.dump_tty_contents(tty=2)\n"
        "machine.wait_until_tty_matches('1', 'screen [4-9]$', timeout=100)\n"
        "with t.assertRaisesRegex(slotproof.RequestedAssertionFailed, '(?s)in time.*screen'):\n"
        "    machine.wait_until_tty_matches(1, 'never', 0)\n"
        "with t.assertRaisesRegex(slotproof.RequestedAssertionFailed, 'can.t be read'):\n"
        "    machine.get_tty_text(63)\n"
        "for bad in ['0', 64, '1; reboot', 'x', '']:\n"
        "    for call in [machine.get_tty_text, machine.dump_tty_contents]:\n"
        "        with t.assertRaisesRegex(ValueError, 'not a terminal'):\n            call(bad)\n"
        "import re\n"
        "with t.assertRaises(re.error):\n    machine.wait_until_tty_matches(1, '(')\n");
}

static void test_nested(ScriptFixture *f, gconstpointer data)
{
    const SpLogConfig config = {.dir = f->dir, .stream_fd = -1};
    const char *const parts[] = {"gateway: a\n", "    d\n", "      subtest: e\n",
        "    (finished: subtest: e", "  (finished: d", "(finished: a", "gateway: f\n", "(failed: f",
        "the end\n"};
    g_autofree char *path = g_build_filename(f->dir, "log.txt", NULL);
    g_autofree char *events = g_build_filename(f->dir, "events.jsonl", NULL);
    g_autofree char *text = NULL;
    const char *at;

    f->log = sp_log_new(&config, NULL);
    script_expect_passed(f, "with machine.nested('a', {'b': 'c'}), log.nested(message='d'):\n"
                            "    with subtest('e'):\n        pass\n"
                            "with t.assertRaises(KeyError), machine.nested('f'):\n"
                            "    raise KeyError()\n"
                            "serial_stdout_on()\nserial_stdout_off()\nlog('the end')\n");
    g_assert_cmpstr(f->subtests->str, ==, "+e ");
    sp_log_free(f->log);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    at = text;
    for (gsize i = 0; i < G_N_ELEMENTS(parts); i++) {
        at = strstr(at, parts[i]);
        if (!at)
            g_error("'%s' is missing in: %s", parts[i], text);
    }
    g_unlink(path);
    g_unlink(events);
}

static void test_no_windows(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f,
        "for call in [machine.wait_for_x, lambda: machine.wait_for_window('x', timeout=3),\n"
        "             machine.get_window_names]:\n"
        "    with t.assertRaisesRegex(NotImplementedError, 'X11.*wait_for_text'):\n"
        "        call()\n");
}

static void test_join(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(
        f, "start_all()\njoin_all()\nassert not any(m.is_up() for m in machines)\n");
    script_expect_commands(f, "start 0\nwait_for_shutdown");
}

/* What create_machine() makes machines of. */
static SpMachine *create(const SpScriptMachine *wanted, void *data, GError **error)
{
    ScriptFixture *f = data;
    SpMachineConfig config = {
        .name = wanted->name, .out_dir = "/nowhere", .interrupt = sp_script_interrupt()};

    if (wanted->nics == 9) {
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "too many networks");
        return NULL;
    }
    g_string_append_printf(f->subtests, "%s of %s on %zu:%u with %u, %u, %s; ", wanted->name,
        wanted->image ? wanted->image : "any", wanted->nics,
        wanted->nics > 0 ? wanted->networks[wanted->nics - 1] : 0, wanted->memory_mib, wanted->cpus,
        wanted->disk ? wanted->disk : "its own");
    f->machines[f->n_machines] = sp_machine_new(&config, NULL);
    return f->machines[f->n_machines++];
}

static void test_create(ScriptFixture *f, gconstpointer data)
{
    const char *text = "assert machine is gateway\n"
                       "other = create_machine('other', image='i', networks=[1, 7], memory=256,\n"
                       "                       cpus=2, disk='/d')\n"
                       "assert isinstance(other, Machine) and machines == [gateway, other]\n"
                       "start_all()\nassert other.is_up()\n"
                       "for name in ['other', 'gateway', 'a b', 'import', '']:\n"
                       "    with t.assertRaises(ValueError):\n        create_machine(name)\n"
                       "for networks in [[-1], [1 << 40], range(9)]:\n"
                       "    with t.assertRaises((ValueError, OverflowError)):\n"
                       "        create_machine('x', networks=networks)\n"
                       "for bad in [{'networks': 1}, {'networks': ['x']}, {'memory': 'x'},\n"
                       "            {'cpus': 1.5}, {'disk': 3}]:\n"
                       "    with t.assertRaises(TypeError):\n        create_machine('x', **bad)\n"
                       "for bad in [{'memory': -1}, {'cpus': -1}]:\n"
                       "    with t.assertRaises(OverflowError):\n"
                       "        create_machine('x', **bad)\n"
                       "with t.assertRaises(TypeError):\n    create_machine({'image': 'x'})\n";

    f->create_func = create;
    script_expect_passed(f, text);
    g_assert_cmpstr(f->subtests->str, ==, "other of i on 2:7 with 256, 2, /d; ");
    f->create_func = NULL;
    script_expect_passed(f, "with t.assertRaises(Exception):\n    create_machine('y')\n");
}

/* Where nobody sits, a script goes on; and the prompt can run the script. */
static void test_no_prompt(ScriptFixture *f, gconstpointer data)
{
    script_expect_passed(f, "debug.breakpoint()\nimport builtins\n"
                            "assert breakpoint is builtins.breakpoint\n"
                            "if 'again' not in globals():\n"
                            "    again = True\n    test_script()\n    machine.start()\n");
    script_expect_commands(f, "start 0");
}

/* Modules come from the script's directory and from the one that the configuration names. */
static void test_tests_dir(ScriptFixture *f, gconstpointer data)
{
    g_autofree char *tests = g_dir_make_tmp("slotproof-test-XXXXXX", NULL);
    g_autofree char *module = g_build_filename(tests, "shared_by_tests.py", NULL);

    g_assert_true(g_file_set_contents(module, "x = 1\n", -1, NULL));
    f->tests_dir = tests;
    script_expect_passed(f, "import sys\nsys.dont_write_bytecode = True\n"
                            "import shared_by_tests\nassert shared_by_tests.x == 1\n");
    f->tests_dir = NULL;
    g_assert_cmpint(g_unlink(module), ==, 0);
    g_assert_cmpint(g_rmdir(tests), ==, 0);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*test)(ScriptFixture *f, gconstpointer data);
    } tests[] = {
        {"/script-api/units", test_units},
        {"/script-api/jobs", test_jobs},
        {"/script-api/other-names", test_other_names},
        {"/script-api/monitor", test_monitor},
        {"/script-api/recording", test_recording},
        {"/script-api/tty", test_tty},
        {"/script-api/nested", test_nested},
        {"/script-api/no-windows", test_no_windows},
        {"/script-api/join", test_join},
        {"/script-api/create", test_create},
        {"/script-api/no-prompt", test_no_prompt},
        {"/script-api/tests-dir", test_tests_dir},
    };

    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, ScriptFixture, NULL, script_fixture_set_up, tests[i].test,
            script_fixture_tear_down);
    return g_test_run();
}
