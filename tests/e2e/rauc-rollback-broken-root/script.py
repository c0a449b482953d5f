# The device leaves a release whose root file system is damaged.
from appliance import device
from rollback import Rollback

dut = Rollback(gateway, t)

with subtest("a release with a damaged root file system is left after three boots"):
    gateway.succeed(f"dd if=/dev/zero of={device('rootfs-b')} bs=1M count=1 oflag=direct")
    dut.reboot_until_left()
    dut.check_fallback()

gateway.crash()
