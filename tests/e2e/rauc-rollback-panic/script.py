# The device leaves a release whose kernel panics.
from rollback import Rollback

dut = Rollback(gateway, t)

with subtest("a release whose kernel panics is left after three boots"):
    dut.install("panic")
    panics = dut.console().count("Kernel panic")
    dut.reboot_until_left()
    t.assertEqual(3, dut.console().count("Kernel panic") - panics)
    dut.check_fallback()

with subtest("a good release can be installed after that"):
    dut.check_recovery()

gateway.crash()
