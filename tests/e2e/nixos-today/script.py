# In the style of nixpkgs' tests of autumn 2026: with timedeltas, Paths and annotations, and a machine whose
# name has a hyphen.
import datetime as dt
import tempfile
from pathlib import Path

from test_driver.errors import RequestedAssertionFailed
from test_driver.machine import QemuMachine
from test_driver.machine.qmp import QMPAPIError

UNIT = """[Service]
Type=notify
ExecStart=/bin/sh -c 'sleep 1; systemd-notify --ready; exec sleep 1000'
NotifyAccess=all
"""


def boot(box: BaseMachine) -> None:
    box.start()
    box.wait_for_unit("basic.target", timeout=dt.timedelta(minutes=10))


assert my_box is machine and my_box in machines_qemu and my_box.name == "my-box"
assert isinstance(my_box, QemuMachine) and my_box.pid is None
boot(my_box)
assert my_box.pid and Path(f"/proc/{my_box.pid}").exists()


@subtest("a duration is a timedelta")
def durations():
    before = float(my_box.succeed("cut -d ' ' -f 1 /proc/uptime"))
    my_box.sleep(dt.timedelta(milliseconds=1500))
    my_box.sleep(duration=0.5)
    assert float(my_box.succeed("cut -d ' ' -f 1 /proc/uptime")) - before >= 2
    status, _ = my_box.execute("sleep 1000", timeout=dt.timedelta(seconds=1))
    assert status == 124


@subtest("an attempt that blocks is repeated within the total time")
def attempts():
    my_box.wait_until_succeeds(
        "echo try >> /run/attempts; test $(wc -l < /run/attempts) -ge 3 || exec sleep 600",
        timeout=dt.timedelta(minutes=5),
        attempt_timeout=dt.timedelta(seconds=2),
    )
    assert int(my_box.succeed("wc -l < /run/attempts")) == 3


@subtest("wait_for_file expands patterns as a shell does")
def files():
    my_box.execute("(sleep 1; touch ~/late-5.pid) >&2 &")
    my_box.wait_for_file("~/late-*.pid", timeout=dt.timedelta(minutes=1))
    my_box.wait_for_file("$HOME/late-[0-9].pid")
    my_box.wait_for_file(Path("/etc") / "os-release")
    with t.assertRaises(RequestedAssertionFailed):
        my_box.wait_for_file("/nowhere/*", timeout=dt.timedelta(seconds=1))


@subtest("files are copied by Path")
def copies():
    note = my_box.tmp_dir / "note"
    note.write_text("a note\n")
    my_box.copy_from_host(note, Path("/run/note"))
    my_box.copy_from_host_via_shell(str(note), "$HOME/note")
    my_box.succeed("cmp /run/note ~/note")
    my_box.copy_from_machine("/run/note", "back")
    assert (my_box.out_dir / "back" / "note").read_text() == "a note\n"
    with tempfile.TemporaryDirectory() as elsewhere:
        my_box.copy_from_machine("/run/note", elsewhere)
        assert (Path(elsewhere) / "note").read_text() == "a note\n"


@subtest("a unit goes through its states")
def states():
    unit = my_box.state_dir / "slow.service"
    unit.write_text(UNIT)
    my_box.copy_from_host(unit, "/run/systemd/system/slow.service")
    my_box.succeed("systemctl daemon-reload")
    my_box.wait_for_unit_active_state("slow.service", "inactive", timeout=dt.timedelta(minutes=1))
    my_box.succeed("systemctl start --no-block slow.service")
    my_box.wait_for_unit_active_state("slow.service", "active", timeout=120)


@subtest("QEMU's refusals have class and description")
def refusals():
    assert my_box.qmp_client
    try:
        my_box.qmp_client.send("this-command-does-not-exist")
    except QMPAPIError as error:
        assert error.class_name == "CommandNotFound"
        assert "this-command-does-not-exist" in error.description
        assert error.transaction_id is None
    else:
        raise AssertionError("expected QMPAPIError")
    assert my_box.qmp_client.send("query-status")["running"]


@subtest("the console's log starts again when the machine does")
def console():
    my_box.succeed("echo '<0>BEFORE_THE_RESTART' > /dev/kmsg")
    my_box.wait_for_console_text("BEFORE_THE_RESTART")
    assert "BEFORE_THE_RESTART" in my_box.get_console_log()
    my_box.shutdown()
    boot(my_box)
    my_box.succeed("echo '<0>AFTER_THE_RESTART' > /dev/kmsg")
    my_box.wait_for_console_text("AFTER_THE_RESTART")
    log_text = my_box.get_console_log()
    assert "AFTER_THE_RESTART" in log_text and "BEFORE_THE_RESTART" not in log_text


for part in (durations, attempts, files, copies, states, refusals, console):
    part()
