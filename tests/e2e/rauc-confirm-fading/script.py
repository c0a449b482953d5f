# A release that is healthy when it comes up, but not for a whole minute, is left. The machine has virtual
# time, in which that minute passes immediately.
from appliance import Appliance

dut = Appliance(gateway, t)

with subtest("a release whose sshd dies after half a minute is not confirmed"):
    dut.install("fading")
    dut.reboot_until_retried("A")
    gateway.wait_for_unit("multi-user.target")
    t.assertEqual((1, False), dut.slot_state("A"))
    t.assertEqual("LAST_GOOD=B", gateway.succeed("head -n 1 /state/last-good").strip())
    first_try = dut.messages().rsplit("slot B is confirmed", 1)[1]
    t.assertIn("slot A: all is well, watching it", first_try)
    t.assertIn("slot A stays unconfirmed: ssh.service", first_try)
    t.assertNotIn("slot A is confirmed", first_try)

gateway.crash()
