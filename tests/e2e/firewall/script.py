# Who can connect, from which side, and to which ports: each service is used by its real client, and every
# other port is tried.
from gateway_network import *

scanners = {
    "wan": networks[WAN].create_endpoint("wan scanner", ["203.0.113.200/24", "2001:db8:113::200/64"]),
    "lan": networks[LAN].create_endpoint("lan scanner", ["172.20.30.200/24"]),
}
provider = Provider(client)
wan, wan_v6 = provider.wait_for_gateway(gateway)
targets = {
    "wan": (wan, wan_v6),
    "lan": (GATEWAY_LAN, addresses_of(gateway, "lan", "-6", "link")[0]),
}


def witnessed(side, protocol):
    """The ports for which a packet has passed the rules."""
    lines = gateway.succeed("cat /run/ports").splitlines()
    found: dict[str, list] = {kind: [] for kind in ("tcp4", "udp4", "tcp6", "udp6")}
    for line in lines:
        card, kind, port = line.split()
        if card == side:
            found[kind].append(int(port))
    return found[protocol + "4"], found[protocol + "6"]


with subtest("WAN: an HTTPS request gets the gateway's page, over IPv4 and IPv6"):
    for address in (wan, f"[{wan_v6}]"):
        t.assertIn("<title>slotproof gateway</title>", provider.succeed(fetch(address)))

with subtest("WAN: a known OpenVPN client completes the handshake, and an unknown one does not"):
    gateway.succeed(f"/usr/lib/slotproof/vpn-client tester {wan} >/run/tester.ovpn")
    client.succeed("modprobe tun", f"cat >/run/tester.ovpn <<'END'\n{gateway.succeed('cat /run/tester.ovpn')}END")
    provider.serve("vpn", "openvpn --config /run/tester.ovpn")
    provider.machine.wait_until_succeeds(
        "journalctl -u provider-vpn | grep 'Initialization Sequence Completed'", timeout=120
    )
    t.assertIn("10.99.0.", provider.succeed("ip -4 -o address show dev tun0"))
    client.succeed("systemctl stop provider-vpn")
    client.succeed(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -subj /CN=tester "
        "-keyout /run/stranger.key -out /run/stranger.crt"
    )
    client.succeed("sed '/END CERT/q' /run/tester.ovpn | sed -n '/BEGIN CERT/,$p' >/run/ca.crt")
    provider.serve(
        "stranger",
        f"openvpn --client --dev tun --proto udp --remote {wan} 1194 --nobind --remote-cert-tls server "
        "--ca /run/ca.crt --cert /run/stranger.crt --key /run/stranger.key --connect-retry-max 1",
    )
    gateway.wait_until_succeeds(
        "journalctl -u openvpn-server@gateway | grep -E 'VERIFY ERROR|certificate verify failed'", timeout=120
    )

with subtest("LAN: a client gets a lease in the LAN's range"):
    leased = get_lease(client)
    t.assertIn(int(leased.removeprefix("172.20.30.")), range(10, 255))
    t.assertIn(leased, gateway.succeed("cat /data/dnsmasq.leases"))

with subtest("LAN: SSH login works with a key, and with nothing else"):
    make_ssh_key(client, gateway)
    t.assertEqual("gateway\n", client.succeed(f"{SSH} root@{GATEWAY_LAN} hostname"))
    gateway.succeed("echo root:secret | chpasswd")
    refusal = client.fail(f"{SSH} -i /dev/null -o IdentitiesOnly=yes -o PreferredAuthentications=none root@{GATEWAY_LAN} 2>&1")
    t.assertIn("Permission denied (publickey).", refusal)

with subtest("LAN: a client sets its clock by NTP"):
    set_clock(client)
    clocks = [int(m.succeed("date +%s")) for m in (client, gateway)]
    t.assertLess(abs(clocks[0] - clocks[1]), 60)

gateway.copy_from_host(f"{gateway.image_dir}/port-witness", "/run/port-witness")
gateway.succeed("systemd-run --quiet --unit=port-witness -p StandardOutput=file:/run/ports /run/port-witness")
# this is the last socket that it opens
gateway.wait_until_succeeds("grep ':0011 ' /proc/net/raw6")

OPEN = {("wan", "tcp"): [443], ("wan", "udp"): [1194], ("lan", "tcp"): [22], ("lan", "udp"): [123]}
LET_IN = {**OPEN, ("lan", "udp"): [67, 123]}
# NTP is served over IPv4 only
OPEN_V6: dict[tuple[str, str], list[int]] = {**OPEN, ("lan", "udp"): []}


def ranges(ports):
    """Ports as people write them, as in "1-21, 443"."""
    known = set(ports)
    first = [port for port in sorted(known) if port - 1 not in known]
    last = [port for port in sorted(known) if port + 1 not in known]
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in zip(first, last))


for (side, protocol), expected in OPEN.items():
    with subtest(f"{side.upper()}: all other {protocol.upper()} ports are silent, over IPv4 and IPv6"):
        for address, ports in zip(targets[side], (expected, OPEN_V6[side, protocol])):
            found = scanners[side].probe(address, protocol)
            said = (ranges(found.open), ranges(found.closed), ranges(found.rejected))
            t.assertEqual((ranges(ports), "", ""), said, address)
            t.assertEqual(65535 - len(ports), len(found.silent), address)

with subtest("the rules let in no other port, answered or not"):
    gateway.succeed("systemctl stop port-witness")
    for (side, protocol), expected in LET_IN.items():
        wanted = ranges(expected), ranges(OPEN_V6[side, protocol])
        seen = tuple(ranges(ports) for ports in witnessed(side, protocol))
        t.assertEqual(wanted, seen, f"{side} {protocol}")

with subtest("echo requests are answered on the LAN, and not on the WAN"):
    for address in targets["lan"]:
        scanners["lan"].ping(address)
    for address in targets["wan"]:
        scanners["wan"].resolve(address)
        with t.assertRaises(AssertionError):
            scanners["wan"].ping(address, timeout=3)

with subtest("the address of one side does not answer on the other"):
    with t.assertRaises(AssertionError):
        scanners["wan"].resolve(GATEWAY_LAN, timeout=3)
    with t.assertRaises(AssertionError):
        scanners["lan"].resolve(wan, timeout=3)
