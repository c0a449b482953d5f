# The slot selector loses its boot state: it is damaged, used up, can't be written, or its partition is gone.
# Each time a good slot boots, and the console says why.
import errno

from appliance import Appliance, device

dut = Appliance(gateway, t)


def boot_after(*commands):
    """Change the state as a power cut would leave it, cut power and start."""
    gateway.load_snapshot("B is good")
    gateway.succeed(*commands, "sync")
    gateway.crash()
    gateway.start(allow_reboot=True)


def wait_for(*lines):
    for line in lines:
        gateway.wait_for_console_text(f"slot-selector: {line}", timeout=120)


with subtest("release 2.0 runs in slot B and is good"):
    gateway.succeed("systemctl stop os-verification")
    gateway.succeed("rauc status mark-good booted")
    t.assertEqual((3, True), dut.slot_state("B"))
    t.assertEqual(("B", "2.0"), dut.running())
    gateway.save_snapshot("B is good")

for name, damage in (
    ("empty", ": >/state/boot-state"),
    ("cut off", "truncate -s 40 /state/boot-state"),
    ("altered", "sed -i s/BOOT_A_LEFT=3/BOOT_A_LEFT=2/ /state/boot-state"),
    ("missing", "rm /state/boot-state"),
):
    with subtest(f"the boot state is {name}: the last good slot boots"):
        boot_after(damage)
        wait_for(r"boot state .*last good slot B", r"slot B \(good\)")

with subtest("the system that boots has its boot state back"):
    gateway.wait_for_unit("multi-user.target")
    t.assertEqual(("B", "2.0"), dut.running())
    t.assertIn("last good slot B", gateway.succeed("journalctl --sync; journalctl -b -t slot-selector -o cat"))
    gateway.succeed("rauc status mark-good booted")
    t.assertEqual((3, True), dut.slot_state("B"))
    t.assertEqual({"booted": "B", "primary": "B", "A": "bad", "B": "good"}, dut.rauc())

with subtest("the last good slot is unknown too: slot A boots, as on a device fresh from the factory"):
    boot_after("rm /state/boot-state; echo LAST_GOOD=C >/state/last-good")
    wait_for(r"slot A \(good\)")

with subtest("no slot has attempts left: the last good one boots once more"):
    boot_after("rauc status mark-bad other; rauc status mark-bad booted")
    wait_for("no slot is left to choose, trying the last good slot")

with subtest("an attempt that can't be recorded is not made: the good slot boots"):
    gateway.load_snapshot("B is good")
    gateway.succeed("rauc status mark-active other; rauc status mark-bad other; rauc status mark-active other", "sync")
    t.assertEqual((3, False), dut.slot_state("A"))
    # so that nothing is left to be written before the selector reads it
    gateway.succeed("systemctl stop rauc", "mount -o remount,ro /state")
    faults = [{"event": "none", "iotype": "write", "errno": errno.EIO}]
    gateway.qmp("blockdev-add", driver="blkdebug", image="overlay0", **{"node-name": "faulty0", "inject-error": faults})
    gateway.qmp("blockdev-reopen", options=[{"driver": "raw", "node-name": "disk0", "discard": "unmap", "file": "faulty0"}])
    count = len(dut.boots())
    gateway.qmp("system_reset")
    wait_for("boot state can't be written: ", r"slot B \(good\)")
    t.assertEqual([("A", "attempt 1 of 3"), ("B", "good")], dut.boots()[count:])
    # the fault ends with this QEMU
    gateway.crash()

with subtest("the partition is gone: the selector chooses a slot all the same"):
    boot_after(f"dd if=/dev/zero of={device('state')} bs=1M count=8 oflag=direct")
    wait_for("boot state can't be read: mount the state partition: ", r"slot A \(good\)")

gateway.crash()
