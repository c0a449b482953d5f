# Shared by the tests of a freshly flashed device: what holds when slot A is up.
from appliance import Appliance


class FreshlyFlashed(Appliance):
    """A device that has booted slot A."""

    def partitions(self):
        """The name, start, sectors and UUID of each partition, in the order of the disk."""
        lines = self.machine.succeed(
            "udevadm settle",
            "partx --raw --noheadings --output NAME,START,SECTORS,UUID /dev/flash",
        )
        table = [line.split() for line in lines.splitlines()]
        return [(name, int(start), int(sectors), uuid) for name, start, sectors, uuid in table]

    def made_partitions(self):
        """The number of partitions that this boot has made."""
        return self.journal("-o cat -u systemd-repart.service").count("Adding new partition")

    def device_of(self, path):
        return self.machine.succeed(f"realpath {path}").strip()

    def check_running_system(self):
        """What holds at each boot of slot A."""
        self.machine.wait_for_unit("multi-user.target")
        self.t.assertEqual("", self.machine.succeed("systemctl list-units --failed --plain --no-legend"))
        for unit in ["dnsmasq", "chrony", "ssh", "rsyslog", "systemd-networkd"]:
            self.machine.wait_for_unit(unit)
        # The slot's kernel was started by the selector, with a command line other than the one from QEMU.
        words = self.machine.succeed("cat /proc/cmdline").split()
        self.t.assertIn("rauc.slot=A", words)
        self.t.assertEqual([], [word for word in words if word.startswith("slot.arg=")])
        # The root is slot A's image, read-only, under an overlay in memory.
        self.t.assertEqual("overlay", self.machine.succeed("findmnt -no FSTYPE /").strip())
        lower = self.machine.succeed("findmnt -no SOURCE,FSTYPE,OPTIONS /run/rootfs-ro").split()
        self.t.assertEqual(self.device_of("/dev/disk/by-partlabel/rootfs-a"), lower[0])
        self.t.assertEqual("squashfs", lower[1])
        self.t.assertIn("ro", lower[2].split(","))
        data = self.machine.succeed("findmnt -no SOURCE,FSTYPE /data").split()
        self.t.assertEqual([self.device_of("/dev/disk/by-partlabel/data"), "f2fs"], data)
