# If the kernel or initramfs of a slot can't be read, the slot selector starts the other slot at once.
from appliance import device
from rollback import Rollback

dut = Rollback(gateway, t)

with subtest("a damaged or missing kernel or initramfs uses an attempt, without a reset"):
    gateway.save_snapshot("boot-b whole")
    for breakage, reason in [
        ("rm /run/b/initrd.img", "slot B does not boot: boot-b: initrd.img: No such file"),
        ("truncate -s 1M /run/b/vmlinux.lz4", "slot B does not boot: boot-b: vmlinux.lz4: "),
        ("rm /run/b/vmlinux.lz4", "slot B does not boot: boot-b: vmlinuz: No such file"),
    ]:
        gateway.load_snapshot("boot-b whole")
        gateway.succeed(
            f"mkdir -p /run/b; mount {device('boot-b')} /run/b",
            breakage,
            "umount /run/b",
            "sync",
        )
        dut.count = len(dut.boots())
        gateway.crash()
        gateway.start(allow_reboot=True)
        gateway.wait_for_console_text(f"slot-selector: {reason}")
        gateway.wait_for_console_text(r"slot-selector: slot A \(good\)")
        t.assertEqual([("B", "attempt 1 of 3"), ("A", "good")], dut.boots_since())

with subtest("the last of these boots, once complete, has logged why"):
    gateway.wait_for_unit("multi-user.target")
    t.assertEqual([("B", "attempt 1 of 3"), ("A", "good")], dut.boots_since())
    t.assertEqual(("A", "1.0"), dut.running())
    t.assertEqual((2, False), dut.slot_state("B"))
    t.assertEqual((3, True), dut.slot_state("A"))
    t.assertIn(reason, dut.journal("-t slot-selector -o cat"))

gateway.crash()
