# A freshly flashed device boots and makes the partitions that the factory leaves out, and its RAUC knows all
# four slots. The boot is cold, as booting is what is tested.
import json

from freshly_flashed import FreshlyFlashed

dut = FreshlyFlashed(gateway, t)
MIB = 1024 * 1024
# What the device must have, in this order, whatever the image's partitions.conf says: name, size in MiB (of
# data the least), whether the first boot makes it.
PARTITIONS = [
    ("state", 8, False),
    ("boot-a", 32, False),
    ("rootfs-a", 192, False),
    ("boot-b", 32, True),
    ("rootfs-b", 192, True),
    ("data", 64, True),
]
SLOTS = {
    "boot.0": ("boot-a", "A", None),
    "rootfs.0": ("rootfs-a", None, "boot.0"),
    "boot.1": ("boot-b", "B", None),
    "rootfs.1": ("rootfs-b", None, "boot.1"),
}


def rauc_slots():
    status = json.loads(gateway.succeed("rauc status --detailed --output-format=json"))
    return status, {name: slot for entry in status["slots"] for name, slot in entry.items()}


with subtest("the first boot reaches multi-user.target, in slot A"):
    gateway.start(allow_reboot=True)
    gateway.wait_for_console_text("slot-selector: slot A")
    dut.check_running_system()

with subtest("the first boot made slot B and data"):
    table = dut.partitions()
    t.assertEqual([name for name, _, _ in PARTITIONS], [name for name, *_ in table])
    for (name, mib, _), (_, start, sectors, _) in zip(PARTITIONS, table):
        t.assertEqual(0, start % 2048, f"{name} is not aligned")
        if name == "data":
            t.assertLessEqual(mib * MIB, sectors * 512, f"{name} is too small")
        else:
            t.assertEqual(mib * MIB, sectors * 512, f"{name} has the wrong size")
    for before, after in zip(table, table[1:]):
        t.assertLessEqual(before[1] + before[2], after[1], f"{before[0]} reaches into {after[0]}")
    t.assertEqual(sum(made for _, _, made in PARTITIONS), dut.made_partitions())
    disk = int(gateway.succeed("blockdev --getsz /dev/flash"))
    _, start, sectors, _ = table[-1]
    t.assertLess(disk - start - sectors, 4096, "data does not reach to the disk's end")

with subtest("RAUC lists all four slots"):
    status, slots = rauc_slots()
    t.assertEqual("slotproof-gateway", status["compatible"])
    t.assertEqual("A", status["booted"])
    t.assertEqual("boot.0", status["boot_primary"])
    t.assertEqual(sorted(SLOTS), sorted(slots))
    for name, (label, bootname, parent) in SLOTS.items():
        slot = slots[name]
        t.assertEqual(f"/dev/disk/by-partlabel/{label}", slot["device"], name)
        t.assertEqual(bootname, slot["bootname"], name)
        t.assertEqual(parent, slot["parent"], name)
        gateway.succeed(f"test -b {slot['device']}")
    t.assertEqual("booted", slots["boot.0"]["state"])
    t.assertEqual("active", slots["rootfs.0"]["state"])
    t.assertEqual("inactive", slots["boot.1"]["state"])
    t.assertEqual("inactive", slots["rootfs.1"]["state"])
    t.assertEqual("good", slots["boot.0"]["boot_status"])
    t.assertEqual("bad", slots["boot.1"]["boot_status"])

with subtest("the backend writes what RAUC decides"):
    t.assertEqual("A B", dut.boot_state()["BOOT_ORDER"])
    gateway.succeed("rauc status mark-bad")
    state = dut.boot_state()
    t.assertEqual(("0", "0"), (state["BOOT_A_LEFT"], state["BOOT_A_GOOD"]))
    t.assertEqual("bad", rauc_slots()[1]["boot.0"]["boot_status"])
    gateway.succeed("rauc status mark-good")
    state = dut.boot_state()
    t.assertEqual(("3", "1"), (state["BOOT_A_LEFT"], state["BOOT_A_GOOD"]))
    t.assertEqual(("0", "0"), (state["BOOT_B_LEFT"], state["BOOT_B_GOOD"]))
    t.assertEqual("good", rauc_slots()[1]["boot.0"]["boot_status"])
    t.assertIn("LAST_GOOD=A", gateway.succeed("cat /state/last-good").splitlines())
    gateway.succeed("rauc status mark-active other")
    state = dut.boot_state()
    t.assertEqual("B A", state["BOOT_ORDER"])
    t.assertEqual(("3", "0"), (state["BOOT_B_LEFT"], state["BOOT_B_GOOD"]))
    t.assertEqual("boot.1", rauc_slots()[0]["boot_primary"])
    gateway.succeed("rauc status mark-active booted", "rauc status mark-bad other")
    state = dut.boot_state()
    t.assertEqual("A B", state["BOOT_ORDER"])
    t.assertEqual("0", state["BOOT_B_LEFT"])
    t.assertEqual("boot.0", rauc_slots()[0]["boot_primary"])

gateway.shutdown()
