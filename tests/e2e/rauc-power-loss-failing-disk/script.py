# The disk fails all writes to one of the two partitions that an installation writes: the running slot is
# unchanged, and boots.
import errno

from appliance import SECTOR
from power_loss import KIB, Installation

dut = Installation(gateway, t)
gateway.save_snapshot("slot A, B empty")


def fail_writes(partition):
    """From now on, writes to the partition return EIO."""
    start, size = dut.range_of(partition)
    # a rule fails writes that include its sector
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


left_behind: list[dict] = []
for partition, slot in [("boot-b", "boot.1"), ("rootfs-b", "rootfs.1")]:
    with subtest(f"writes to {partition} fail"):
        if left_behind:
            gateway.load_snapshot("slot A, B empty")
        fail_writes(partition)
        dut.must_fail_to_install(f"Failed updating slot {slot}")
        t.assertEqual((0, False), dut.slot_state("B"))
        left_behind.append(dut.boot_state())
        mend_disk()
        if partition == "rootfs-b":
            # the other fault left the same boot state, so only this one is booted
            t.assertEqual(left_behind[0], left_behind[1])
            dut.reboot()
            t.assertEqual(("A", "1.0"), dut.running())
        dut.must_install()

gateway.crash()
