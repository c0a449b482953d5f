# Shared by the tests of the gateway: its slots, releases and boots.
import functools
import hashlib
import json
import os
import re
import zlib

# Slot group: its partitions.
PAIRS = {"A": ("boot-a", "rootfs-a"), "B": ("boot-b", "rootfs-b")}
SLOTS = {"A": ("boot.0", "rootfs.0"), "B": ("boot.1", "rootfs.1")}

SECTOR = 512
# the size of a GPT's backup: 128 entries of 128 bytes and a header (UEFI specification, 5.3)
TABLE_COPY = 33 * SECTOR
CHUNK = 32 * 1024 * 1024
PIECE = 1024 * 1024
ZEROS = bytes(PIECE)
# Digests are only compared with each other. blake2b is the fastest sound one that Python has: 750 MB/s,
# against 210 MB/s for SHA-256.
HASH = "blake2b"


def with_crc(text):
    """A boot state file: the text and the line that ends it."""
    return f"{text}CRC32={zlib.crc32(text.encode()):08x}\n"


UPDATED_STATE = with_crc(
    "BOOT_ORDER=B A\nBOOT_A_LEFT=3\nBOOT_A_GOOD=1\nBOOT_B_LEFT=3\nBOOT_B_GOOD=0\n"
) + with_crc("LAST_GOOD=A\n")


