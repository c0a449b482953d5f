# A freshly flashed device boots, makes the partitions that the factory leaves out, and has a RAUC
# that knows all four slots. Both boots are cold: booting is the subject.
import json

MIB = 1024 * 1024
# name, size in MiB (None: the rest of the disk), made at the first boot
PARTITIONS = [
    ("state", 8, False),
    ("boot-a", 32, False),
    ("rootfs-a", 192, False),
    ("boot-b", 32, True),
    ("rootfs-b", 192, True),
    ("data", None, True),
]
SLOTS = {
    "boot.0": ("boot-a", "A", None),
    "rootfs.0": ("rootfs-a", None, "boot.0"),
    "boot.1": ("boot-b", "B", None),
    "rootfs.1": ("rootfs-b", None, "boot.1"),
}


def partitions():
    """Name, start, sectors and identity of each partition, as they lie on the disk."""
    lines = gateway.succeed(
        "udevadm settle",
        "partx --raw --noheadings --output NAME,START,SECTORS,UUID /dev/flash",
    )
    table = [line.split() for line in lines.splitlines()]
    return [(name, int(start), int(sectors), uuid) for name, start, sectors, uuid in table]


def table_digest():
    """A hash over both copies of the partition table, byte for byte."""
    return gateway.succeed("{ head -c 17408 /dev/flash; tail -c 16896 /dev/flash; } | sha256sum")


def made_partitions():
    log = gateway.succeed("journalctl --sync; journalctl -b -o cat -u systemd-repart.service")
    return log.count("Adding new partition")


def rauc_slots():
    status = json.loads(gateway.succeed("rauc status --detailed --output-format=json"))
    return status, {name: slot for entry in status["slots"] for name, slot in entry.items()}


def boot_state():
    lines = gateway.succeed("cat /state/boot-state").splitlines()
    return dict(line.split("=", 1) for line in lines)


def boot_id():
    return gateway.succeed("cat /proc/sys/kernel/random/boot_id")


def device_of(path):
    return gateway.succeed(f"realpath {path}").strip()


def check_running_system():
    """What holds at each boot of slot A."""
    gateway.wait_for_unit("multi-user.target")
    t.assertEqual("", gateway.succeed("systemctl list-units --failed --plain --no-legend"))
    for unit in ["dnsmasq", "chrony", "ssh", "rsyslog", "systemd-networkd"]:
        gateway.wait_for_unit(unit)
    # Our own kernel was started by the selector: what QEMU passed is not what it was given.
    words = gateway.succeed("cat /proc/cmdline").split()
    t.assertIn("rauc.slot=A", words)
    t.assertEqual([], [word for word in words if word.startswith("slot.arg=")])
    # The root is slot A's image, read-only, below a layer in memory.
    t.assertEqual("overlay", gateway.succeed("findmnt -no FSTYPE /").strip())
    lower = gateway.succeed("findmnt -no SOURCE,FSTYPE,OPTIONS /run/rootfs-ro").split()
    t.assertEqual(device_of("/dev/disk/by-partlabel/rootfs-a"), lower[0])
    t.assertEqual("squashfs", lower[1])
    t.assertIn("ro", lower[2].split(","))
    data = gateway.succeed("findmnt -no SOURCE,FSTYPE /data").split()
    t.assertEqual([device_of("/dev/disk/by-partlabel/data"), "f2fs"], data)


with subtest("the first boot reaches multi-user.target, in slot A"):
    gateway.start(allow_reboot=True)
    gateway.wait_for_console_text("slot-selector: slot A")
    check_running_system()

with subtest("the first boot made slot B and data"):
    table = partitions()
    t.assertEqual([name for name, _, _ in PARTITIONS], [name for name, *_ in table])
    for (name, mib, _), (_, start, sectors, _) in zip(PARTITIONS, table):
        t.assertEqual(0, start % 2048, f"{name} is not aligned")
        if mib is not None:
            t.assertEqual(mib * MIB, sectors * 512, f"{name} has the wrong size")
    for before, after in zip(table, table[1:]):
        t.assertLessEqual(before[1] + before[2], after[1], f"{before[0]} reaches into {after[0]}")
    t.assertEqual(sum(made for *_, made in PARTITIONS), made_partitions())
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
    t.assertEqual("A B", boot_state()["BOOT_ORDER"])
    gateway.succeed("rauc status mark-bad")
    state = boot_state()
    t.assertEqual(("0", "0"), (state["BOOT_A_LEFT"], state["BOOT_A_GOOD"]))
    t.assertEqual("bad", rauc_slots()[1]["boot.0"]["boot_status"])
    gateway.succeed("rauc status mark-good")
    state = boot_state()
    t.assertEqual(("3", "1"), (state["BOOT_A_LEFT"], state["BOOT_A_GOOD"]))
    t.assertEqual(("0", "0"), (state["BOOT_B_LEFT"], state["BOOT_B_GOOD"]))
    t.assertEqual("good", rauc_slots()[1]["boot.0"]["boot_status"])
    t.assertIn("LAST_GOOD=A", gateway.succeed("cat /state/last-good").splitlines())
    gateway.succeed("rauc status mark-active other")
    state = boot_state()
    t.assertEqual("B A", state["BOOT_ORDER"])
    t.assertEqual(("3", "0"), (state["BOOT_B_LEFT"], state["BOOT_B_GOOD"]))
    t.assertEqual("boot.1", rauc_slots()[0]["boot_primary"])
    gateway.succeed("rauc status mark-active booted", "rauc status mark-bad other")
    state = boot_state()
    t.assertEqual("A B", state["BOOT_ORDER"])
    t.assertEqual("0", state["BOOT_B_LEFT"])
    t.assertEqual("boot.0", rauc_slots()[0]["boot_primary"])

with subtest("the second boot repartitions nothing and keeps the data"):
    gateway.succeed("echo kept >/data/config/marker", "sync -f /data")
    first_table, first_digest, first_boot = partitions(), table_digest(), boot_id()
    gateway.reboot()
    check_running_system()
    t.assertNotEqual(first_boot, boot_id())
    t.assertEqual(first_table, partitions())
    t.assertEqual(first_digest, table_digest())
    t.assertEqual(0, made_partitions())
    t.assertEqual("kept\n", gateway.succeed("cat /data/config/marker"))
    t.assertEqual("3", boot_state()["BOOT_A_LEFT"])

gateway.shutdown()
