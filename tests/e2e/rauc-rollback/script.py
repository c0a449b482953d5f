# The device leaves a release that fails its health check, and continues with the former one.
from rollback import Rollback

dut = Rollback(gateway, t)

with subtest("release 1.0 runs in slot A"):
    t.assertEqual(("A", "1.0"), dut.running())

with subtest("a release that fails its health check is left after three boots"):
    dut.install("unhealthy")
    dut.reboot_until_left()
    dut.check_fallback()
    reasons = dut.messages().count("slot B stays unconfirmed: dnsmasq.service has failed")
    t.assertEqual(3, reasons, "each boot of B has to log why it is not confirmed")
    t.assertNotIn("slot B is confirmed", dut.messages())

with subtest("a good release can be installed after that"):
    dut.check_recovery()

gateway.crash()
