# A release is left that hangs before its systemd feeds the watchdog. The machine has virtual time, in which
# the watchdog bites at once.
from appliance import Appliance

dut = Appliance(gateway)

with subtest("a release that hangs before it can feed the watchdog is reset"):
    dut.install("hang")
    count = len(dut.boots())
    gateway.reboot()
    gateway.wait_for_console_text(r"slot-selector: slot A \(attempt 2 of 3\)", timeout=600)
    t.assertEqual("reset", gateway.wait_for_qmp_event("WATCHDOG", timeout=1)["action"])
    t.assertEqual([("A", "attempt 1 of 3"), ("A", "attempt 2 of 3")], dut.boots()[count:])

gateway.crash()
