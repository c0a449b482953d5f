# A slot that was marked bad is not booted, whatever lies in it.
from rollback import Rollback

dut = Rollback(gateway, t)

with subtest("release 2.0 is the one to boot next"):
    t.assertEqual("B", dut.rauc()["primary"])

with subtest("marked bad, it is not booted"):
    gateway.succeed("rauc status mark-bad other")
    dut.reboot()
    t.assertEqual([("A", "good")], dut.boots_since())
    dut.check_fallback()

with subtest("a good release installs after it, and boots"):
    dut.check_recovery()
    # of the recoveries this one is booted: it is a device with a past, of which the basis has no /data
    dut.reboot()
    t.assertEqual(("B", "2.0"), dut.running())
    t.assertEqual({"booted": "B", "primary": "B", "A": "good", "B": "good"}, dut.rauc())

gateway.crash()
