# A release is confirmed after a minute in which all was well, and only then. The machine has virtual
# time: its clock and its journal show the minute, which is over at once for us.
import json

from appliance import Appliance

dut = Appliance(gateway)
LIST = "/data/config/health-required.json"


def verification():
    """The journal of os-verification in this boot: (seconds since boot, text)."""
    lines = dut.journal("-t os-verification -o json").splitlines()
    entries = [json.loads(line) for line in lines]
    return [(int(e["__MONOTONIC_TIMESTAMP"]) / 1e6, e["MESSAGE"]) for e in entries]


def time_of(text, entries):
    times = [when for when, said in entries if text in said]
    t.assertEqual(1, len(times), f"'{text}' once in {entries}")
    return times[0]


def unconfirm():
    gateway.succeed("rauc status mark-bad booted", "rauc status mark-active booted")
    t.assertEqual((3, False), dut.slot_state("A"))


def verify(expected_status):
    """Run the check by hand, as its unit would; what it said."""
    status, output = gateway.execute("/usr/lib/slotproof/os-verification 2>&1")
    t.assertEqual(expected_status, status, output)
    return output


with subtest("a slot that is good is left alone"):
    t.assertEqual(("A", "1.0"), dut.running())
    t.assertEqual(["slot A is good already"], [said for _, said in verification()])

with subtest("what the device itself asks for must be well too"):
    unconfirm()
    for text, reason in [
        ("{", "unexpected end of data"),
        ('["ssh.service"', "unexpected end of data"),
        ('["ssh.service"] x', "unexpected"),
        ('{"units": ["ssh.service"]}', "an array of unit names"),
        ('["ssh.service", 5]', "as a string"),
        ('[""]', "1 to 255 characters"),
    ]:
        gateway.succeed(f"cat >{LIST} <<'END'\n{text}\nEND")
        said = verify(1)
        t.assertIn(f"slot A stays unconfirmed: {LIST}: ", said)
        t.assertIn(reason, said)
    gateway.succeed(f"""echo '["no-such-unit.service"]' >{LIST}""")
    t.assertIn("no-such-unit.service can't be loaded", verify(1))
    gateway.succeed(f"""echo '["rsyslog.service"]' >{LIST}""", "systemctl stop syslog.socket rsyslog")
    t.assertIn("slot A stays unconfirmed: rsyslog.service is not active", verify(1))
    t.assertEqual((3, False), dut.slot_state("A"))
    gateway.succeed("systemctl start rsyslog")
    gateway.succeed(f"""echo '["rsyslog.service", "rauc.service"]' >{LIST}""")
    t.assertIn("slot A is confirmed", verify(0))
    t.assertEqual((3, True), dut.slot_state("A"))

with subtest("each part is looked at, again and again"):
    faults = {
        "dnsmasq.service": ("systemctl stop dnsmasq", "systemctl start dnsmasq"),
        "chrony.service": ("systemctl stop chrony", "systemctl start chrony"),
        "nftables.service": ("systemctl stop nftables", "systemctl start systemd-networkd"),
        "nginx.service": ("systemctl stop nginx", "systemctl start nginx"),
        "openvpn-server@gateway.service": (
            "systemctl stop openvpn-server@gateway",
            "systemctl start openvpn-server@gateway",
        ),
        "ssh.service": ("systemctl stop ssh", "systemctl start ssh"),
        "lan does not carry": (
            "ip address del 172.20.30.1/24 dev lan",
            "ip address add 172.20.30.1/24 dev lan",
        ),
    }
    unconfirm()
    for number, (reason, (fault, mend)) in enumerate(faults.items()):
        # from the start on
        gateway.succeed(fault)
        t.assertIn(f"slot A stays unconfirmed: {reason}", verify(1))
        gateway.succeed(mend)
        # and for six seconds only, which is more than there are between two looks; each at another
        # time, up to the minute's end
        gateway.succeed(
            f"systemd-run --on-active={8 * (number + 1)} --timer-property=AccuracySec=1ms "
            f"/bin/sh -c '{fault}; sleep 6; {mend}'"
        )
        t.assertIn(f"slot A stays unconfirmed: {reason}", verify(1))
        t.assertEqual((3, False), dut.slot_state("A"))
        gateway.succeed("sleep 10")
    t.assertIn("slot A is confirmed", verify(0))

with subtest("a good release is confirmed after a minute"):
    dut.install("release-2.0")
    gateway.succeed(f"rm {LIST}")
    dut.reboot()
    t.assertEqual(("B", "2.0"), dut.running())
    gateway.wait_until_succeeds("! systemctl is-active os-verification")
    entries = verification()
    watched = time_of("slot B: all is well, watching it for 60 s", entries)
    confirmed = time_of("slot B is confirmed", entries)
    t.assertGreaterEqual(confirmed - watched, 60)
    t.assertLess(confirmed - watched, 70)
    t.assertEqual((3, True), dut.slot_state("B"))
    t.assertEqual((3, True), dut.slot_state("A"))
    t.assertEqual({"booted": "B", "primary": "B", "A": "good", "B": "good"}, dut.rauc())
    t.assertEqual("LAST_GOOD=B", gateway.succeed("head -n 1 /state/last-good").strip())
    # not before the minute was over: the boot state was last written when it was confirmed
    written = float(gateway.succeed("stat -c %.3Y /state/boot-state"))
    boot = float(gateway.succeed("sed -n 's/^btime //p' /proc/stat"))
    t.assertGreaterEqual(written - boot, confirmed - 2)

with subtest("a confirmed release loses no attempts"):
    dut.reboot()
    t.assertEqual(("B", "good"), dut.boots()[-1])
    t.assertEqual((3, True), dut.slot_state("B"))
    t.assertEqual(["slot B is good already"], [said for _, said in verification()])

with subtest("a release whose sshd dies after half a minute is not confirmed"):
    dut.bundle("hang")
    dut.bundle("fading")
    gateway.save_snapshot("slot B, good")
    dut.install("fading")
    count = len(dut.boots())
    gateway.reboot()
    # it leaves by itself, and is given another try
    gateway.wait_for_console_text(r"slot-selector: slot A \(attempt 2 of 3\)", timeout=600)
    gateway.wait_for_unit("multi-user.target")
    t.assertEqual([("A", "attempt 1 of 3"), ("A", "attempt 2 of 3")], dut.boots()[count:])
    t.assertEqual((1, False), dut.slot_state("A"))
    t.assertEqual("LAST_GOOD=B", gateway.succeed("head -n 1 /state/last-good").strip())
    first_try = dut.messages().rsplit("slot B is good already", 1)[1]
    t.assertIn("slot A: all is well, watching it", first_try)
    t.assertIn("slot A stays unconfirmed: ssh.service", first_try)
    t.assertNotIn("slot A is confirmed", first_try)

with subtest("a release that hangs before it can feed the watchdog is reset"):
    gateway.load_snapshot("slot B, good")
    dut.install("hang")
    count = len(dut.boots())
    gateway.reboot()
    gateway.wait_for_console_text(r"slot-selector: slot A \(attempt 2 of 3\)", timeout=600)
    t.assertEqual("reset", gateway.wait_for_qmp_event("WATCHDOG", timeout=1)["action"])
    t.assertEqual([("A", "attempt 1 of 3"), ("A", "attempt 2 of 3")], dut.boots()[count:])

gateway.crash()
