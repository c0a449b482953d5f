# What a script can do with a machine, with a real guest: the results, the errors, and that a wait fails
# immediately if its condition can't become true any more.
import os

from driver_calls import failure, start_echo, talk
from slotproof import MachineError


def event_is_there(name):
    """Whether QEMU has sent this event; consumes it."""
    try:
        gateway.wait_for_qmp_event(name, timeout=0)
    except AssertionError:
        return False
    return True


with subtest("commands"):
    t.assertEqual("a\nb\n", gateway.succeed("echo a", "echo b"))
    t.assertEqual((3, "x\n"), gateway.execute("echo x; exit 3"))
    t.assertEqual((143, ""), gateway.execute("kill -TERM $$"))
    t.assertEqual(124, gateway.execute("sleep 1000", timeout=1)[0])
    t.assertEqual("", gateway.fail("test -e /nowhere"))
    # errexit, nounset and pipefail
    gateway.fail("false; true")
    gateway.fail("false | true")
    gateway.fail("echo $not_set_anywhere")
    message, _ = failure(gateway.succeed, "echo seen; echo said >&2; exit 5")
    for part in ["echo seen; echo said >&2; exit 5", "status 5", "seen", "said"]:
        t.assertIn(part, message)
    failure(gateway.fail, "true")
    gateway.execute("sleep 1000 & echo $! >/run/left", check_output=True)
    gateway.succeed("kill -0 $(cat /run/left)", "kill $(cat /run/left)")

# each condition becomes true late on purpose, when the wait has begun
with subtest("waits that succeed"):
    gateway.execute("sleep 0.3; touch /run/appears", check_output=False)
    gateway.wait_for_file("/run/appears")
    gateway.wait_for_open_port(22)
    gateway.wait_for_closed_port(23)
    gateway.execute("sleep 0.3; rm /run/appears", check_output=False)
    gateway.wait_until_fails("test -e /run/appears")
    gateway.execute("sleep 0.3; echo done >/run/appears", check_output=False)
    t.assertEqual("done\n", gateway.wait_until_succeeds("cat /run/appears"))
    gateway.succeed("systemctl stop ssh")
    gateway.wait_for_closed_port(22)
    gateway.execute("sleep 0.3; systemctl start ssh", check_output=False)
    gateway.wait_until_succeeds("systemctl list-jobs | grep ssh || systemctl is-active ssh")
    gateway.wait_for_unit("ssh")

with subtest("waiting for a port makes no connection"):
    start_echo(gateway)
    gateway.wait_for_open_port(7007, "127.0.0.1")
    gateway.wait_for_open_port(7007)
    failure(gateway.wait_for_closed_port, 7007, timeout=1)
    t.assertEqual("0", gateway.get_unit_property("echo.socket", "NAccepted"))
    gateway.succeed("systemctl stop echo.socket")
    gateway.wait_for_closed_port(7007)

with subtest("waits that fail"):
    message, seconds = failure(gateway.wait_for_unit, "no-such.service")
    t.assertIn("no such unit", message)
    t.assertLess(seconds, 30)
    gateway.succeed("systemd-run --unit=fails --no-block false")
    gateway.wait_until_succeeds("systemctl is-failed fails")
    message, seconds = failure(gateway.wait_for_unit, "fails.service")
    t.assertIn("exit-code", message)
    t.assertLess(seconds, 30)
    t.assertIn("/run/never", failure(gateway.wait_for_file, "/run/never", timeout=0.5)[0])
    t.assertIn("23", failure(gateway.wait_for_open_port, 23, timeout=0.5)[0])
    failure(gateway.wait_until_succeeds, "false", timeout=0.5)

with subtest("why a unit does not become active"):
    for name, lines in [
        ("ran", "[Service]\\nType=oneshot\\nExecStart=true\\n"),
        ("unmet", "[Unit]\\nConditionPathExists=/nowhere\\n[Service]\\nExecStart=sleep 1000\\n"),
        ("bad", "[Service]\\nExecStrat=true\\n"),
    ]:
        gateway.succeed(f"printf '{lines}' >/run/systemd/system/{name}.service")
    # systemd keeps a unit that a target wants when the unit has ended
    gateway.succeed(
        "ln -s /dev/null /run/systemd/system/barred.service",
        "mkdir -p /run/systemd/system/multi-user.target.wants",
        "ln -s ../ran.service ../unmet.service /run/systemd/system/multi-user.target.wants",
        "systemctl daemon-reload",
        "systemctl start ran unmet",
    )
    for name, words in [
        ("ran", ["oneshot", "Result=success", "SubState=dead"]),
        ("barred", ["masked", "LoadState=masked"]),
        ("unmet", ["condition", "ConditionResult=no"]),
        ("bad", ["setting", "LoadState=bad-setting"]),
        ("foo bar", ["'foo bar'", "spaces"]),
        ("", ["empty"]),
        ("inst@", ["template"]),
        ("ssh*", ["pattern"]),
    ]:
        message, _ = failure(gateway.wait_for_unit, name)
        for part in ["machine 'gateway'", *words]:
            t.assertIn(part, message)

