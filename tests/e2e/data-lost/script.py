# A release that can't mount /data must not stay.
from appliance import Appliance

dut = Appliance(gateway, t)

with subtest("a release that can't mount its data is left, without waiting for an operator"):
    gateway.succeed("systemctl stop os-verification")
    gateway.succeed("rauc status mark-bad booted; rauc status mark-active booted", "sync")
    t.assertEqual((3, False), dut.slot_state("B"))
    start, size = dut.range_of("data")
    gateway.succeed(f"dd if=/dev/zero of=/dev/flash bs=1M seek={start} count=8 oflag=seek_bytes,direct")
    gateway.crash()
    gateway.start(allow_reboot=True)
    for attempt in (1, 2):
        gateway.wait_for_console_text(rf"slot-selector: slot B \(attempt {attempt} of 3\)", timeout=120)

gateway.crash()
