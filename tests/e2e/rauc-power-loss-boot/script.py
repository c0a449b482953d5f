# Power fails while an installation begins: at its first byte, when slot B is marked bad in the boot state, and
# while the boot partition is written.
from power_loss import MIB, Installation

dut = Installation(gateway, t)
cuts = []

with subtest("an installation is stopped at three instants"):
    dut.begin_slowly()
    for written in (1, 2 * MIB, 8 * MIB):
        cuts.append(dut.stop_after(written, set()))
        start, size = dut.range_of("boot-b")
        is_begun = any(chunk.count(0) < len(chunk) for chunk in dut.read(start, size))
        t.assertTrue(is_begun or written == 1, f"the boot partition at {written} bytes")
        dut.go_on()
    gateway.crash()

for cut in reversed(cuts):
    with subtest(f"power fails {cut.name}"):
        dut.check_after(cut)