with subtest("units"):
    t.assertEqual("active", gateway.get_unit_property("ssh.service", "ActiveState"))
    t.assertEqual("loaded", gateway.get_unit_info("ssh.service")["LoadState"])
    t.assertEqual(0, gateway.systemctl("is-active ssh")[0])

    gateway.require_unit_state("ssh")
    t.assertIn("is active", failure(gateway.require_unit_state, "ssh", "inactive")[0])
    t.assertEqual(0, gateway.stop_job("ssh")[0])
    gateway.require_unit_state("ssh", "inactive")
    t.assertEqual(0, gateway.start_job("ssh")[0])
    gateway.require_unit_state("ssh")
    t.assertNotEqual(0, gateway.start_job("no-such")[0])

with subtest("sockets"):
    gateway.wait_for_open_unix_socket("/run/dbus/system_bus_socket")
    gateway.wait_for_open_unix_socket("/dev/log", is_datagram=True)
    failure(gateway.wait_for_open_unix_socket, "/dev/log", timeout=0.5)
    message, _ = failure(gateway.wait_for_open_unix_socket, "/run/never", timeout=0.5)
    t.assertIn("/run/never", message)

with subtest("virtual terminals"):
    gateway.succeed("printf '\\033c* one\\n* two\\n' >/dev/tty1")
    t.assertRegex(gateway.get_tty_text(1), r"^\* one +\n\* two +\n")
    gateway.execute("sleep 0.5; echo '* late' >/dev/tty1", check_output=False)
    gateway.wait_until_tty_matches("1", r"\* la.e", timeout=60)
    message, _ = failure(gateway.wait_until_tty_matches, "1", "never", timeout=0.5)
    t.assertIn("* late", message)
    gateway.dump_tty_contents("1")

with subtest("polling conditions"):
    gateway.succeed("touch /run/tap")

    @polling_condition(seconds_interval=0.3)
    def tap_is_open():
        gateway.succeed("test -e /run/tap")

    with tap_is_open:
        gateway.succeed("true")
        gateway.execute("sleep 2; rm /run/tap; sleep 1; touch /run/tap", check_output=False)
        message, seconds = failure(gateway.wait_for_file, "/run/never")
        t.assertIn("tap_is_open", message)
        t.assertLess(seconds, 60)
    tap_is_open.wait(timeout=60)

with subtest("files and directories are copied both ways"):
    here = os.path.join(gateway.out_dir, "here")
    os.makedirs(os.path.join(here, "below"))
    with open(os.path.join(here, "below", "file"), "wb") as file:
        file.write(bytes(range(256)) * 5000)
    os.chmod(os.path.join(here, "below", "file"), 0o640)
    os.symlink("below/file", os.path.join(here, "link"))
    gateway.copy_from_host(os.path.join(here, "below", "file"), "/run/new/directory/name")
    gateway.copy_from_host(os.path.join(here, "below", "file"), "/run/new/directory")
    gateway.copy_from_host(here, "/run/new/tree")
    gateway.succeed(
        "cmp /run/new/directory/name /run/new/directory/file",
        "cmp /run/new/directory/name /run/new/tree/below/file",
        "test $(stat -c %a:%u /run/new/tree/below/file) = 640:0",
        "test $(readlink /run/new/tree/link) = below/file",
    )
    gateway.copy_from_machine("/run/new/directory/name", "back")
    gateway.copy_from_machine("/run/new/tree", "back")
    for path in ["back/name", "back/tree/below/file"]:
        with open(os.path.join(gateway.out_dir, path), "rb") as copy:
            t.assertEqual(bytes(range(256)) * 5000, copy.read())
    t.assertEqual("below/file", os.readlink(os.path.join(gateway.out_dir, "back/tree/link")))
    failure(gateway.copy_from_machine, "/run/never")
    failure(gateway.copy_from_machine, "/run/appears", "../..", kind=ValueError)
    failure(gateway.copy_from_host, "/nowhere/at/all", "/run/x", kind=ValueError)
    t.assertEqual("", gateway.succeed("find /run/new -name '*new-*'"))

