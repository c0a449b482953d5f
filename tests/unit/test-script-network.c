/* SPDX-License-Identifier: MIT */

/* What a script does with a network, on which a target answers like a kernel. */

#include "base/error.h"
#include "fake-machine.h"
#include "fake-target.h"
#include "script/script.h"

#include <glib/gstdio.h>
#include <string.h>

typedef struct {
    char *dir;
    char *path;
    char *capture_path;
    SpAccel accel;
    SpMachine *machine;
    SpSwitch *networks[2];
    SpCapture *capture;
    FakeTarget *target;
    char *report;
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    SpMachineConfig config = {
        .name = "gateway",
        .accel = &f->accel,
        .interrupt = sp_script_interrupt(),
    };

    f->dir = g_dir_make_tmp("slotproof-test-XXXXXX", NULL);
    g_assert_nonnull(f->dir);
    f->path = g_build_filename(f->dir, "script.py", NULL);
    f->capture_path = g_build_filename(f->dir, "1.pcapng", NULL);
    f->accel.time_factor = 2;
    f->machine = sp_machine_new(&config, NULL);
    f->networks[0] = sp_switch_new("1", 1);
    f->networks[1] = sp_switch_new("7", 7);
    f->capture = sp_capture_new(f->capture_path, NULL);
    g_assert_nonnull(f->capture);
    sp_switch_set_capture(f->networks[0], f->capture);
    f->target = fake_target_new(f->networks[0]);
    fake_target_set_all(f->target, SP_PORT_SCAN_SILENT);
    f->target->tcp[22] = SP_PORT_SCAN_OPEN;
    f->target->tcp[23] = SP_PORT_SCAN_CLOSED;
    f->target->udp[53] = SP_PORT_SCAN_OPEN;
    f->target->udp[54] = SP_PORT_SCAN_REJECTED;
}

static void tear_down(Fixture *f, gconstpointer data)
{
    fake_target_free(f->target);
    for (gsize i = 0; i < G_N_ELEMENTS(f->networks); i++)
        sp_switch_free(f->networks[i]);
    sp_capture_free(f->capture);
    sp_machine_free(f->machine);
    g_unlink(f->path);
    g_unlink(f->capture_path);
    g_rmdir(f->dir);
    g_free(f->capture_path);
    g_free(f->path);
    g_free(f->dir);
    g_free(f->report);
}

static SpScriptOutcome run(Fixture *f, const char *text)
{
    const SpScriptNetwork networks[] = {
        {.number = 1, .sw = f->networks[0], .capture = f->capture},
        {.number = 7, .sw = f->networks[1]},
    };
    SpScriptConfig config = {
        .path = f->path,
        .machines = &f->machine,
        .n_machines = 1,
        .networks = networks,
        .n_networks = G_N_ELEMENTS(networks),
    };
    g_autoptr(GError) error = NULL;
    SpScriptOutcome outcome;

    g_assert_true(g_file_set_contents(f->path, text, -1, NULL));
    g_assert_true(sp_script_run(&config, &outcome, &f->report, &error));
    g_assert_no_error(error);
    return outcome;
}

static void expect_passed(Fixture *f, const char *text)
{
    SpScriptOutcome outcome = run(f, text);

    g_assert_cmpstr(f->report, ==, NULL);
    g_assert_cmpint(outcome, ==, SP_SCRIPT_PASSED);
}

static void test_networks(Fixture *f, gconstpointer data)
{
    expect_passed(f, "assert sorted(networks) == [1, 7]\n"
                     "assert networks[7].number == 7 and '7' in repr(networks[7])\n"
                     "one = networks[1].create_endpoint('one')\n"
                     "two = networks[1].create_endpoint('two', [])\n"
                     "assert one.mac != two.mac and one.link_local != two.link_local\n"
                     "own = networks[7].create_endpoint('own', mac='02:00:00:00:00:99')\n"
                     "assert own.mac == '02:00:00:00:00:99' and 'own' in repr(own)\n"
                     "assert two.ping(one.link_local) < 10\n");
}

static void test_probe(Fixture *f, gconstpointer data)
{
    expect_passed(f, "host = networks[1].create_endpoint('host', ('10.0.0.1/24', 'fd00::1/64'))\n"
                     "for address in ('10.0.0.2', 'fd00::2'):\n"
                     "    tcp = host.probe(address)\n"
                     "    assert tcp.open == [22] and tcp.closed == [23] and not tcp.rejected\n"
                     "    assert len(tcp.silent) == 65533 and 80 in tcp.silent\n"
                     "    udp = host.probe(address, 'udp', range(50, 56), timeout=60)\n"
                     "    assert udp.open == [53] and udp.rejected == [54]\n"
                     "    assert udp.silent == [50, 51, 52, 55] and udp.closed == []\n");
    /* a wait turns the context itself; another thread does when none waits */
    g_assert_cmpuint(f->target->elsewhere, <, f->target->frames / 2);
}

