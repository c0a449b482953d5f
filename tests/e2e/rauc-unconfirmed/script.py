# An unconfirmed release must not install over the only good one. Once it is confirmed, or if there is no good
# release, it may.
from appliance import PAIRS, Appliance

dut = Appliance(gateway, t)
NOT_CONFIRMED = "slot B is not confirmed yet, and slot A is the only good one"


with subtest("release 2.0 runs in slot B, unconfirmed"):
    # so that it is not confirmed during the test
    gateway.succeed("systemctl stop os-verification")
    t.assertEqual(("B", "2.0"), dut.running())
    t.assertEqual((2, False), dut.slot_state("B"))
    dut.bundle("release-2.0")
    gateway.save_snapshot("unconfirmed")

with subtest("it must not install, and nothing is written"):
    before = dut.digests(*PAIRS["A"], *PAIRS["B"])
    state, table = dut.boot_state(), dut.table_digests()
    t.assertIn(NOT_CONFIRMED, dut.fail_to_install("/data/release-2.0.raucb"))
    t.assertEqual(before, dut.digests(*before))
    t.assertEqual(table, dut.table_digests())
    t.assertEqual(state, dut.boot_state())
    t.assertEqual({"booted": "B", "primary": "B", "A": "good", "B": "good"}, dut.rauc())

with subtest("if neither slot is good, it may install"):
    gateway.succeed("rauc status mark-bad other")
    t.assertEqual((0, False), dut.slot_state("A"))
    gateway.succeed("rauc install /data/release-2.0.raucb")
    t.assertEqual(set(PAIRS["A"]), dut.arrived(dict(zip(PAIRS["A"], dut.images("2.0")))))
    t.assertEqual("A", dut.rauc()["primary"])

with subtest("once confirmed, it may install"):
    gateway.load_snapshot("unconfirmed")
    gateway.succeed("rauc status mark-good booted")
    dut.install("release-2.0")
    t.assertEqual(set(PAIRS["A"]), dut.arrived(dict(zip(PAIRS["A"], dut.images("2.0")))))
    t.assertEqual({name: before[name] for name in PAIRS["B"]}, dut.digests(*PAIRS["B"]))
    t.assertEqual((3, True), dut.slot_state("B"))
    t.assertEqual((3, False), dut.slot_state("A"))

gateway.crash()
