# Each check that a release has to pass is made, including those that the device itself requires. The machine
# has virtual time: a minute passes immediately.
from verification import LIST, Verification

dut = Verification(gateway, t)

with subtest("units that the device itself requires have to be active"):
    dut.unconfirm()
    for text, reason in [
        ("{", "unexpected end of data"),
        ('["ssh.service"', "unexpected end of data"),
        ('["ssh.service"] x', "unexpected"),
        ('{"units": ["ssh.service"]}', "an array of unit names"),
        ('["ssh.service", 5]', "as a string"),
        ('[""]', "1 to 255 characters"),
    ]:
        gateway.succeed(f"cat >{LIST} <<'END'\n{text}\nEND")
        said = dut.verify(1)
        t.assertIn(f"slot A stays unconfirmed: {LIST}: ", said)
        t.assertIn(reason, said)
    gateway.succeed(f"""echo '["no-such-unit.service"]' >{LIST}""")
    t.assertIn("no-such-unit.service can't be loaded", dut.verify(1))
    gateway.succeed(f"""echo '["rsyslog.service"]' >{LIST}""", "systemctl stop syslog.socket rsyslog")
    t.assertIn("slot A stays unconfirmed: rsyslog.service is not active", dut.verify(1))
    t.assertEqual((3, False), dut.slot_state("A"))
    gateway.succeed("systemctl start rsyslog")
    gateway.succeed(f"""echo '["rsyslog.service", "rauc.service"]' >{LIST}""")
    t.assertIn("slot A is confirmed", dut.verify(0))
    t.assertEqual((3, True), dut.slot_state("A"))

with subtest("each check is made repeatedly"):
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
    dut.unconfirm()
    for number, (reason, (fault, mend)) in enumerate(faults.items()):
        # each at another time within the minute
        dut.check_fault(number + 1, reason, fault, mend)
    t.assertIn("slot A is confirmed", dut.verify(0))

gateway.crash()
