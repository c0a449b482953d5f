# The unusual cases of os-verification: the check itself hangs, or there is no other slot left to boot. The
# machine has virtual time, in which minutes pass immediately.
from verification import LIST, Verification

dut = Verification(gateway, t)

with subtest("if no slot has attempts left, a failed check does not reboot the device"):
    t.assertEqual(("A", "1.0"), dut.running())
    gateway.succeed("rauc status mark-bad booted", "rauc status mark-bad other")
    t.assertEqual([(0, False)] * 2, [dut.slot_state(slot) for slot in "AB"])
    gateway.succeed(f"""echo '["no-such-unit.service"]' >{LIST}""")
    said = dut.verify(0)
    t.assertIn("slot A stays unconfirmed: no-such-unit.service can't be loaded", said)
    t.assertIn("no slot has attempts left, so this one goes on as it is", said)
    t.assertEqual((0, False), dut.slot_state("A"))

with subtest("if one has attempts left, it does"):
    gateway.succeed("rauc status mark-active booted")
    t.assertNotIn("no slot has attempts left", dut.verify(1))
    gateway.succeed(f"rm {LIST}")

with subtest("a check that hangs is ended, and the release gets another attempt"):
    t.assertEqual((3, False), dut.slot_state("A"))
    count = len(dut.boots())
    gateway.succeed("systemctl start os-verification", "sync")
    gateway.succeed("systemctl kill -s STOP --kill-who=main os-verification")
    # systemd ends it, and reboots properly
    gateway.wait_for_console_text("reboot: Restarting system", timeout=120)
    gateway.wait_for_console_text(r"slot-selector: slot A \(attempt 1 of 3\)", timeout=120)
    t.assertEqual([("A", "attempt 1 of 3")], dut.boots()[count:])

gateway.crash()
