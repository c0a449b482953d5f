# /data has no space for what RAUC has to write there: nothing is installed, and the device boots.
from power_loss import Installation

dut = Installation(gateway, t)

with subtest("/data is full"):
    # to the last block, including those reserved for root
    gateway.execute("dd if=/dev/zero of=/data/filler bs=1M; dd if=/dev/zero of=/data/filler2 bs=4k; sync")
    dut.must_fail_to_install("/data is full")

with subtest("the device boots, and installs once there is space again"):
    gateway.crash()
    dut.start()
    t.assertEqual(("A", "1.0"), dut.running())
    gateway.succeed("rm -f /data/filler /data/filler2", "sync -f /data")
    dut.must_install()

gateway.crash()
