# Shared by the tests rauc-power-loss*: an installation that is observed while it writes, and what holds
# after the power or the disk has failed.
from dataclasses import dataclass

from appliance import PAIRS, Appliance

KIB, MIB = 1024, 1024 * 1024
BUNDLE = "/data/release-2.0.raucb"
BEFORE_STATE = "right before B becomes primary"
AT_THE_END = "when RAUC has reported success"


@dataclass
class Cut:
    """An instant at which power fails: its name, the snapshot of the disk at that instant (None: the disk
    as it is now), and the images that are complete by then."""

    name: str
    snapshot: str | None
    images: set[str]


class Installation(Appliance):
    """An installation of release 2.0 into slot B, from slot A."""

    def __init__(self, machine, t):
        super().__init__(machine, t)
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
        """The bundle installs; what boots next is what the test rauc-update boots."""
        self.install("release-2.0")
        self.t.assertEqual(self.updated_basis(self.table), self.boot_basis())

    def must_fail_to_install(self, reason):
        self.t.assertIn(reason, self.fail_to_install(BUNDLE))
        self.t.assertEqual("A", self.rauc()["primary"])
        self.t.assertEqual((3, True), self.slot_state("A"))
        self.check_slot_a()

    # The disk at several instants of one installation, each with everything written until then, as a power
    # cut would leave it.

    def write_slowly(self, **limit):
        """Limit what is written to the disk per second from now on: iops_wr writes, or bps_wr bytes; with
        neither there is no limit. Stopping the machine, and a snapshot, complete pending writes at once."""
        limits = dict.fromkeys(["bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"], 0) | limit
        self.machine.qmp("block_set_io_throttle", id="/machine/peripheral/disk0/virtio-backend", **limits)

    def begin_slowly(self):
        """Start it, with a disk so slow that no instant is missed."""
        # at most a megabyte is pending at any instant: all of that is still written when the machine stops
        self.machine.succeed(
            "cd /sys/block/vda/queue; echo 128 >max_sectors_kb; echo 8 >nr_requests; grep -x 8 nr_requests"
        )
        # and no host writes so fast that an instant passes before it is noticed
        self.write_slowly(bps_wr=8 * MIB)
        self.begun_at = self.machine.disk_written()
        self.machine.execute(
            f"rauc install {BUNDLE}; echo $? >/run/status", check_output=False, check_return=False
        )

    def stop_after(self, written, images):
        """The disk after this many bytes of the installation; stops the machine."""
        name = f"after {written} bytes"
        self.machine.wait_for_disk_written(self.begun_at + written)
        self.machine.qmp("stop")
        self.machine.save_snapshot(name, memory=False)
        return Cut(name, name, images)

    def go_on(self):
        self.machine.qmp("cont")

    def stop_near_the_end(self):
        """Stop the machine when about 2 MiB of the images are left to be written. The last 8 MiB are written
        at a megabyte a second, so that the end is not missed."""
        self.machine.wait_for_disk_written(self.begun_at + self.boot_size + self.rootfs_size - 8 * MIB)
        self.write_slowly(bps_wr=MIB)
        self.machine.wait_for_disk_written(self.begun_at + self.boot_size + self.rootfs_size - 2 * MIB)
        self.machine.qmp("stop")

    def stop_before_state(self):
        """The disk before the write that makes B primary in the boot state. The machine has to be stopped
        before this, and is stopped afterwards."""
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
        """Let it end, and cut the power at once; writes that QEMU has not passed on are lost."""
        self.go_on()
        self.write_slowly()
        # polled in the guest, and often: the guest should write little of its own before the cut
        self.machine.succeed("until test -s /run/status; do sleep 0.05; done; grep -x 0 /run/status")
        written = self.machine.disk_written() - self.begun_at
        self.machine.crash()
        self.t.assertGreaterEqual(written, self.boot_size + self.rootfs_size)
        return Cut(AT_THE_END, None, set(PAIRS["B"]))

    def is_b_primary_on_disk(self):
        return b"BOOT_ORDER=B A" in self.machine.read_disk(*self.range_of("state"))

    def check_after(self, cut):
        """The device boots after the cut: the slot that was running is unchanged, and if it is still the
        one that boots, the bundle installs. The machine is off before and after this."""
        if cut.snapshot:
            self.machine.load_snapshot(cut.snapshot, memory=False)
        self.start()
        found = self.arrived(self.b_images)
        self.machine.log(f"arrived: {sorted(found)}; the state: {self.boot_state()}")
        self.t.assertEqual(cut.images, found, "power failed at another instant than intended")
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
