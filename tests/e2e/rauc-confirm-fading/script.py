# A release is left that was well when it came up, and is not any more before the minute is over. The
# machine has virtual time, in which that minute is over at once.
from appliance import Appliance

dut = Appliance(gateway)

with subtest("a release whose sshd dies after half a minute is not confirmed"):
    dut.install("fading")
    count = len(dut.boots())
    gateway.reboot()
    # it leaves by itself, and is given another try
    gateway.wait_for_console_text(r"slot-selector: slot A \(attempt 2 of 3\)", timeout=600)
    gateway.wait_for_unit("multi-user.target")
    t.assertEqual([("A", "attempt 1 of 3"), ("A", "attempt 2 of 3")], dut.boots()[count:])
    t.assertEqual((1, False), dut.slot_state("A"))
    t.assertEqual("LAST_GOOD=B", gateway.succeed("head -n 1 /state/last-good").strip())
    first_try = dut.messages().rsplit("slot B is confirmed", 1)[1]
    t.assertIn("slot A: all is well, watching it", first_try)
    t.assertIn("slot A stays unconfirmed: ssh.service", first_try)
    t.assertNotIn("slot A is confirmed", first_try)

gateway.crash()
