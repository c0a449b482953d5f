# A slot that is marked bad is not booted, whatever it contains.
from rollback import Rollback

dut = Rollback(gateway, t)

with subtest("release 2.0 is the one to boot next"):
    t.assertEqual("B", dut.rauc()["primary"])

with subtest("once marked bad, it is not booted"):
    gateway.succeed("rauc status mark-bad other")
    dut.reboot()
    t.assertEqual([("A", "good")], dut.boots_since())
    dut.check_fallback()

with subtest("a good release can be installed after that, and boots"):
    dut.check_recovery()
    # this is the recovery that is booted: the device has a history in /data, which the basis leaves out
    dut.reboot()
    t.assertEqual(("B", "2.0"), dut.running())
    t.assertEqual({"booted": "B", "primary": "B", "A": "good", "B": "good"}, dut.rauc())

gateway.crash()
