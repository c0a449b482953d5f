# Power fails while an installation writes: the slot that runs is as it was to the byte, the device
# boots, and the same bundle can be installed again. More instants of it: rauc-power-loss-boot and
# rauc-power-loss-rootfs; any two writes: power-cut-states.
from power_loss import Installation

dut = Installation(gateway, t)

with subtest("an installation is watched at three instants"):
    dut.begin_slowly()
    half = dut.stop_after(dut.boot_size + dut.rootfs_size // 2, {"boot-b"})
    dut.go_on()
    # write by write, from where some are left
    dut.stop_near_the_end()
    before_state = dut.stop_before_state()
    end = dut.cut_at_the_end()

for cut in (end, before_state, half):
    with subtest(f"power fails {cut.name}"):
        dut.check_after(cut)
