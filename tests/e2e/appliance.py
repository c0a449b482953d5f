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

    def console(self):
        """All that the console said since the test began, over power cuts too."""
        return (self.machine.out_dir / f"{self.machine.name}.console").read_text(errors="replace")

    def boots(self):
        """What the slot selector chose at each boot since the test began: (slot, how)."""
        log = self.console()
        return re.findall(r"slot-selector: slot ([AB]) \((good|attempt \d of 3)\)", log)

    def running(self):
        """The slot that runs, and its release."""
        words, release, root, *roots = self.machine.succeed(
            "cat /proc/cmdline; . /etc/os-release; echo $VERSION_ID; "
            f"realpath $(findmnt -no SOURCE /run/rootfs-ro) {' '.join(device(root) for _, root in PAIRS.values())}"
        ).splitlines()
        slot = [word.removeprefix("rauc.slot=") for word in words.split() if word.startswith("rauc.slot=")][0]
        assert root == dict(zip(PAIRS, roots))[slot], f"slot {slot} runs on {root}"
        return slot, release

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

    def journal(self, *options):
        """What the journal of this boot holds; what was said before this call is in it."""
        return self.machine.succeed(f"journalctl --sync; journalctl -b {' '.join(options)}")

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

    def digests_of(self, *ranges):
        """A hash of each (offset, size) of the disk, as it lies there: read past the guest, whose
        caches are written first."""
        self.machine.succeed("sync")
        digests = [hashlib.sha256() for _ in ranges]
        for digest, (offset, size) in zip(digests, ranges):
            for begin in range(offset, offset + size, CHUNK):
                digest.update(self.machine.read_disk(begin, min(CHUNK, offset + size - begin)))
        return [digest.hexdigest() for digest in digests]

    def digests(self, *partitions):
        """A hash of each partition, by name."""
        return dict(zip(partitions, self.digests_of(*map(self.range_of, partitions))))

    def head(self, partition, size):
        """The range of a partition's first bytes."""
        start, length = self.range_of(partition)
        assert size <= length
        return start, size

    def arrived(self, images):
        """Which of these images (partition: digest, size) lie in their partitions, whole."""
        digests = self.digests_of(*(self.head(name, size) for name, (_, size) in images.items()))
        return {name for name, digest in zip(images, digests) if digest == images[name][0]}

    def table_ranges(self):
        """What lies outside of all partitions: both copies of the partition table."""
        size = int(self.machine.succeed("blockdev --getsize64 /dev/flash"))
        first = min(start for start, _ in (self.range_of(name) for name in PARTITIONS))
        return (0, first), (size - TABLE_COPY, TABLE_COPY)

    def table_digests(self):
        return self.digests_of(*self.table_ranges())

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
        self.machine.succeed("sync")
        boots = [self.range_of(boot) for boot, _ in PAIRS.values()]
        roots = [self.head(root, self.squashfs_size(root)) for _, root in PAIRS.values()]
        return files, self.digests_of(*boots, *roots, *self.table_ranges())

    def squashfs_size(self, partition):
        """The bytes that the file system says it has: bytes_used, bytes 40 to 47 of its superblock
        (Linux, fs/squashfs/squashfs_fs.h). Read from the disk."""
        superblock = self.machine.read_disk(self.range_of(partition)[0], SECTOR)
        assert superblock[:4] == b"hsqs", f"{partition} has no squashfs"
        return int.from_bytes(superblock[40:48], "little")


def device(partition):
    return f"/dev/disk/by-partlabel/{partition}"


def digest_of(path):
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return digest, os.path.getsize(path)
