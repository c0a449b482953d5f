# When the kernel's driver finds the watchdog that the slot selector has armed, it stops it. So the slot's
# initramfs arms it again, and a system that hangs between that and systemd is reset.
import os
import subprocess

from appliance import Appliance, device

dut = Appliance(gateway, t)

with subtest("the root file system of slot B has an init that hangs"):
    root = f"{gateway.out_dir}/root"
    for name in ("sbin", "dev", "proc", "run", "sys"):
        os.makedirs(f"{root}/{name}", exist_ok=True)
    subprocess.run(["cp", f"{gateway.image_dir}/hang", f"{root}/sbin/init"], check=True)
    subprocess.run(
        ["mksquashfs", root, f"{root}.squashfs", "-comp", "lz4", "-noappend", "-quiet", "-no-progress"], check=True,
        stdout=subprocess.DEVNULL,
    )
    gateway.copy_from_host(f"{root}.squashfs", "/run/hang.squashfs")
    gateway.succeed(f"dd if=/run/hang.squashfs of={device('rootfs-b')} bs=1M conv=fsync")

with subtest("the watchdog resets it, and it gets another attempt"):
    dut.reboot_until_retried("B")
    dut.check_watchdog_reset()

gateway.crash()