with subtest("QMP, the monitor, and written bytes"):
    t.assertEqual("running", gateway.qmp("query-status")["status"])
    message, _ = failure(gateway.qmp, "no-such-command", kind=Exception)
    t.assertIn("no-such-command", message)
    # restoring a checkpoint leaves no event that a script could see
    t.assertFalse(event_is_there("RESUME"))
    gateway.qmp("stop")
    gateway.wait_for_qmp_event("STOP", timeout=10)
    gateway.qmp("cont")
    gateway.wait_for_qmp_event("RESUME", timeout=10)
    failure(gateway.wait_for_qmp_event, "NEVER", timeout=0.5, kind=Exception)
    t.assertIn("VM status: running", gateway.send_monitor_command("info status"))
    gateway.qmp("stop")
    gateway.qmp("cont")
    event = gateway.wait_for_qmp_event(lambda event: event["event"] == "RESUME", timeout=10)
    t.assertIn("timestamp" if "timestamp" in event else "event", event)
    failure(gateway.wait_for_qmp_event, "STOP", timeout=0.1, kind=Exception)
    written = gateway.disk_written()
    gateway.execute("sleep 0.5; dd if=/dev/zero of=/data/zeros bs=1M count=8 oflag=direct", check_output=False)
    gateway.wait_for_disk_written(written + 8000000, timeout=60)
    failure(gateway.wait_for_disk_written, 1 << 60, timeout=0.5, kind=Exception)

with subtest("snapshots"):
    gateway.succeed("systemctl reset-failed; echo before >/run/memory; echo before >/data/disk; sync -f /data")
    gateway.save_snapshot("before")
    for power_cut in [False, True]:
        gateway.succeed("echo after >/run/memory; echo after >/data/disk; sync -f /data")
        if power_cut:
            gateway.crash()
        gateway.load_snapshot("before")
        t.assertEqual("before\n", gateway.succeed("cat /run/memory"))
        gateway.succeed("echo 3 >/proc/sys/vm/drop_caches")
        t.assertEqual("before\n", gateway.succeed("cat /data/disk"))
        t.assertEqual("", gateway.succeed("systemctl list-units --failed --plain --no-legend"))
    message, _ = failure(gateway.load_snapshot, "never saved", kind=ValueError)
    t.assertIn("never saved", message)
    t.assertEqual("running", gateway.qmp("query-status")["status"])

with subtest("a port of the host forwarded into the guest"):
    port = gateway.forward_port(0, 7007)
    t.assertIn("reset", talk(port, 1000))  # nothing listens yet
    start_echo(gateway)
    t.assertEqual("", talk(port, 0, 1000, 5000000, 1000000, 1000))
    message, _ = failure(gateway.forward_port, port, kind=ValueError)
    t.assertIn(f"port {port} ", message)
    t.assertEqual("0\n", gateway.succeed("pgrep -fc '[e]xe connect localhost' || true"))

with subtest("the agent is lost and comes back"):
    message, seconds = failure(
        gateway.succeed, "systemctl kill --signal=KILL slotproof-agent; sleep 1000", kind=MachineError
    )
    t.assertIn("agent", message)
    t.assertLess(seconds, 30)
    gateway.succeed("true")
    t.assertEqual("", talk(port, 1000))

with subtest("console text is found once"):
    gateway.succeed(r"printf '\r\n10%%\r20%%\r30%% done\r\nonce\r\nmore\r\n' >/dev/console")
    gateway.wait_for_console_text("^30%")
    gateway.wait_for_console_text("^once$")
    failure(gateway.wait_for_console_text, "^once$", timeout=1)
    gateway.wait_for_console_text("^more$")

with subtest("a program that writes the words of a panic is not taken for the kernel"):
    for line in ["Kernel panic - not syncing: said", "[    1.234567] Kernel panic - not syncing: said"]:
        gateway.succeed(f"printf '\\r\\n{line}\\r\\n' >/dev/console")
        gateway.wait_for_console_text("not syncing: said$")
        failure(gateway.wait_for_file, "/run/never", timeout=2)
        gateway.succeed("true")

with subtest("a panic ends a wait at once"):
    gateway.execute("sleep 1; echo c >/proc/sysrq-trigger", check_output=False)
    message, seconds = failure(gateway.wait_for_file, "/run/never", kind=MachineError)
    t.assertTrue("panic" in message or "reset" in message, message)
    t.assertLess(seconds, 60)
