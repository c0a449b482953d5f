# What a machine writes to its disk is recorded. Known writes to slot B's boot partition, which is not in use,
# are found in the log, in their order and between the right flushes; and the log replayed on the former disk
# gives the present one.
import json
import os
import shutil
import struct

from appliance import Appliance
from slotproof import MachineError

dut = Appliance(gateway, t)
KIB, MIB = 1024, 1024 * 1024
FLUSH, DISCARD = 1, 4
DEVICE = "/dev/disk/by-partlabel/boot-b"
START, _ = dut.range_of("boot-b")


class Entry:
    """An entry of a log, in the format of Linux's drivers/md/dm-log-writes.c, with 512 byte sectors."""

    def __init__(self, data, at):
        sector, sectors, self.flags, _ = struct.unpack_from("<4Q", data, at)
        self.offset, self.length = sector * 512, sectors * 512
        t.assertIn(self.flags, (0, FLUSH, DISCARD))
        t.assertFalse(self.flags != FLUSH and self.length == 0, "an entry that was never written")
        begin = at + 512
        self.end = begin + (0 if self.flags else self.length)
        t.assertLessEqual(self.end, len(data))
        self.data = bytes(self.length) if self.flags else data[begin : self.end]


def read_log(directory):
    with open(f"{directory}/writes.log", "rb") as file:
        data = file.read()
    _magic, version, count, sector = struct.unpack_from("<3QI", data)
    t.assertEqual((1, 512), (version, sector))
    entries, at = [], 512
    for _ in range(count):
        entries.append(Entry(data, at))
        at = entries[-1].end
    t.assertEqual(len(data), at, "the log has more than it counts")
    return entries


def write(letter, at, *options):
    """Write 4 KiB of the letter, bypassing the guest's caches."""
    gateway.succeed(
        f"head -c 4096 /dev/zero | tr '\\0' {letter} | dd of={DEVICE} bs=4096 iflag=fullblock "
        f"oflag=direct,seek_bytes seek={at} conv=notrunc{''.join(options)} status=none"
    )


def find(entries, letter):
    """The index of the one entry that writes 4 KiB of the letter."""
    found = [i for i, entry in enumerate(entries) if entry.data == letter.encode() * 4096]
    t.assertEqual(1, len(found), letter)
    return found[0]


def flushes(entries, first, last):
    return sum(entry.flags == FLUSH for entry in entries[first:last])


def compare(directory, entries, expected):
    """The replayed log must give the expected disk. What was discarded and not written since may read as
    anything."""
    unknown = {}
    with open(f"{directory}/disk.raw", "r+b") as file:
        for entry in entries:
            if entry.flags == FLUSH:
                continue
            for sector in range(entry.offset, entry.offset + entry.length, 512):
                unknown[sector] = entry.flags == DISCARD
            file.seek(entry.offset)
            file.write(entry.data)
        file.seek(0)
        t.assertEqual(len(expected), os.fstat(file.fileno()).st_size)
        for offset in range(0, len(expected), MIB):
            piece, wanted = file.read(MIB), expected[offset : offset + MIB]
            different = () if piece == wanted else range(0, MIB, 512)
            for at in different:
                if piece[at : at + 512] != wanted[at : at + 512]:
                    t.assertTrue(unknown.get(offset + at), f"byte {offset + at} differs")


def whole_disk():
    size = int(gateway.succeed("blockdev --getsize64 /dev/flash"))
    gateway.qmp("stop")
    return b"".join(gateway.read_disk(at, min(64 * MIB, size - at)) for at in range(0, size, 64 * MIB))


with subtest("known writes are recorded"):
    write("a", 0)
    directory = gateway.record_disk()
    t.assertEqual(gateway.out_dir / "recording", directory)
    write("b", 0)
    gateway.succeed(f"blockdev --flushbufs {DEVICE}; sync {DEVICE}")
    after_b = gateway.mark_recording("b is durable")
    write("c", 64 * KIB)
    write("d", 4 * KIB)
    after_d = gateway.mark_recording("d is written")
    gateway.succeed(f"blkdiscard --offset {MIB} --length {MIB} {DEVICE}")
    write("e", 8 * KIB)
    disk = whole_disk()
    gateway.stop_recording()
    t.assertFalse(gateway.qmp("query-status")["running"], "the guest was stopped before, and runs now")
    gateway.qmp("cont")
    write("f", 8 * KIB)

with subtest("all are in the log, in order, also those after the last flush"):
    log_entries = read_log(directory)
    b, c, d, e = (find(log_entries, letter) for letter in "bcde")
    t.assertLess(b, c)
    t.assertLess(c, d)
    t.assertLess(d, e)
    places = [log_entries[i].offset - START for i in (b, c, d, e)]
    t.assertEqual([0, 64 * KIB, 4 * KIB, 8 * KIB], places)
    t.assertGreater(flushes(log_entries, b, after_b), 0, "nothing says that b is durable")
    discards = [entry for entry in log_entries[after_d:e] if entry.flags == DISCARD]
    t.assertIn((START + MIB, MIB), [(entry.offset, entry.length) for entry in discards])
    t.assertFalse(any(entry.data == b"f" * 4096 for entry in log_entries))

with subtest("a mark comes after what had happened before it"):
    t.assertTrue(b < after_b <= c and d < after_d <= e, (b, after_b, c, d, after_d, e))
    with open(f"{directory}/marks.json", "rb") as file:
        marks = json.load(file)
    t.assertEqual([("b is durable", after_b), ("d is written", after_d)],
                  [(mark["name"], mark["entries"]) for mark in marks])  # fmt: skip
    t.assertTrue(0 < marks[0]["seconds"] <= marks[1]["seconds"])

with subtest("replaying the log on the former disk gives the present disk"):
    with open(f"{directory}/disk.raw", "rb") as file:
        file.seek(START)
        t.assertEqual(b"a" * 4096, file.read(4096))
    compare(directory, log_entries, disk)

with subtest("a power cut ends a recording, and nothing that was written is missing"):
    directory = gateway.record_disk("cut")
    gateway.execute(
        f"while :; do dd if=/dev/urandom of={DEVICE} bs=1M count=4 seek=4 oflag=direct conv=notrunc; done",
        check_return=False,
        check_output=False,
    )
    gateway.wait_for_disk_written(gateway.disk_written() + 8 * MIB)
    write("g", 0)
    gateway.crash()
    gateway.stop_recording()
    log_entries = read_log(directory)
    t.assertEqual(START, log_entries[find(log_entries, "g")].offset)

with subtest("impossible requests are refused"):
    with t.assertRaisesRegex(ValueError, "not being recorded"):
        gateway.stop_recording()
    with t.assertRaisesRegex(MachineError, "not running"):
        gateway.record_disk("refused")
    dut.start()
    with t.assertRaisesRegex(ValueError, "for a recording"):
        gateway.record_disk("cut")
    gateway.save_snapshot("before")
    gateway.record_disk("refused")
    with t.assertRaisesRegex(ValueError, "recorded already"):
        gateway.record_disk("again")
    with t.assertRaisesRegex(ValueError, "is being recorded"):
        gateway.load_snapshot("before")
    gateway.stop_recording()
    gateway.load_snapshot("before")
    with t.assertRaisesRegex(ValueError, "not being recorded"):
        gateway.mark_recording("late")

for name in ("recording", "cut", "refused"):
    shutil.rmtree(os.path.join(gateway.out_dir, name))
