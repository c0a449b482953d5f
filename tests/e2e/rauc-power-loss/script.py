# Power fails while an installation writes: not a byte of the running slot has changed, the device boots, and
# the same bundle can be installed again. Other instants are in rauc-power-loss-boot and
# rauc-power-loss-rootfs, and all of them in power-cut-states.
from power_loss import Installation

dut = Installation(gateway, t)

with subtest("an installation is stopped at three instants"):
    dut.begin_slowly()
    half = dut.stop_after(dut.boot_size + dut.rootfs_size // 2, {"boot-b"})
    dut.go_on()
    # near the end, write by write
    dut.stop_near_the_end()
    before_state = dut.stop_before_state()
    end = dut.cut_at_the_end()

for cut in (end, before_state, half):
    with subtest(f"power fails {cut.name}"):
        dut.check_after(cut)
