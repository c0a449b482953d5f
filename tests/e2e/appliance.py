# What the tests of the gateway share: how its slots, releases and boots are looked at.
import hashlib
import json
import re

# Slot group: partitions, with the names of their images in a release's build folder.
PAIRS = {"A": ("boot-a", "rootfs-a"), "B": ("boot-b", "rootfs-b")}
SLOTS = {"A": ("boot.0", "rootfs.0"), "B": ("boot.1", "rootfs.1")}


class Appliance:
    def __init__(self, machine):
        self.machine = machine

    # Booting

    def start(self):
        self.machine.start(allow_reboot=True)
        self.machine.wait_for_unit("multi-user.target")

    def reboot(self):
        self.machine.reboot()
        self.machine.wait_for_unit("multi-user.target")

    def wait_until_boots(self, slot):
        """Wait until the slot selector has chosen this slot, and its system is up. What came
        before, be it panics and resets, is not minded."""
        self.machine.wait_for_console_text(rf"slot-selector: slot {slot} \(", timeout=600)
        self.machine.wait_for_unit("multi-user.target")

    def boots(self):
        """What the slot selector chose at each boot since the test began: (slot, how)."""
        log = self.machine.get_console_log()
        return re.findall(r"slot-selector: slot ([AB]) \((good|attempt \d of 3)\)", log)

    def running(self):
        """The slot that runs, and its release."""
        words = self.machine.succeed("cat /proc/cmdline").split()
        slots = [word.removeprefix("rauc.slot=") for word in words if word.startswith("rauc.slot=")]
        release = self.machine.succeed('. /etc/os-release; echo "$VERSION_ID"').strip()
        root = self.machine.succeed("realpath $(findmnt -no SOURCE /run/rootfs-ro)")
        expected = self.machine.succeed(f"realpath {device('rootfs-' + slots[0].lower())}")
        assert root == expected, f"slot {slots[0]} runs on {root}"
        return slots[0], release

    # State

    def boot_state(self):
        lines = self.machine.succeed("cat /state/boot-state").splitlines()
        return dict(line.split("=", 1) for line in lines)

    def slot_state(self, slot):
        """Attempts left, and whether it is good."""
        state = self.boot_state()
        return int(state[f"BOOT_{slot}_LEFT"]), state[f"BOOT_{slot}_GOOD"] == "1"

    def rauc(self):
        """RAUC's own view: primary slot group, and the boot status of each."""
        text = self.machine.succeed("rauc status --output-format=json")
        status = json.loads(text)
        slots = {name: slot for entry in status["slots"] for name, slot in entry.items()}
        groups = {SLOTS[group][0]: group for group in SLOTS}
        return {
            "booted": status["booted"],
            "primary": groups.get(status["boot_primary"]),
            **{group: slots[SLOTS[group][0]]["boot_status"] for group in SLOTS},
        }

    def messages(self):
        """The log that outlives a reboot; neither part of it has to be there yet."""
        return self.machine.succeed("cat /data/log/messages.1 /data/log/messages 2>/dev/null || true")

    # Disk

    def digests(self, *partitions):
        """A hash of each partition as it lies on the disk, past the guest's caches."""
        return {
            name: self.machine.succeed(f"dd if={device(name)} bs=1M iflag=direct status=none | md5sum")
            for name in partitions
        }

    def head_digest(self, partition, size):
        """The hash of a partition's first bytes; a whole number of MiB is read at least."""
        # dd fails where head has enough; what it could not read makes another hash
        return self.machine.succeed(
            f"dd if={device(partition)} bs=1M iflag=direct status=none | head -c {size} | md5sum || true"
        ).split()[0]

    def table_digest(self):
        """A hash of what lies outside of all partitions: both copies of the partition table."""
        return self.machine.succeed(
            "{ dd if=/dev/flash bs=1M count=1 iflag=direct status=none; tail -c 16896 /dev/flash; } | md5sum"
        )

    def range_of(self, partition):
        """First byte on the disk, and number of bytes."""
        line = self.machine.succeed(
            f"cat /sys/class/block/$(basename $(realpath {device(partition)}))/{{start,size}}"
        )
        start, size = map(int, line.split())
        return start * 512, size * 512

    # Releases

    def bundle(self, name):
        """Bring a bundle onto the device; its path there."""
        path = f"/data/{name}.raucb"
        if self.machine.execute(f"test -e {path}")[0] != 0:
            self.machine.copy_from_host(f"{self.machine.image_dir}/{name}.raucb", path)
            self.machine.succeed(f"sync -f {path}")
        return path

    def install(self, name):
        return self.machine.succeed(f"rauc install {self.bundle(name)}")

    def images(self, release, boot=None):
        """Digest and size of the files that a release is made of, as the host has them."""
        files = (f"boot-{boot or 'release-' + release}.vfat", f"rootfs-{release}.squashfs")
        return [digest_of(f"{self.machine.image_dir}/{file}") for file in files]


def device(partition):
    return f"/dev/disk/by-partlabel/{partition}"


def digest_of(path):
    digest = hashlib.md5()
    size = 0
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            size += len(block)
    return digest.hexdigest(), size
