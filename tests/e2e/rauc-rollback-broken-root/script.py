# A release whose root file system is broken on the disk is left by itself.
from appliance import device
from rollback import Rollback

dut = Rollback(gateway, t)

with subtest("a release whose root file system is broken is left after three boots"):
    gateway.succeed(f"dd if=/dev/zero of={device('rootfs-b')} bs=1M count=1 oflag=direct")
    dut.reboot_until_left()
    dut.check_fallback()

gateway.crash()
