# A release is confirmed after it has been healthy for a minute, and not before. The machine has virtual
# time: its clock and its journal show the minute, which passes immediately.
from verification import Verification

dut = Verification(gateway, t)


def time_of(text, entries):
    times = [when for when, said in entries if text in said]
    t.assertEqual(1, len(times), f"'{text}' once in {entries}")
    return times[0]


with subtest("a slot that is good already is not checked"):
    t.assertEqual(("A", "1.0"), dut.running())
    t.assertEqual(["slot A is good already"], [said for _, said in dut.entries()])

with subtest("a slot with a failed service is not confirmed (for each check see rauc-confirm-checks)"):
    dut.unconfirm()
    dut.check_fault(2, "dnsmasq.service", "systemctl stop dnsmasq", "systemctl start dnsmasq")
    gateway.succeed("rauc status mark-good booted")

with subtest("a good release is confirmed after a minute"):
    dut.install("release-2.0")
    dut.reboot()
    t.assertEqual(("B", "2.0"), dut.running())
    gateway.wait_until_succeeds("! systemctl is-active os-verification")
    entries = dut.entries()
    watched = time_of("slot B: all is well, watching it for 60 s", entries)
    confirmed = time_of("slot B is confirmed", entries)
    t.assertGreaterEqual(confirmed - watched, 60)
    t.assertLess(confirmed - watched, 70)
    t.assertEqual((3, True), dut.slot_state("B"))
    t.assertEqual((3, True), dut.slot_state("A"))
    t.assertEqual({"booted": "B", "primary": "B", "A": "good", "B": "good"}, dut.rauc())
    t.assertEqual("LAST_GOOD=B", gateway.succeed("head -n 1 /state/last-good").strip())
    # not before the minute had passed: confirming was the last write to the boot state
    written = float(gateway.succeed("stat -c %.3Y /state/boot-state"))
    boot = float(gateway.succeed("sed -n 's/^btime //p' /proc/stat"))
    t.assertGreaterEqual(written - boot, confirmed - 2)

with subtest("a confirmed release loses no attempts"):
    dut.reboot()
    t.assertEqual(("B", "good"), dut.boots()[-1])
    t.assertEqual((3, True), dut.slot_state("B"))
    t.assertEqual(["slot B is good already"], [said for _, said in dut.entries()])

gateway.crash()
