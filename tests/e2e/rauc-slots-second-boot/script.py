# The second boot leaves what the first has made unchanged.
from freshly_flashed import FreshlyFlashed

dut = FreshlyFlashed(gateway, t)


def boot_id():
    return gateway.succeed("cat /proc/sys/kernel/random/boot_id")


with subtest("the second boot makes no partition and keeps the data"):
    gateway.succeed("echo kept >/data/config/marker", "sync -f /data")
    first_table, first_digests, first_boot = dut.partitions(), dut.table_digests(), boot_id()
    gateway.reboot()
    dut.check_running_system()
    t.assertNotEqual(first_boot, boot_id())
    t.assertEqual(first_table, dut.partitions())
    t.assertEqual(first_digests, dut.table_digests())
    t.assertEqual(0, dut.made_partitions())
    t.assertEqual("kept\n", gateway.succeed("cat /data/config/marker"))
    t.assertEqual("3", dut.boot_state()["BOOT_A_LEFT"])

gateway.shutdown()
