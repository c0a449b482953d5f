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

with subtest("a good release installs after it"):
    dut.check_recovery()

gateway.crash()
