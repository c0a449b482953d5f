# Power fails while an installation writes: the slot that runs is as it was to the byte, the device
# boots, and the same bundle can be installed again. The same for a disk that fails, and a full one.
import errno

from appliance import PAIRS, SECTOR, Appliance

dut = Appliance(gateway)
KIB, MIB = 1024, 1024 * 1024
B_IMAGES = dict(zip(PAIRS["B"], dut.images("2.0")))


def check_slot_a():
    t.assertEqual(slot_a, dut.digests(*PAIRS["A"]), "slot A was written to")
    t.assertEqual(table, dut.table_digests())


def must_install():
    """The bundle installs, so that what boots next is just what was seen to boot."""
    dut.install("release-2.0")
    t.assertEqual(installed, dut.boot_basis())


with subtest("release 1.0 runs in slot A; what an installation writes is measured"):
    t.assertEqual(("A", "1.0"), dut.running())
    slot_a, table = dut.digests(*PAIRS["A"]), dut.table_digests()
    dut.bundle("release-2.0")
    t.assertEqual(set(), dut.arrived(B_IMAGES))
    gateway.save_snapshot("slot A, B empty")

with subtest("an installation that nothing disturbs boots"):
    begin = gateway.disk_written()
    dut.install("release-2.0")
    total = gateway.disk_written() - begin
    boot_size, rootfs_size = (size for _, size in B_IMAGES.values())
    t.assertGreaterEqual(total, boot_size + rootfs_size)
    t.assertEqual(set(PAIRS["B"]), dut.arrived(B_IMAGES))
    check_slot_a()
    installed = dut.boot_basis()
    dut.reboot()
    t.assertEqual(("B", "2.0"), dut.running())
    check_slot_a()