static void test_send(Fixture *f, gconstpointer data)
{
    expect_passed(f, "one = networks[1].create_endpoint('one', ['10.0.0.1/24', 'fd00::1/64'])\n"
                     "two = networks[1].create_endpoint('two', ['10.0.0.3/24', 'fd00::3/64'])\n"
                     "assert one.resolve('10.0.0.3') == two.mac\n"
                     "def came(filter):\n"
                     "    return len(networks[1].get_frames(filter))\n"
                     "one.send('udp', '10.0.0.3', 53, payload=b'hello')\n"
                     "assert came('udp dst port 53 and src host 10.0.0.1') == 1\n"
                     "one.send('tcp', 'fd00::3', 80, from_port=81)\n"
                     "assert came('ip6 and tcp and dst port 80 and src port 81') == 1\n"
                     /* lies */
                     "one.send('icmp', '192.0.2.1', source='192.0.2.7', mac=two.mac)\n"
                     "assert came(f'icmp and src host 192.0.2.7 and ether dst {two.mac}') == 1\n"
                     "one.send_frame(bytes(range(60)))\n"
                     "assert networks[1].get_frames()[-1] == bytes(range(60))\n"
                     "assert any(b'hello' in two.receive_frame() for _ in range(9))\n"
                     /* while the script does something else */
                     "one.send('udp', '10.0.0.3', 99, every=0.005)\n"
                     "retry(lambda last: came('udp dst port 99') > 3, 60)\n"
                     "one.stop()\n"
                     "seen = came('udp dst port 99')\n"
                     "two.ping('10.0.0.1')\n"
                     "assert came('udp dst port 99') == seen\n");
}

/* What is left running when the script ends goes with it. */
static void test_left(Fixture *f, gconstpointer data)
{
    guint64 before;

    expect_passed(f, "host = networks[1].create_endpoint('host', ['10.0.0.1/24'])\n"
                     "host.send('udp', '10.0.0.2', 99, every=0.001)\n"
                     "import sys; sys.kept = host\n");
    before = f->target->frames;
    for (guint i = 0; i < 10; i++)
        g_main_context_iteration(NULL, FALSE);
    g_assert_cmpuint(f->target->frames, ==, before);
}

static void test_errors(Fixture *f, gconstpointer data)
{
    expect_passed(f,
        "host = networks[1].create_endpoint('host', ['10.0.0.1/24'])\n"
        "def refused(type, part, call, *args, **kwargs):\n"
        "    with t.assertRaisesRegex(type, part):\n"
        "        call(*args, **kwargs)\n"
        "create = networks[1].create_endpoint\n"
        "refused(ValueError, 'no IP address', create, 'a', ['x/24'])\n"
        "refused(TypeError, 'a list', create, 'a', '10.0.0.9/24')\n"
        "refused(TypeError, '', create, 'a', [5])\n"
        "refused(ValueError, 'one station', create, 'a', mac='ff:ff:ff:ff:ff:ff')\n"
        "refused(ValueError, 'one station', create, 'a', mac='nonsense')\n"
        "refused(ValueError, 'no IP address', host.ping, '10.0.0')\n"
        "refused(TypeError, '', host.ping, 5)\n"
        "refused(ValueError, 'not a port', host.probe, '10.0.0.2', ports=[0])\n"
        "refused(ValueError, 'not a port', host.probe, '10.0.0.2', ports=[65536])\n"
        "refused(TypeError, '', host.probe, '10.0.0.2', ports=['a'])\n"
        "refused(TypeError, 'a list', host.probe, '10.0.0.2', ports=5)\n"
        "refused(ValueError, \"'tcp' or 'udp'\", host.probe, '10.0.0.2', 'sctp')\n"
        "refused(ValueError, \"'icmp', 'tcp'\", host.send, 'x', '10.0.0.2')\n"
        "refused(ValueError, '65535', host.send, 'udp', '10.0.0.2', 65536)\n"
        "refused(ValueError, 'seconds', host.send, 'udp', '10.0.0.2', every=-1)\n"
        "refused(ValueError, 'MAC', host.send, 'udp', '10.0.0.2', mac='x')\n"
        "refused(ValueError, '', host.send, 'udp', 'fd00::2', source='10.0.0.1', mac=host.mac)\n"
        "refused(ValueError, 'timeout is', host.ping, '10.0.0.2', timeout=-1)\n"
        /* what nobody answers is what a test claimed */
        "refused(AssertionError, '10.0.0.77', host.resolve, '10.0.0.77', timeout=0.1)\n"
        "refused(AssertionError, '', host.receive_frame, timeout=0)\n"
        "refused(ValueError, 'Capture=yes', networks[7].get_frames)\n"
        "refused(ValueError, 'nonsense', networks[1].get_frames, 'nonsense nonsense')\n");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*test)(Fixture *f, gconstpointer data);
    } tests[] = {
        {"/script-network/networks", test_networks},
        {"/script-network/probe", test_probe},
        {"/script-network/send", test_send},
        {"/script-network/left", test_left},
        {"/script-network/errors", test_errors},
    };

    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, Fixture, NULL, set_up, tests[i].test, tear_down);
    return g_test_run();
}
