# Bundles that must not be installed are refused before a byte is written.
from appliance import PAIRS, Appliance

dut = Appliance(gateway, t)

# name of the bundle: a part of the message that RAUC has to log
BAD_BUNDLES = {
    "bad-signature": "signature verification failed",
    "bad-expired": "certificate has expired",
    "bad-compatible": "Compatible",
    "bad-plain": "plain",
    "bad-too-large": "holds only 201326592",
    "bad-half": "no image for slot boot.1",
}


# RAUC reads the size of the signature from a bundle's last bytes, most significant byte first (RAUC manual,
# "Bundle Formats"). A truncated bundle ends in other bytes, which decide why it is refused.
TRAILER = 8


def cut_at(file, size):
    """The number of bytes to keep, size or slightly less, so that the bundle ends in a number larger than any
    file: its highest byte is not 0."""
    begin = max(0, size - 4096)
    file.seek(begin)
    data = file.read(size - begin)
    return begin + max(end for end in range(TRAILER, len(data) + 1) if data[end - TRAILER])


def must_refuse(path, reason):
    """RAUC must refuse the bundle at path for this reason."""
    t.assertIn(reason, dut.fail_to_install(path), f"{path} was refused for another reason")


with subtest("release 1.0 runs in slot A"):
    t.assertEqual(("A", "1.0"), dut.running())
    good = dut.bundle("release-2.0")
    before = dut.digests(*PAIRS["A"], *PAIRS["B"])
    table = dut.table_digests()
    state = dut.boot_state()


def check_nothing_is_written():
    t.assertEqual(before, dut.digests(*before))
    t.assertEqual(table, dut.table_digests())
    t.assertEqual(state, dut.boot_state())
    t.assertEqual("A", dut.rauc()["primary"])


with subtest("bundles that are not for this device, or incomplete, are refused"):
    for name, reason in BAD_BUNDLES.items():
        must_refuse(dut.bundle(name), reason)
        gateway.succeed(f"rm /data/{name}.raucb")
    check_nothing_is_written()

with subtest("bundles with a flipped bit are refused"):
    size = int(gateway.succeed(f"stat -c %s {good}"))
    # RAUC alone would read the first half of the payload only after it has written much already
    for offset in [size // 3, size * 2 // 3]:
        gateway.succeed(
            f"cp {good} /data/flipped.raucb",
            f"byte=$(od -An -tu1 -j {offset} -N 1 {good}); "
            rf"printf \\$(printf %o $((byte ^ 1))) | "
            f"dd of=/data/flipped.raucb bs=1 seek={offset} conv=notrunc status=none",
        )
        gateway.fail(f"cmp -s {good} /data/flipped.raucb")
        must_refuse("/data/flipped.raucb", "is damaged or can't be read: Input/output error")
    check_nothing_is_written()

with subtest("truncated bundles, and files that are not bundles, are refused"):
    with open(f"{gateway.image_dir}/release-2.0.raucb", "rb") as file:
        cuts = [cut_at(file, kept) for kept in [size // 2, size - 1, 100]]
    for kept in cuts:
        gateway.succeed(f"head -c {kept} {good} >/data/cut.raucb")
        must_refuse("/data/cut.raucb", "exceeds bundle size")
    # one that ends as a bundle does: 512 bytes, which are not a signature, and their number
    gateway.succeed(rf"{{ head -c {size // 2} {good}; printf '%512s\0\0\0\0\0\0\2\0' x; }} >/data/cut.raucb")
    must_refuse("/data/cut.raucb", "Signature data is no valid CMS")
    gateway.succeed(r"head -c 1000000 /dev/zero | tr '\0' x >/data/garbage.raucb", ": >/data/empty.raucb")
    must_refuse("/data/garbage.raucb", "exceeds bundle size")
    must_refuse("/data/empty.raucb", "Failed to seek to end of bundle")
    check_nothing_is_written()

gateway.crash()
