# What the tests of the gateway share: how its slots, releases and boots are looked at.
import hashlib
import json
import os
import re

# Slot group: partitions, with the names of their images in a release's build folder.
PAIRS = {"A": ("boot-a", "rootfs-a"), "B": ("boot-b", "rootfs-b")}
PARTITIONS = ["state", "boot-a", "rootfs-a", "boot-b", "rootfs-b", "data"]
SLOTS = {"A": ("boot.0", "rootfs.0"), "B": ("boot.1", "rootfs.1")}

SECTOR = 512
# of the second copy of a GPT: 128 entries of 128 bytes and a header (UEFI specification, 5.3)
TABLE_COPY = 33 * SECTOR
CHUNK = 32 * 1024 * 1024


class Appliance:
    def __init__(self, machine):
        self.machine = machine
        self.ranges = {}

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

    def range_of(self, partition):
        """First byte on the disk, and number of bytes."""
        if partition not in self.ranges:
            lines = self.machine.succeed(
                "partx --bytes --raw --noheadings --output NAME,START,SIZE /dev/flash"
            ).splitlines()
            for name, start, size in (line.split() for line in lines):
                self.ranges[name] = (int(start) * SECTOR, int(size))
        return self.ranges[partition]

    def digest(self, offset, size):
        """A hash of a part of the disk, as it lies there: read past the guest, whose caches are
        written first."""
        self.machine.succeed("sync")
        digest = hashlib.sha256()
        for begin in range(offset, offset + size, CHUNK):
            digest.update(self.machine.read_disk(begin, min(CHUNK, offset + size - begin)))
        return digest.hexdigest()

    def digests(self, *partitions):
        """A hash of each partition."""
        return {name: self.digest(*self.range_of(name)) for name in partitions}

    def head_digest(self, partition, size):
        """The hash of a partition's first bytes."""
        start, length = self.range_of(partition)
        assert size <= length
        return self.digest(start, size)

    def table_digest(self):
        """A hash of what lies outside of all partitions: both copies of the partition table."""
        size = int(self.machine.succeed("blockdev --getsize64 /dev/flash"))
        first = min(start for start, _ in (self.range_of(name) for name in PARTITIONS))
        return self.digest(0, first), self.digest(size - TABLE_COPY, TABLE_COPY)

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

    def boot_basis(self):
        """All that decides what the slot selector and the slots' kernels will do: the boot state
        and the bytes of both slots and of the partition table. What is equal in this boots
        equally, so that it need not be booted twice. Of a root partition that is its file system:
        behind it lies what is left of larger releases, and nobody reads that."""
        files = self.machine.succeed("cat /state/boot-state /state/last-good")
        roots = [root for _, root in PAIRS.values()]
        slots = self.digests(*(boot for boot, _ in PAIRS.values()))
        slots.update({root: self.head_digest(root, self.squashfs_size(root)) for root in roots})
        return files, slots, self.table_digest()

    def squashfs_size(self, partition):
        """The bytes that the file system says it has: bytes_used, bytes 40 to 47 of its superblock
        (Linux, fs/squashfs/squashfs_fs.h)."""
        self.machine.succeed("sync")
        superblock = self.machine.read_disk(self.range_of(partition)[0], SECTOR)
        assert superblock[:4] == b"hsqs", f"{partition} has no squashfs"
        return int.from_bytes(superblock[40:48], "little")


def device(partition):
    return f"/dev/disk/by-partlabel/{partition}"


def digest_of(path):
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return digest, os.path.getsize(path)
