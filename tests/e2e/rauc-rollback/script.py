# A bad release is left by itself, whatever is bad about it, and the device goes on with what it had.
import random
import time

from appliance import Appliance, device

dut = Appliance(gateway)
NOTE = "slot B: 3 attempts used, falling back to A"
B_THRICE = [("B", f"attempt {n} of 3") for n in (1, 2, 3)]
bases = []


def check_fallback(note):
    """Slot A runs, B is bad, and the journal knows why."""
    t.assertEqual(("A", "1.0"), dut.running())
    t.assertEqual({"booted": "A", "primary": "A", "A": "good", "B": "bad"}, dut.rauc())
    t.assertEqual((0, False), dut.slot_state("B"))
    t.assertEqual((3, True), dut.slot_state("A"))
    t.assertEqual("LAST_GOOD=A", gateway.succeed("head -n 1 /state/last-good").strip())
    said = dut.journal("-t slot-selector -o cat")
    if note:
        t.assertIn(note, said)
    else:
        t.assertEqual("", said)


def check_recovery():
    """A good release can still be installed, and boots; then back to the beginning. It was booted
    the first time; the next times it is enough that what boots is the same to the byte."""
    dut.install("release-2.0")
    t.assertEqual("B", dut.rauc()["primary"])
    bases.append(dut.boot_basis())
    if len(bases) == 1:
        dut.reboot()
        t.assertEqual(("B", "2.0"), dut.running())
        t.assertEqual((2, False), dut.slot_state("B"))
    t.assertEqual(bases[0], bases[-1])
    gateway.load_snapshot("slot A")
    t.assertEqual(("A", "1.0"), dut.running())


def boots_since(count):
    return dut.boots()[count:]


with subtest("release 1.0 runs in slot A"):
    t.assertEqual(("A", "1.0"), dut.running())
    for name in ["release-2.0", "unhealthy", "panic"]:
        dut.bundle(name)
    gateway.save_snapshot("slot A")

with subtest("a slot marked bad is not booted"):
    dut.install("release-2.0")
    t.assertEqual("B", dut.rauc()["primary"])
    gateway.save_snapshot("slot A, 2.0 in slot B")
    gateway.succeed("rauc status mark-bad other")
    count = len(dut.boots())
    dut.reboot()
    t.assertEqual([("A", "good")], boots_since(count))
    check_fallback(NOTE)
    check_recovery()

with subtest("a release that fails its health check is left after three boots"):
    dut.install("unhealthy")
    count = len(dut.boots())
    gateway.reboot()
    dut.wait_until_boots("A")
    t.assertEqual([*B_THRICE, ("A", "good")], boots_since(count))
    check_fallback(NOTE)
    reasons = dut.messages().count("slot B stays unconfirmed: dnsmasq.service has failed")
    t.assertEqual(3, reasons, "each boot of B must have said why it was not confirmed")
    t.assertNotIn("slot B is confirmed", dut.messages())
    check_recovery()

with subtest("a release whose kernel panics is left after three boots"):
    dut.install("panic")
    count = len(dut.boots())
    panics = dut.console().count("Kernel panic")
    gateway.reboot()
    dut.wait_until_boots("A")
    t.assertEqual([*B_THRICE, ("A", "good")], boots_since(count))
    t.assertEqual(3, dut.console().count("Kernel panic") - panics)
    check_fallback(NOTE)
    check_recovery()

with subtest("a release whose root file system is broken is left after three boots"):
    gateway.load_snapshot("slot A, 2.0 in slot B")
    gateway.succeed(f"dd if=/dev/zero of={device('rootfs-b')} bs=1M count=1 oflag=direct")
    count = len(dut.boots())
    gateway.reboot()
    dut.wait_until_boots("A")
    t.assertEqual([*B_THRICE, ("A", "good")], boots_since(count))
    check_fallback(NOTE)

with subtest("a kernel that is broken or missing is an attempt used, without a reset"):
    gateway.save_snapshot("slot A, boot-b whole")
    for breakage, reason in [
        ("rm /run/b/initrd.img", "slot B does not boot: boot-b: initrd.img: No such file"),
        ("truncate -s 1M /run/b/vmlinux.lz4", "slot B does not boot: boot-b: vmlinux.lz4: "),
        ("rm /run/b/vmlinux.lz4", "slot B does not boot: boot-b: vmlinuz: No such file"),
    ]:
        gateway.load_snapshot("slot A, boot-b whole")
        gateway.succeed(
            "rauc status mark-active other",
            f"mkdir -p /run/b; mount {device('boot-b')} /run/b",
            breakage,
            "umount /run/b",
            "sync",
        )
        count = len(dut.boots())
        gateway.crash()
        gateway.start(allow_reboot=True)
        gateway.wait_for_console_text(f"slot-selector: {reason}")
        gateway.wait_for_console_text(r"slot-selector: slot A \(good\)")
        t.assertEqual([("B", "attempt 1 of 3"), ("A", "good")], boots_since(count))
    # the last of them to its end
    gateway.wait_for_unit("multi-user.target")
    t.assertEqual([("B", "attempt 1 of 3"), ("A", "good")], boots_since(count))
    t.assertEqual(("A", "1.0"), dut.running())
    t.assertEqual((2, False), dut.slot_state("B"))
    t.assertEqual((3, True), dut.slot_state("A"))
    t.assertIn(reason, dut.journal("-t slot-selector -o cat"))
    gateway.load_snapshot("slot A, boot-b whole")

with subtest("ten quick power cycles leave a good slot where it is"):
    count = len(dut.boots())
    gateway.succeed("sync")
    moments = random.Random(0)
    gateway.crash()
    # Most of them while the selector and the kernel run, where the boot state is read and may be
    # written; the others at any instant until the system is up.
    for until in [4] * 7 + [12] * 3:
        gateway.start(allow_reboot=True)
        time.sleep(moments.uniform(0, until))
        gateway.crash()
    dut.start()
    t.assertEqual(("A", "1.0"), dut.running())
    t.assertEqual({("A", "good")}, set(boots_since(count)))
    t.assertEqual((3, True), dut.slot_state("A"))

with subtest("where nothing boots, the console says so, and the machine tries again"):
    for partition in ["boot-a", "boot-b"]:
        gateway.succeed(f"dd if=/dev/zero of={device(partition)} bs=1M count=1 oflag=direct")
    gateway.reboot()
    for _ in range(2):
        gateway.wait_for_console_text("slot-selector: no slot boots, resetting", timeout=120)
        t.assertEqual("reset", gateway.wait_for_qmp_event("WATCHDOG", timeout=60)["action"])

gateway.crash()
