# A bundle is installed into the inactive slot pair and nowhere else, and what was installed boots. A bundle
# that must not be installed is refused before a byte is written (see also rauc-update-bad-bundles).
from appliance import PAIRS, Appliance, device

dut = Appliance(gateway, t)

with subtest("release 1.0 runs in slot A"):
    t.assertEqual(("A", "1.0"), dut.running())
    gateway.succeed("echo kept >/data/config/note", "sync -f /data")
    table = dut.table_digests()
    slot_a, slot_b = dut.digests(*PAIRS["A"]), dut.digests(*PAIRS["B"])
    b_images = dict(zip(PAIRS["B"], dut.images("2.0")))
    state = dut.boot_state()

with subtest("a bundle with a foreign signature is refused"):
    t.assertIn("signature verification failed", dut.fail_to_install(dut.bundle("bad-signature")))
    t.assertEqual(slot_b, dut.digests(*PAIRS["B"]))
    t.assertEqual(table, dut.table_digests())
    t.assertEqual(state, dut.boot_state())
    t.assertEqual("A", dut.rauc()["primary"])

with subtest("a good bundle is installed into slot B"):
    dut.install("release-2.0")
    t.assertEqual(set(PAIRS["B"]), dut.arrived(b_images))
    t.assertEqual(
        {"booted": "A", "primary": "B", "A": "good", "B": "good"}, dut.rauc()
    )
    t.assertEqual("B A", dut.boot_state()["BOOT_ORDER"])
    t.assertEqual((3, False), dut.slot_state("B"))
    t.assertEqual((3, True), dut.slot_state("A"))
    t.assertEqual(("A", "1.0"), dut.running())
    # other tests only compare with this state, and rely on this test to boot it
    t.assertEqual(dut.updated_basis(table), dut.boot_basis())

with subtest("slot B boots and runs the new release"):
    dut.reboot()
    t.assertEqual(("B", "2.0"), dut.running())
    t.assertEqual([("A", "good"), ("B", "attempt 1 of 3")], dut.boots())
    t.assertEqual("2.0", gateway.succeed(
        "mkdir -p /run/b", f"mount -o ro {device('boot-b')} /run/b", "cat /run/b/release", "umount /run/b"
    ).strip())
    t.assertEqual((2, False), dut.slot_state("B"))
    t.assertEqual("B", dut.rauc()["booted"])

with subtest("slot A and the data are unchanged"):
    # neither the installation nor the boot has written to slot A
    t.assertEqual(slot_a, dut.digests(*PAIRS["A"]), "slot A was written to")
    t.assertEqual(table, dut.table_digests())
    t.assertEqual("kept\n", gateway.succeed("cat /data/config/note"))

gateway.crash()
