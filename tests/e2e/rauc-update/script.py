# An installation goes to the inactive slot pair and nowhere else, and what was installed boots. What
# must not be installed is refused before a byte is written.
from appliance import PAIRS, Appliance, device


dut = Appliance(gateway)

# name of the bundle: a part of what RAUC has to say
BAD_BUNDLES = {
    "bad-signature": "signature verification failed",
    "bad-expired": "certificate has expired",
    "bad-compatible": "Compatible",
    "bad-plain": "plain",
    "bad-too-large": "holds only 201326592",
    "bad-half": "no image for slot boot.1",
}


# RAUC takes a bundle's last bytes for the size of its signature, most significant byte first (RAUC
# manual, "Bundle Formats"). Where a bundle is cut these are others: what they are decides the reason.
TRAILER = 8


def cut_at(file, size):
    """The bytes to keep, size or a little less, for a cut bundle that ends in a number larger than any
    file: its highest byte is not 0."""
    begin = max(0, size - 4096)
    file.seek(begin)
    data = file.read(size - begin)
    return begin + max(end for end in range(TRAILER, len(data) + 1) if data[end - TRAILER])


def must_refuse(path, reason):
    """The bundle at path is refused, and says why."""
    gateway.fail(f"rauc install {path}")
    said = dut.journal("-u rauc -o cat").rsplit(f"installing {path}: started", 1)[1]
    t.assertIn(reason, said, f"{path} was refused for another reason")


with subtest("release 1.0 runs in slot A"):
    t.assertEqual(("A", "1.0"), dut.running())
    gateway.succeed("echo kept >/data/config/note", "sync -f /data")
    good = dut.bundle("release-2.0")
    table = dut.table_digests()
    before = dut.digests(*PAIRS["A"], *PAIRS["B"])
    state = dut.boot_state()

with subtest("bad bundles are refused, and nothing is written"):
    for name, reason in BAD_BUNDLES.items():
        must_refuse(dut.bundle(name), reason)
        gateway.succeed(f"rm /data/{name}.raucb")
    size = int(gateway.succeed(f"stat -c %s {good}"))
    # the payload's first half is read after much else was: with RAUC alone that is too late
    for offset in [size // 3, size * 2 // 3]:
        gateway.succeed(
            f"cp {good} /data/flipped.raucb",
            f"byte=$(od -An -tu1 -j {offset} -N 1 {good}); "
            rf"printf \\$(printf %o $((byte ^ 1))) | "
            f"dd of=/data/flipped.raucb bs=1 seek={offset} conv=notrunc status=none",
        )
        gateway.fail(f"cmp -s {good} /data/flipped.raucb")
        must_refuse("/data/flipped.raucb", "is damaged or can't be read: Input/output error")
    with open(f"{gateway.image_dir}/release-2.0.raucb", "rb") as file:
        cuts = [cut_at(file, kept) for kept in [size // 2, size - 1, 100]]
    for kept in cuts:
        gateway.succeed(f"head -c {kept} {good} >/data/cut.raucb")
        must_refuse("/data/cut.raucb", "exceeds bundle size")
    # one whose end could be that of a bundle: 512 bytes that are no signature, and their number
    gateway.succeed(rf"{{ head -c {size // 2} {good}; printf '%512s\0\0\0\0\0\0\2\0' x; }} >/data/cut.raucb")
    must_refuse("/data/cut.raucb", "Signature data is no valid CMS")
    gateway.succeed(r"head -c 1000000 /dev/zero | tr '\0' x >/data/garbage.raucb", ": >/data/empty.raucb")
    must_refuse("/data/garbage.raucb", "exceeds bundle size")
    must_refuse("/data/empty.raucb", "Failed to seek to end of bundle")
    gateway.succeed("rm /data/flipped.raucb /data/cut.raucb /data/garbage.raucb /data/empty.raucb")
    t.assertEqual(before, dut.digests(*before))
    t.assertEqual(state, dut.boot_state())
    t.assertEqual("A", dut.rauc()["primary"])

with subtest("a good one is installed into slot B"):
    dut.install("release-2.0")
    after = dut.digests(*PAIRS["A"])
    t.assertEqual({name: before[name] for name in PAIRS["A"]}, after, "slot A was written to")
    t.assertEqual(table, dut.table_digests())
    t.assertEqual(set(PAIRS["B"]), dut.arrived(dict(zip(PAIRS["B"], dut.images("2.0")))))
    t.assertEqual(
        {"booted": "A", "primary": "B", "A": "good", "B": "good"}, dut.rauc()
    )
    t.assertEqual("B A", dut.boot_state()["BOOT_ORDER"])
    t.assertEqual((3, False), dut.slot_state("B"))
    t.assertEqual((3, True), dut.slot_state("A"))
    t.assertEqual(("A", "1.0"), dut.running())

with subtest("slot B boots and runs the new release"):
    dut.reboot()
    t.assertEqual(("B", "2.0"), dut.running())
    t.assertEqual([("A", "good"), ("B", "attempt 1 of 3")], dut.boots())
    t.assertEqual("2.0", gateway.succeed(
        "mkdir -p /run/b", f"mount -o ro {device('boot-b')} /run/b", "cat /run/b/release", "umount /run/b"
    ).strip())
    t.assertEqual((2, False), dut.slot_state("B"))
    t.assertEqual("B", dut.rauc()["booted"])

with subtest("slot A and the data are as they were"):
    t.assertEqual({name: before[name] for name in PAIRS["A"]}, dut.digests(*PAIRS["A"]))
    t.assertEqual(table, dut.table_digests())
    t.assertEqual("kept\n", gateway.succeed("cat /data/config/note"))

with subtest("RAUC's status file is recovered"):
    status = gateway.succeed("cat /data/rauc/central.raucs")
    t.assertIn("bundle.version=2.0", status)
    faults = {
        ": >": "empty",
        "head -c 100 /data/rauc/central.raucs.copy >": "torn",
        "head -c 500 /dev/zero >": "torn",
        "rm ": "missing",
    }
    for fault, name in faults.items():
        gateway.succeed(
            "systemctl stop rauc", f"{fault}/data/rauc/central.raucs", "systemctl start rauc"
        )
        t.assertEqual(status, gateway.succeed("cat /data/rauc/central.raucs"), name)
        t.assertIn(
            f"RAUC's central status file was {name}: recovered from its copy",
            dut.journal("-u rauc -o cat -n 20"),
        )
    gateway.succeed("rm /data/rauc/central.raucs.copy", ": >/data/rauc/central.raucs", "systemctl restart rauc")
    t.assertIn("begun anew", dut.journal("-u rauc -o cat -n 20"))
    t.assertEqual("B", dut.rauc()["booted"])

gateway.shutdown()
