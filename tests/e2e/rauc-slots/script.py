# A freshly flashed device boots, makes the partitions that the factory leaves out, and has a RAUC
# that knows all four slots. Boots cold, twice: the boot is the subject.
import json

FACTORY = ["state", "boot-a", "rootfs-a"]
MADE_AT_FIRST_BOOT = ["boot-b", "rootfs-b", "data"]


def partitions():
    """Name, start, size and identity of each partition, as the disk has them."""
    table = json.loads(gateway.succeed("sfdisk --json /dev/flash"))["partitiontable"]
    return [(p["name"], p["start"], p["size"], p["uuid"]) for p in table["partitions"]]


def rauc_status():
    return json.loads(gateway.succeed("rauc status --detailed --output-format=json"))


def boot_state():
    lines = gateway.succeed("cat /state/boot-state").splitlines()
    return dict(line.split("=", 1) for line in lines)


def repart_log():
    return gateway.succeed("journalctl -b -o cat -u systemd-repart.service")


def boot_id():
    return gateway.succeed("cat /proc/sys/kernel/random/boot_id")


with subtest("the factory's image holds three partitions and no more"):
    image = json.loads(driver.image_partitions("gateway"))
    t.assertEqual(FACTORY, image)

with subtest("the first boot reaches multi-user.target with nothing failed"):
    gateway.start(allow_reboot=True)
    gateway.wait_for_unit("multi-user.target")
    t.assertEqual("", gateway.succeed("systemctl list-units --failed --no-legend --plain"))

with subtest("the slot selector chose A, and its kernel was booted by kexec"):
    t.assertIn("rauc.slot=A", gateway.succeed("cat /proc/cmdline").split())
    gateway.wait_for_console_text("slot-selector: slot A")
