# The first boot makes slot B and data. Power fails during it, twice: the next boot makes what is missing, and
# nothing twice. The boots are cold, as booting is what is tested.
from appliance import Appliance

dut = Appliance(gateway, t)
BY_FACTORY = ["state", "boot-a", "rootfs-a"]
ALL = [*BY_FACTORY, "boot-b", "rootfs-b", "data"]
KIB = 1024


def table():
    """The names in the partition table on the disk, read without the guest."""
    entries = gateway.read_disk(2 * 512, 32 * 512)
    names = [entries[at + 56 : at + 128].decode("utf-16-le").rstrip("\0") for at in range(0, len(entries), 128)]
    return [name for name in names if name]


seen = []
for cut in (1, 64 * KIB):
    with subtest(f"power fails after {cut} bytes of a first boot"):
        gateway.start(allow_reboot=True)
        begin = gateway.disk_written()
        gateway.wait_for_disk_written(begin + cut)
        seen.append(table())
        gateway.crash()

with subtest("at each cut there were either all of the new partitions or none"):
    gateway.log(f"the tables: {seen}")
    t.assertIn(BY_FACTORY, seen)
    for names in seen:
        t.assertIn(names, (BY_FACTORY, ALL))

with subtest("the next boot makes what is missing"):
    dut.start()
    t.assertEqual(("A", "1.0"), dut.running())
    t.assertEqual(ALL, table())
    t.assertEqual("f2fs\n", gateway.succeed("findmnt -no FSTYPE /data"))
    t.assertEqual("", gateway.succeed("systemctl list-units --failed --plain --no-legend"))
    t.assertEqual({("A", "good")}, set(dut.boots()))
    gateway.succeed("openssl verify -CAfile /data/tls/web.crt /data/tls/web.crt", "ssh-keygen -lf /data/ssh/ssh_host_ed25519_key")

gateway.crash()
