# The kernel's driver stops the watchdog that the slot selector has armed, when it finds it. So a slot's
# initramfs arms it again: what hangs between that and systemd is reset.
import os
import subprocess

from appliance import Appliance, device

dut = Appliance(gateway)

with subtest("the root of slot B has an init that hangs"):
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

with subtest("it is reset by the watchdog, and given another try"):
    count = len(dut.boots())
    gateway.reboot()
    gateway.wait_for_console_text(r"slot-selector: slot B \(attempt 2 of 3\)", timeout=300)
    t.assertEqual("reset", gateway.wait_for_qmp_event("WATCHDOG", timeout=1)["action"])
    t.assertEqual([("B", "attempt 1 of 3"), ("B", "attempt 2 of 3")], dut.boots()[count:])

gateway.crash()
