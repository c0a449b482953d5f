# A release that hangs before its systemd feeds the watchdog is left. The machine has virtual time, in which
# the watchdog fires immediately.
from appliance import Appliance

dut = Appliance(gateway, t)

with subtest("a release that hangs before it can feed the watchdog is reset"):
    dut.install("hang")
    dut.reboot_until_retried("A")
    dut.check_watchdog_reset()

gateway.crash()
