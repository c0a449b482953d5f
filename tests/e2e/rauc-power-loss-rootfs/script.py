# Power fails early and late while an installation writes the root partition.
from power_loss import MIB, Installation

dut = Installation(gateway, t)
cuts = []

with subtest("an installation is stopped at two instants"):
    dut.begin_slowly()
    for written in (2 * MIB, dut.rootfs_size * 3 // 4):
        cuts.append(dut.stop_after(dut.boot_size + written, {"boot-b"}))
        dut.go_on()
    gateway.crash()

for cut in reversed(cuts):
    with subtest(f"power fails {cut.name}"):
        dut.check_after(cut)
