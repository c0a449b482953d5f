# A release that fails its health check is left by itself, and the device goes on with what it had.
from rollback import Rollback

dut = Rollback(gateway, t)

with subtest("release 1.0 runs in slot A"):
    t.assertEqual(("A", "1.0"), dut.running())

with subtest("a release that fails its health check is left after three boots"):
    dut.install("unhealthy")
    dut.reboot_until_left()
    dut.check_fallback()
    reasons = dut.messages().count("slot B stays unconfirmed: dnsmasq.service has failed")
    t.assertEqual(3, reasons, "each boot of B must have said why it was not confirmed")
    t.assertNotIn("slot B is confirmed", dut.messages())

with subtest("a good release installs after it"):
    dut.check_recovery()

gateway.crash()
