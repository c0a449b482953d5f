# A boot that ends in any way is told from the next one, and waits end in time.
from driver_calls import failure


def message(call, *args, **kwargs):
    """The message of the exception that the call must raise."""
    return failure(call, *args, kind=AssertionError, **kwargs)[0]


with subtest("a time-out counts from the call, and its message says what was seen"):
    m.start(allow_reboot=True)
    m.qmp("stop")
    for wait in (
        lambda: m.wait_for_unit("basic.target", timeout=1),
        lambda: m.wait_for_file("/etc", timeout=1),
        lambda: m.wait_for_open_port(22, timeout=1),
        lambda: m.succeed("true", timeout=1),
        lambda: m.execute("true", timeout=1),
        lambda: m.wait_until_succeeds("true", timeout=1),
        lambda: m.connect(timeout=1),
        lambda: m.wait_for_boot(timeout=1),
    ):
        text, seconds = failure(wait, kind=AssertionError)
        # a loaded host may be late, but by nothing like the 900 s that a wait takes by default
        t.assertLess(seconds, 60)
        t.assertIn("did not answer in time", text)
        t.assertIn("nothing since it was started", text)
    m.qmp("cont")
    m.wait_for_unit("basic.target")

with subtest("another boot is recognised, whatever starts it"):
    boots: list[str | None] = [m.succeed("cat /proc/sys/kernel/random/boot_id").strip()]
    t.assertEqual(boots[0], m.boot_id)
    m.succeed("echo here >/run/boot")
    for reboot in ("systemctl reboot", "echo b >/proc/sysrq-trigger"):
        # the reboot comes after the call below has succeeded in the old boot
        m.execute(f"until [ -e /run/go ]; do sleep 0.1; done; {reboot}", check_output=False)
        t.assertEqual("here\n", m.succeed("cat /run/boot; touch /run/go"))
        m.connected = False
        t.assertFalse(m.connected)
        m.wait_for_unit("basic.target")
        t.assertEqual(1, m.execute("test -e /run/boot")[0])
        t.assertNotIn(m.boot_id, boots)
        boots.append(m.boot_id)
        m.succeed("echo here >/run/boot")
    m.execute("reboot -f", check_output=False)
    m.wait_for_boot()
    t.assertNotIn(m.boot_id, boots)
    t.assertEqual(m.boot_id, m.succeed("cat /proc/sys/kernel/random/boot_id").strip())

with subtest("a reboot that does not come is reported"):
    t.assertIn("still answers in the boot that it is to leave", message(m.wait_for_boot, timeout=2))
    m.connected = False
    t.assertIn("in another boot than before", message(m.succeed, "true", timeout=2))
    m.crash()
    m.start()
    m.wait_for_unit("basic.target")

with subtest("a unit that prevents the shutdown is named"):
    m.succeed(
        "printf '[Service]\\nExecStart=/bin/sleep infinity\\nExecStop=/bin/sleep infinity\\n"
        "TimeoutStopSec=infinity\\n' >/run/systemd/system/stays.service",
        "systemctl daemon-reload",
        "systemctl start stays.service",
    )
    text = message(m.shutdown, timeout=20)
    t.assertIn("did not shut down in time", text)
    t.assertIn("stays.service", text)
    m.crash()
