# The watchdog resets a system that hangs. An unconfirmed release that hangs each time is left after its third
# boot.
from appliance import Appliance

dut = Appliance(gateway, t)

with subtest("release 2.0 runs in slot B, unconfirmed"):
    t.assertEqual(("B", "2.0"), dut.running())
    t.assertEqual((2, False), dut.slot_state("B"))

with subtest("the watchdog is active, and systemd feeds it"):
    t.assertIn("i6300ESB", gateway.succeed("cat /sys/class/watchdog/watchdog0/identity"))
    t.assertEqual("active\n", gateway.succeed("cat /sys/class/watchdog/watchdog0/state"))
    t.assertEqual(
        "10s", gateway.succeed("systemctl show --value -p RuntimeWatchdogUSec").strip()
    )

with subtest("it resets a system that hangs, and each boot counts as an attempt"):
    for attempt in [2, 3]:
        # from the second time on a shorter time-out is good enough
        dut.hang(watchdog_seconds=None if attempt == 2 else 4)
        dut.wait_until_boots("B")
        t.assertEqual(("B", "2.0"), dut.running())
        t.assertEqual((3 - attempt, False), dut.slot_state("B"))
        t.assertEqual(("B", f"attempt {attempt} of 3"), dut.boots()[-1])

with subtest("after the third time slot A runs, and logs why"):
    dut.hang(watchdog_seconds=4)
    dut.wait_until_boots("A")
    t.assertEqual(("A", "1.0"), dut.running())
    t.assertEqual(("A", "good"), dut.boots()[-1])
    t.assertEqual((0, False), dut.slot_state("B"))
    t.assertEqual((3, True), dut.slot_state("A"))
    t.assertEqual({"booted": "A", "primary": "A", "A": "good", "B": "bad"}, dut.rauc())
    t.assertIn("slot B: 3 attempts used, falling back to A", dut.journal("-t slot-selector -o cat"))

gateway.crash()