def fail_writes(partition):
    """From now on, writes to the partition return EIO."""
    start, size = dut.range_of(partition)
    # a rule fails what covers its sector
    sectors = range(start // SECTOR, (start + size) // SECTOR, 64 * KIB // SECTOR)
    inject([{"iotype": "write", "errno": errno.EIO, "sector": sector} for sector in sectors])


def inject(faults):
    rules = [{"event": "none", **fault} for fault in faults]
    gateway.qmp(
        "blockdev-add",
        driver="blkdebug",
        image="overlay0",
        **{"node-name": "faulty0", "inject-error": rules},
    )
    put_below_disk("faulty0")


def mend_disk():
    put_below_disk("overlay0")
    gateway.qmp("blockdev-del", **{"node-name": "faulty0"})


def put_below_disk(node):
    disk = {"driver": "raw", "node-name": "disk0", "discard": "unmap", "file": node}
    gateway.qmp("blockdev-reopen", options=[disk])


def write_slowly(per_second):
    """So many writes to the disk a second from now on; 0: as many as there are. A machine that is
    stopped, and a snapshot, do those that are under way at once."""
    limits = dict.fromkeys(["bps", "bps_rd", "bps_wr", "iops", "iops_rd"], 0)
    gateway.qmp("block_set_io_throttle", id="/machine/peripheral/disk0/virtio-backend", iops_wr=per_second, **limits)


def is_b_primary_on_disk():
    return b"BOOT_ORDER=B A" in gateway.read_disk(*dut.range_of("state"))


# Where power fails, in bytes written since the installation began, and what has arrived by then. What
# is under way at that instant arrives too.
CUTS: list[tuple[int, set[str]]] = [
    # the state: B is marked bad
    (1, set()),
    # boot-b
    (2 * MIB, set()),
    (8 * MIB, set()),
    # rootfs-b
    (boot_size + 2 * MIB, {"boot-b"}),
    (boot_size + rootfs_size // 2, {"boot-b"}),
    (boot_size + rootfs_size * 3 // 4, {"boot-b"}),
]
BEFORE_STATE, AT_THE_END = "right before B becomes primary", "when RAUC has told of its success"

# Of one installation, the disk at each of these instants, with all that was written until then: what a
# power cut leaves of it. At the last one power is cut, and what QEMU had not passed on is lost.
with subtest("the installation is watched at each of these points"):
    gateway.load_snapshot("slot A, B empty")
    # a megabyte at most is under way at an instant: all of that arrives, too
    gateway.succeed("cd /sys/block/vda/queue; echo 128 >max_sectors_kb; echo 8 >nr_requests; grep -x 8 nr_requests")
    begin = gateway.disk_written()
    gateway.execute(
        "rauc install /data/release-2.0.raucb; echo $? >/run/status", check_output=False, check_return=False
    )
    powerless: dict[str, tuple[str | None, set[str]]] = {}
    for cut, images in CUTS:
        name = f"after {cut} of {total} bytes"
        gateway.wait_for_disk_written(begin + cut)
        gateway.save_snapshot(name, memory=False)
        powerless[name] = name, images
    # then write by write, to the last one before the state says that B is primary
    write_slowly(2)
    steps = 0
    gateway.qmp("stop")
    while not is_b_primary_on_disk():
        steps += 1
        gateway.save_snapshot(f"step {steps}", memory=False)
        written = gateway.disk_written()
        gateway.qmp("cont")
        gateway.wait_for_disk_written(written + 1)
        gateway.qmp("stop")
    t.assertGreater(steps, 0, "B became primary before its images were written")
    powerless[BEFORE_STATE] = f"step {steps}", set(PAIRS["B"])
    gateway.qmp("cont")
    write_slowly(0)
    # asked in the guest and often, since it is not to write much by itself before the cut
    gateway.succeed("until test -s /run/status; do sleep 0.05; done; grep -x 0 /run/status")
    gateway.crash()
    powerless[AT_THE_END] = None, set(PAIRS["B"])

for name, (snapshot, images) in reversed(powerless.items()):
    with subtest(f"power fails {name}"):
        if snapshot:
            gateway.load_snapshot(snapshot, memory=False)
        dut.start()
        found = dut.arrived(B_IMAGES)
        gateway.log(f"arrived: {sorted(found)}; the state: {dut.boot_state()}")
        t.assertEqual(images, found, "power failed at another point than it was to")
        check_slot_a()
        t.assertEqual((3, True), dut.slot_state("A"))
        if name == AT_THE_END:
            t.assertEqual(("B", "2.0"), dut.running())
            t.assertEqual("B", dut.rauc()["booted"])
        else:
            t.assertEqual(("A", "1.0"), dut.running())
            t.assertEqual("A", dut.rauc()["primary"])
            must_install()
        gateway.crash()


def must_fail_to_install(reason):
    gateway.fail("rauc install /data/release-2.0.raucb")
    said = dut.journal("-u rauc -o cat").rsplit(": started", 1)[1]
    t.assertIn(reason, said)
    t.assertEqual("A", dut.rauc()["primary"])
    t.assertEqual((3, True), dut.slot_state("A"))
    check_slot_a()


left_behind = []
for partition, slot in [("boot-b", "boot.1"), ("rootfs-b", "rootfs.1")]:
    with subtest(f"writes to {partition} fail"):
        gateway.load_snapshot("slot A, B empty")
        fail_writes(partition)
        must_fail_to_install(f"Failed updating slot {slot}")
        t.assertEqual((0, False), dut.slot_state("B"))
        left_behind.append(dut.boot_state())
        mend_disk()
        if partition == "rootfs-b":
            # the other fault left the selector the very same to go by
            t.assertEqual(left_behind[0], left_behind[1])
            dut.reboot()
            t.assertEqual(("A", "1.0"), dut.running())
        must_install()

with subtest("/data is full"):
    gateway.load_snapshot("slot A, B empty")
    # to the last block, those that are kept for root too
    gateway.execute("dd if=/dev/zero of=/data/filler bs=1M; dd if=/dev/zero of=/data/filler2 bs=4k; sync")
    must_fail_to_install("/data is full")
    gateway.crash()
    dut.start()
    t.assertEqual(("A", "1.0"), dut.running())
    gateway.succeed("rm -f /data/filler /data/filler2", "sync -f /data")
    must_install()

gateway.crash()
