# What the tests of rauc-power-loss share: an installation that is watched while it writes, and how a
# device looks whose power, or disk, has failed.
from dataclasses import dataclass

from appliance import PAIRS, Appliance

KIB, MIB = 1024, 1024 * 1024
BUNDLE = "/data/release-2.0.raucb"
BEFORE_STATE = "right before B becomes primary"
AT_THE_END = "when RAUC has told of its success"


@dataclass
class Cut:
    """An instant at which power fails: what it is called, the snapshot of the disk as it was then (None: as
    the disk is now), and the images that have arrived by then."""

    name: str
    snapshot: str | None
    images: set[str]


class Installation(Appliance):
    """Release 2.0 is about to be installed into slot B, from slot A; t has the assertions."""

    def __init__(self, machine, t):
        super().__init__(machine)
        self.t = t
        self.b_images = dict(zip(PAIRS["B"], self.images("2.0")))
        self.boot_size, self.rootfs_size = (size for _, size in self.b_images.values())
        t.assertEqual(("A", "1.0"), self.running())
        self.slot_a, self.table = self.digests(*PAIRS["A"]), self.table_digests()
        self.bundle("release-2.0")
        t.assertEqual(set(), self.arrived(self.b_images))

    def check_slot_a(self):
        self.t.assertEqual(self.slot_a, self.digests(*PAIRS["A"]), "slot A was written to")
        self.t.assertEqual(self.table, self.table_digests())

    def must_install(self):
        """The bundle installs, so that what boots next is what rauc-update boots."""
        self.install("release-2.0")
        self.t.assertEqual(self.updated_basis(self.table), self.boot_basis())

    def must_fail_to_install(self, reason):
        self.t.assertIn(reason, self.fail_to_install(BUNDLE))
        self.t.assertEqual("A", self.rauc()["primary"])
        self.t.assertEqual((3, True), self.slot_state("A"))
        self.check_slot_a()

    # Of one installation, the disk at several instants, with all that was written until then: what a
    # power cut leaves of it.

    def write_slowly(self, **limit):
        """What is written to the disk in a second from now on, at most: iops_wr writes, or bps_wr bytes;
        with neither, as much as there is. A machine that is stopped, and a snapshot, do what is under way
        at once."""
        limits = dict.fromkeys(["bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"], 0) | limit
        self.machine.qmp("block_set_io_throttle", id="/machine/peripheral/disk0/virtio-backend", **limits)

    def begin_slowly(self):
        """Begin it, on a disk of which no instant is missed."""
        # a megabyte at most is under way at an instant: all of that arrives, too
        self.machine.succeed(
            "cd /sys/block/vda/queue; echo 128 >max_sectors_kb; echo 8 >nr_requests; grep -x 8 nr_requests"
        )
        # and no host writes so fast that a point is missed before it is seen to be reached
        self.write_slowly(bps_wr=8 * MIB)
        self.begun_at = self.machine.disk_written()
        self.machine.execute(
            f"rauc install {BUNDLE}; echo $? >/run/status", check_output=False, check_return=False
        )

    def stop_after(self, written, images):
        """The disk when so many bytes were written since it began; the machine is stopped."""
        name = f"after {written} bytes"
        self.machine.wait_for_disk_written(self.begun_at + written)
        self.machine.qmp("stop")
        self.machine.save_snapshot(name, memory=False)
        return Cut(name, name, images)

    def go_on(self):
        self.machine.qmp("cont")

    def stop_near_the_end(self):
        """Some 2 MiB of the images are left to be written; the machine is stopped. A megabyte a second, of
        the last eight, is too slow for the end to be missed."""
        self.machine.wait_for_disk_written(self.begun_at + self.boot_size + self.rootfs_size - 8 * MIB)
        self.write_slowly(bps_wr=MIB)
        self.machine.wait_for_disk_written(self.begun_at + self.boot_size + self.rootfs_size - 2 * MIB)
        self.machine.qmp("stop")

    def stop_before_state(self):
        """The disk as it was before the last write of all before the state said that B is primary. The
        machine, which was stopped when this begins, is stopped."""
        self.write_slowly(iops_wr=2)
        steps = 0
        while not self.is_b_primary_on_disk():
            steps += 1
            self.machine.save_snapshot(f"step {steps}", memory=False)
            written = self.machine.disk_written()
            self.machine.qmp("cont")
            self.machine.wait_for_disk_written(written + 1)
            self.machine.qmp("stop")
        self.t.assertGreater(steps, 0, "B became primary before its images were written")
        return Cut(BEFORE_STATE, f"step {steps}", set(PAIRS["B"]))

    def cut_at_the_end(self):
        """It ends, and power is cut at once; what QEMU had not passed on is lost."""
        self.go_on()
        self.write_slowly()
        # asked in the guest and often, since it is not to write much by itself before the cut
        self.machine.succeed("until test -s /run/status; do sleep 0.05; done; grep -x 0 /run/status")
        written = self.machine.disk_written() - self.begun_at
        self.machine.crash()
        self.t.assertGreaterEqual(written, self.boot_size + self.rootfs_size)
        return Cut(AT_THE_END, None, set(PAIRS["B"]))

    def is_b_primary_on_disk(self):
        return b"BOOT_ORDER=B A" in self.machine.read_disk(*self.range_of("state"))

    def check_after(self, cut):
        """The device boots after the cut: the slot that ran is as it was, and where it still is the one
        that boots, the bundle installs. The machine is off when this begins, and when it ends."""
        if cut.snapshot:
            self.machine.load_snapshot(cut.snapshot, memory=False)
        self.start()
        found = self.arrived(self.b_images)
        self.machine.log(f"arrived: {sorted(found)}; the state: {self.boot_state()}")
        self.t.assertEqual(cut.images, found, "power failed at another point than it was to")
        self.check_slot_a()
        self.t.assertEqual((3, True), self.slot_state("A"))
        if cut.name == AT_THE_END:
            self.t.assertEqual(("B", "2.0"), self.running())
            self.t.assertEqual("B", self.rauc()["booted"])
        else:
            self.t.assertEqual(("A", "1.0"), self.running())
            self.t.assertEqual("A", self.rauc()["primary"])
            self.must_install()
        self.machine.crash()
