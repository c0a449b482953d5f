# What would wear a device out over the years, or leave it waiting for an operator: logs that fill memory or
# data, keys that are new at each boot, a kernel that stops after a panic, a LAN without a cable.
from appliance import Appliance

dut = Appliance(gateway, t)
MIB = 1024 * 1024
KEYS = "/data/tls/web.crt /data/tls/web.key /data/openvpn/ca.crt /data/openvpn/server.key /data/ssh/ssh_host_ed25519_key"


def sizes(pattern):
    # stat fails for a pattern that matches nothing, which then has no sizes: the callers assert on that
    lines = gateway.succeed(f"stat -c '%n %s' {pattern} 2>/dev/null || true").splitlines()
    return {name: int(size) for name, size in (line.split() for line in lines)}


with subtest("logs fill neither the data partition nor the memory"):
    t.assertEqual(("A", "1.0"), dut.running())
    # more than one log file holds, without the journal's rate limit
    gateway.succeed(
        "mkdir -p /run/systemd/journald.conf.d",
        "printf '[Journal]\\nRateLimitIntervalSec=0\\n' >/run/systemd/journald.conf.d/fast.conf",
        "systemctl restart systemd-journald",
        f"(seq 1150 | sed 's/$/{'x' * 4000}/'; echo end-of-flood) | logger -t flood",
        timeout=300,
    )
    gateway.wait_until_succeeds("grep -q end-of-flood /data/log/messages", timeout=300)
    files = sizes("/data/log/*")
    t.assertEqual(["/data/log/messages", "/data/log/messages.1"], sorted(files))
    for name, size in files.items():
        t.assertLess(size, 4.5 * MIB, name)
    t.assertGreater(files["/data/log/messages.1"], 3.5 * MIB, "the log was not rotated at its size")
    t.assertEqual({}, sizes("/var/log/journal"))
    journal = sum(sizes("/run/log/journal/*/*").values())
    # the journal is far smaller than its limit, which journald logs
    t.assertIn("max 32.0M", gateway.succeed("journalctl --sync; journalctl -b -u systemd-journald -o cat"))
    t.assertGreater(journal, 1 * MIB, "the journal is not where it is expected")

with subtest("file systems are mounted with the right options"):
    for mount, options in (("/data", {"rw", "nosuid", "nodev", "noatime"}), ("/state", {"rw", "nosuid", "nodev", "noexec", "noatime"}),
                           ("/run/rootfs-ro", {"ro"})):
        t.assertLessEqual(options, set(gateway.succeed(f"findmnt -no OPTIONS {mount}").strip().split(",")), mount)

with subtest("a shutdown that hangs is reset too"):
    t.assertEqual("1min\n", gateway.succeed("systemctl show --value -p RebootWatchdogUSec"))

with subtest("keys and data survive a boot, and what was lost is made again"):
    digests = gateway.succeed(f"sha256sum {KEYS}")
    gateway.succeed("echo kept >/data/note", "rm -r /data/config /data/tls/web.crt", "sync -f /data")
    # this boot is not a requested one: the kernel panics, and reboots by itself. The watchdog would do that
    # later, for a kernel that can't
    gateway.execute("echo c >/proc/sysrq-trigger", check_output=False, check_return=False)
    gateway.wait_for_qmp_event("RESET", timeout=60)
    t.assertIn("Kernel panic - not syncing: sysrq triggered crash", dut.console())
    with t.assertRaises(AssertionError):
        gateway.wait_for_qmp_event("WATCHDOG", timeout=0)
    gateway.wait_for_unit("multi-user.target")
    t.assertEqual("kept\n", gateway.succeed("cat /data/note"))
    gateway.succeed("test -d /data/config")
    after = gateway.succeed(f"sha256sum {KEYS}")
    is_tls = lambda line: "/data/tls/" in line
    for line in digests.splitlines():
        (t.assertNotIn if is_tls(line) else t.assertIn)(line, after.splitlines())

with subtest("the LAN is up without a cable, so that a release can be confirmed"):
    t.assertEqual("", gateway.succeed("systemctl list-units --failed --plain --no-legend"))
    gateway.block(2)
    gateway.wait_until_succeeds("grep -x 0 /sys/class/net/lan/carrier", timeout=60)
    gateway.succeed("systemctl stop systemd-networkd.socket systemd-networkd", "ip address flush dev lan", "systemctl start systemd-networkd")
    gateway.wait_until_succeeds("ip -4 -o address show dev lan | grep -F 172.20.30.1/24", timeout=60)
    t.assertEqual("0\n", gateway.succeed("cat /sys/class/net/lan/carrier"))
    gateway.unblock(2)

with subtest("a kernel that finds a bug in itself (an oops) does not continue"):
    t.assertEqual("1\n1\n", gateway.succeed("cat /proc/sys/kernel/panic_on_oops /proc/sys/kernel/panic"))
    t.assertIn("panic=1", gateway.succeed("cat /proc/cmdline").split())

gateway.crash()