class Appliance:
    """The gateway that runs in a machine. t, the script's, has the assertions."""

    def __init__(self, machine, t):
        self.machine = machine
        self.t = t
        self.ranges = {}

    # Booting

    def start(self):
        self.machine.start(allow_reboot=True)
        self.machine.wait_for_unit("multi-user.target")

    def reboot(self):
        self.machine.reboot()
        self.machine.wait_for_unit("multi-user.target")

    def wait_until_boots(self, slot):
        """Wait until the slot selector has chosen this slot and its system is up. Panics and resets
        before that are ignored."""
        self.machine.wait_for_console_text(rf"slot-selector: slot {slot} \(", timeout=600)
        self.machine.wait_for_unit("multi-user.target")

    def reboot_until_retried(self, slot):
        """Reboot into a release in this slot that does not get confirmed, until the slot selector tries
        it for the second time."""
        count = len(self.boots())
        self.machine.reboot()
        self.machine.wait_for_console_text(rf"slot-selector: slot {slot} \(attempt 2 of 3\)", timeout=600)
        self.t.assertEqual([(slot, "attempt 1 of 3"), (slot, "attempt 2 of 3")], self.boots()[count:])

    def check_watchdog_reset(self):
        """The last reset came from the watchdog."""
        self.t.assertEqual("reset", self.machine.wait_for_qmp_event("WATCHDOG", timeout=1)["action"])

    def hang(self, watchdog_seconds=None):
        """Freeze PID 1, which feeds the watchdog, and wait until QEMU reports the reset. The watchdog
        fires after the time that the device has set, or after watchdog_seconds."""
        armed = self.machine.succeed(
            "systemctl show --value -p RuntimeWatchdogUSec; cat /sys/class/watchdog/watchdog0/state"
        )
        assert armed == "10s\nactive\n", f"unexpected watchdog settings: {armed}"
        set_time = ""
        if watchdog_seconds is not None:
            set_time = (
                "busctl set-property org.freedesktop.systemd1 /org/freedesktop/systemd1 "
                f"org.freedesktop.systemd1.Manager RuntimeWatchdogUSec t {watchdog_seconds * 1000000}\n"
            )
        self.machine.succeed(f"{set_time}echo 1 >/sys/fs/cgroup/init.scope/cgroup.freeze")
        event = self.machine.wait_for_qmp_event("WATCHDOG", timeout=60)
        assert event["action"] == "reset", event

    def console(self):
        """The console's output since the test began, including that before power cuts."""
        return (self.machine.out_dir / f"{self.machine.name}.console").read_text(errors="replace")

    def boots(self):
        """What the slot selector has chosen at each boot since the test began: (slot, how)."""
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
        """The attempts left, and whether the slot is good."""
        state = self.boot_state()
        return int(state[f"BOOT_{slot}_LEFT"]), state[f"BOOT_{slot}_GOOD"] == "1"

    def rauc(self):
        """RAUC's own view: the primary slot group, and the boot status of each group."""
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
        """The log that survives a reboot; either part of it may not exist yet."""
        return self.machine.succeed("cat /data/log/messages.1 /data/log/messages 2>/dev/null || true")

    def journal(self, *options):
        """The journal of this boot, including all messages before this call."""
        return self.machine.succeed(f"journalctl --sync; journalctl -b {' '.join(options)}")

    # Disk

    def partition_names(self):
        """The names in the image's partitions.conf. The image is built by this file: it says what is on the
        disk, but not what should be."""
        with open(f"{self.machine.image_dir}/partitions.conf") as file:
            rows = [line.partition("#")[0].split() for line in file]
        return [row[0] for row in rows if row and row[0] != "disk"]

    def range_of(self, partition):
        """The offset of the first byte on the disk, and the number of bytes."""
        if partition not in self.ranges:
            lines = self.machine.succeed(
                "partx --bytes --raw --noheadings --output NAME,START,SIZE /dev/flash"
            ).splitlines()
            for name, start, size in (line.split() for line in lines):
                self.ranges[name] = (int(start) * SECTOR, int(size))
        return self.ranges[partition]

    def digests_of(self, *ranges):
        """A hash of each (offset, size) of the disk. The guest's caches are written to the disk first,
        and the disk is then read by the host."""
        self.machine.succeed("sync")
        return [digest_of_chunks(self.read(*disk_range)) for disk_range in ranges]

    def read(self, offset, size):
        """Yields these bytes of the disk, a chunk at a time."""
        for begin in range(offset, offset + size, CHUNK):
            yield self.machine.read_disk(begin, min(CHUNK, offset + size - begin))

    def digests(self, *partitions):
        """A hash of each partition, by name."""
        return dict(zip(partitions, self.digests_of(*map(self.range_of, partitions))))

    def head(self, partition, size):
        """The (offset, size) of the first bytes of a partition."""
        start, length = self.range_of(partition)
        assert size <= length
        return start, size

    def arrived(self, images):
        """Which of these images (partition: digest, size) are complete in their partitions."""
        digests = self.digests_of(*(self.head(name, size) for name, (_, size) in images.items()))
        return {name for name, digest in zip(images, digests) if digest == images[name][0]}

    def table_ranges(self):
        """The ranges outside all partitions: both copies of the partition table."""
        size = int(self.machine.succeed("blockdev --getsize64 /dev/flash"))
        first = min(self.range_of(name)[0] for name in self.partition_names())
        return (0, first), (size - TABLE_COPY, TABLE_COPY)

    def table_digests(self):
        return self.digests_of(*self.table_ranges())

    # Releases

    def bundle(self, name):
        """Copy a bundle to the device if it is not there yet; returns its path there."""
        path = f"/data/{name}.raucb"
        if self.machine.execute(f"test -e {path}")[0] != 0:
            self.machine.copy_from_host(f"{self.machine.image_dir}/{name}.raucb", path)
            self.machine.succeed(f"sync -f {path}")
        return path

    def install(self, name):
        return self.machine.succeed(f"rauc install {self.bundle(name)}")

    def fail_to_install(self, path):
        """RAUC must refuse the bundle at this path on the device; returns what RAUC logged."""
        self.machine.fail(f"rauc install {path}")
        return self.journal("-u rauc -o cat").rsplit(f"installing {path}: started", 1)[1]

    def images(self, release, boot=None):
        """The digest and size of each file of a release, from the host."""
        files = (f"boot-{boot or 'release-' + release}.vfat", f"rootfs-{release}.squashfs")
        return [digest_of(f"{self.machine.image_dir}/{file}") for file in files]

    def boot_basis(self):
        """Everything that decides what the slot selector and the slots' kernels will do: the boot state
        and the bytes of both slots and of the partition table. Devices with the same basis boot the
        same, so that only one of them has to be booted. A root partition counts up to the size of its
        release's image: what follows is left over from larger releases, and is never read."""
        files = self.machine.succeed("cat /state/boot-state /state/last-good")
        slots = [self.head(name, size) for name, (_, size) in self.updated_images().items()]
        return files, self.digests_of(*slots, *self.table_ranges())

    def updated_basis(self, table):
        """The basis after updating a freshly flashed device, with these digests of its partition table,
        from release 1.0 in slot A to 2.0 in slot B. The test rauc-update boots it."""
        slots = [digest for digest, _ in self.updated_images().values()]
        return UPDATED_STATE, [*slots, *table]

    def updated_images(self):
        names = [*PAIRS["A"], *PAIRS["B"]]
        return dict(zip(names, [*self.images("1.0"), *self.images("2.0")]))


def device(partition):
    return f"/dev/disk/by-partlabel/{partition}"


def digest_of_chunks(chunks):
    """A hash of the bytes. Of pieces that are all zero, which most of a partition is, only the size counts."""
    digest = hashlib.new(HASH)
    for chunk in chunks:
        for begin in range(0, len(chunk), PIECE):
            piece = chunk[begin : begin + PIECE]
            is_zero = piece == ZEROS[: len(piece)]
            digest.update(b"%c%d:" % (b"z" if is_zero else b"d", len(piece)))
            if not is_zero:
                digest.update(piece)
    return digest.hexdigest()


@functools.cache
def digest_of(path):
    """The digest and size of a file on the host."""
    with open(path, "rb") as file:
        digest = digest_of_chunks(iter(lambda: file.read(CHUNK), b""))
    return digest, os.path.getsize(path)
